"""The bundled model on your own clip: minutes of training.

Command:
    radepth train --config configs/adapt.py --workdir runs/clip \
        --config.data.source=clip.mp4 --config.data.fov=70
    radepth predict --checkpoint runs/clip --output depth clip.mp4
Cost: 300 steps of 4, about three minutes on two CPU cores.
Expected: the photometric error on held-out frames falls, and depth on other footage stays about
what it was: adapted to one drive of KITTI, AbsRel on two others changed by 3 % at most from 208x64
to 512x160 (experiments/RESULTS.md). `pictures/held_out_*.png` in the run's folder show the depth of
held-out frames before and after.

Set `config.views.resolution` near your footage's shape, in multiples of 16.
"""

from ml_collections import ConfigDict

from radepth_jax.models import presets
from radepth_jax.runs.config import default_config
from radepth_jax.runs.small import use_small_recipe


def get_config() -> ConfigDict:
    config = default_config()
    use_small_recipe(config, presets.bundled())
    config.data.name = "video"
    config.data.skip_corrupt = True
    config.pretrained.checkpoint = "default"
    # Without it, depth on all other footage gets worse (experiments/RESULTS.md).
    config.pretrained.keep = 0.5
    config.views.resolution = (224, 128)
    # It has learned what depth and motion are. On a highway, alignment would lose the motion.
    config.pose.align, config.pose.turns_from, config.pose.learn_fov_from = (), 0, 0
    # A few batches of one clip would replace what its norms know of all footage.
    config.train.batch_statistics_steps = 0
    config.optimizer.learning_rate = 1e-4
    config.train.steps = 300
    config.train.validate_every = 300
    config.train.picture_every = 300
    config.train.checkpoint_every = 300
    return config
