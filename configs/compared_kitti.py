"""The systems RA-Depth is compared with, on KITTI, as published: 640x192, batch 12, 20 epochs.

Command, for `monodepth2`, `monodepth2_resnet50`, `hr_depth` and `diffnet` (and `hrnet_skip`, the
baseline of RA-Depth's ablation: HRNet with Monodepth2's decoder):
    radepth prepare kitti_raw --source /path/to/kitti --data_dir data
    radepth train --config configs/compared_kitti.py:monodepth2 --workdir runs/monodepth2
Stereo: --config.data.frame_offsets="(0,'s')"; both: "(0,-1,1,'s')".
Cost: 66,350 steps of 12.
Expected (published, not yet measured here): AbsRel at 640x192 .115 (Monodepth2), .109 (HR-Depth),
.102 (DIFFNet).
"""

from ml_collections import ConfigDict

from radepth_jax.runs.config import default_config


def get_config(model: str = "monodepth2") -> ConfigDict:
    config = default_config(model)
    config.evaluate.crop = "garg"
    config.evaluate.resolutions = ((640, 192), (1024, 320))
    return config
