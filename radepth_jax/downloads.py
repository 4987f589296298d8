"""Where each public data set is had, in one line: for help texts and for errors."""

DOWNLOADS = {
    "kitti_raw": (
        "download the drives' 'synced+rectified data' and each date's 'calibration' from "
        "https://www.cvlibs.net/datasets/kitti/raw_data.php and extract them into one folder"
    ),
    "kitti_improved": (
        "besides KITTI raw, download 'annotated depth maps data set (14 GB)', "
        "data_depth_annotated.zip, from "
        "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction"
    ),
    "kitti_odometry": (
        "download 'odometry data set (color, 65 GB)', 'calibration files' and 'ground truth poses' "
        "from https://www.cvlibs.net/datasets/kitti/eval_odometry.php and extract them into one "
        "folder"
    ),
    "make3d": (
        "download Test134.tar.gz and Test134Depth.tar.gz (which extracts as Gridlaserdata), linked "
        "from http://make3d.cs.cornell.edu/data.html, and extract both into one folder"
    ),
    "nyu_v2": (
        "download nyu_depth_v2_labeled.mat (2.8 GB) from "
        "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html and splits.mat from "
        "http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat into one folder"
    ),
    "rgbd": (
        "download a scene of 7-Scenes from "
        "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/ and extract its "
        "seq-XX.zip files, or write your own frames with the same names"
    ),
}
