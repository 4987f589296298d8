"""RA-Depth on your own footage: a video file or a folder of frames, prepared on the fly.

Command:
    radepth train --config configs/ra_depth_video.py --workdir runs/clip \
        --config.data.source=clip.mp4 --config.data.fov=70
    (or --config.data.intrinsics=fx,fy,cx,cy in pixels of the footage)
Cost: 20,000 steps of 12 on an accelerator. `configs/ra_depth_video.py:small` starts from the
bundled model and is for a CPU: 1,500 steps of 4, about 15 minutes on two cores.
Expected: there is no ground truth and so no figure. Look at the pictures in the run's folder.

Set `config.views.resolution` near your footage's shape, at about half its size, in multiples of 32
(16 for the small network).
"""

from ml_collections import ConfigDict

from radepth_jax.models import presets
from radepth_jax.runs.config import check_variant, default_config
from radepth_jax.runs.small import use_small_recipe


def get_config(variant: str = "full") -> ConfigDict:
    """`full`, or `small` for a CPU."""
    check_variant(variant, ("full", "small"))
    config = default_config()
    config.data.name = "video"
    config.data.skip_corrupt = True
    config.views.resolution = (512, 288)
    config.train.steps = 20_000
    config.train.picture_every = 500
    if variant == "small":
        use_small_recipe(config, presets.bundled())
        config.pretrained.checkpoint = "default"
        config.views.resolution = (224, 128)
        # The bundled model knows motion. On a highway alignment would lose it (RESULTS.md).
        config.pose.align, config.pose.turns_from = (), 0
        config.pose.learn_fov_from = 200  # its depth is fair from the start
        config.optimizer.learning_rate = 3e-4
        config.train.steps = 1500
    return config
