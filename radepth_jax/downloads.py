"""Where each public data set is had, in one line: for help texts and for errors."""

DOWNLOADS = {
    "kitti_raw": (
        "download the drives' 'synced+rectified data' and each date's 'calibration' from "
        "https://www.cvlibs.net/datasets/kitti/raw_data.php and extract them into one folder"
    ),
    "rgbd": (
        "download a scene of 7-Scenes from "
        "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/ and extract its "
        "seq-XX.zip files, or write your own frames with the same names"
    ),
}
