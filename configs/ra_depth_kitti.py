"""RA-Depth on KITTI, as published (ECCV 2022): 640x192, batch 12, 20 epochs, ImageNet encoders.

Command:
    radepth prepare kitti_raw --source /path/to/kitti --data_dir data
    radepth train --config configs/ra_depth_kitti.py --workdir runs/kitti
Cost: 39,810 triplets x 20 epochs = 66,350 steps of 12.
Expected (published, not yet measured here): AbsRel 0.096 on KITTI Eigen at 640x192, and 0.095-0.111
from 416x128 to 1024x320.
"""

from ml_collections import ConfigDict

from radepth_jax.runs.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.evaluate.crop = "garg"
    config.evaluate.resolutions = ((640, 192), (1024, 320))
    return config
