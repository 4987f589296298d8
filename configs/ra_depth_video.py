"""RA-Depth on your own footage: a video file or a folder of frames, prepared on the fly.

Command:
    radepth train --config configs/ra_depth_video.py --workdir runs/clip \
        --config.data.source=clip.mp4 --config.data.fov=70
    (or --config.data.intrinsics=fx,fy,cx,cy in pixels of the footage)
Cost: 20,000 steps of 12; from ImageNet weights a few thousand already show the scene.
Expected: no ground truth, so no figures: look at the pictures in the run's folder.

Set `config.views.resolution` near your footage's shape, about half its size, in multiples of 32.
"""

from ml_collections import ConfigDict

from radepth_jax.train.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.data.name = "video"
    config.data.skip_corrupt = True
    config.views.resolution = (512, 288)
    config.train.steps = 20_000
    config.train.picture_every = 500
    config.evaluate.resolutions = ((512, 288),)
    return config
