"""RA-Depth in small on the rendered street: learns on a CPU in an hour or so.

Command:
    radepth prepare street/full --data_dir data
    radepth train --config configs/ra_depth_street.py --workdir runs/street
    radepth evaluate --checkpoint runs/street --row_prior \
        --resolutions 128x48,160x48,192x64,256x80,304x96 --output runs/street
Cost: 78 CPU minutes on one core, before alignment.
Result (experiments/RESULTS.md), measured before alignment and with the views from step 3,000 on:
AbsRel 0.221 at 192x64, 0.257 at the worst of the five resolutions; the same network without AS-Aug
and consistency 0.210 and 0.386; the row prior 0.433. With these settings it was stopped after 2,500
of 9,000 steps, at 0.283 and 0.326.
"""

from ml_collections import ConfigDict

from radepth_jax.models import presets
from radepth_jax.runs.config import default_config
from radepth_jax.runs.small import use_small_recipe


def get_config(variant: str = "full") -> ConfigDict:
    """`full`, or `demo` (`--config configs/ra_depth_street.py:demo`): fewer worlds and steps."""
    config = default_config()
    use_small_recipe(config, presets.tiny())
    config.data.name = "street/full"
    config.views.resolution = (192, 64)
    # The aligned poses need no good start, and this network takes a fifth less time.
    config.model.pose = ConfigDict(presets.SMALL_CONV_POSE)
    # From random weights: first an idea of depth, then the other views, then their agreement.
    config.loss.ramps.consistency = (1200, 2500)
    config.train.middle_view_steps = 1000
    config.train.steps = 9000
    config.train.validate_every = 1000
    config.train.checkpoint_every = 500
    config.train.picture_every = 1000
    config.evaluate.resolutions = ((128, 48), (192, 64), (304, 96))
    if variant == "demo":
        config.data.name = "street/demo"
        config.loss.ramps.consistency = (450, 800)
        config.train.middle_view_steps = 400
        config.train.steps = 1900
        config.train.checkpoint_every = 400
        config.train.validate_every = 1000
        config.train.picture_every = 1900
        config.evaluate.resolutions = ((192, 64),)
    return config
