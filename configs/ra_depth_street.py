"""RA-Depth in small on the rendered street: learns on a CPU in an hour or so.

Command:
    radepth prepare street/full --data_dir data
    radepth train --config configs/ra_depth_street.py --workdir runs/street
    radepth evaluate --checkpoint runs/street --row_prior \
        --resolutions 128x48,160x48,192x64,256x80,304x96 --output runs/street
Cost: about 35 minutes on one quiet core, by the time of a step.
Result (experiments/RESULTS.md): AbsRel 0.162 at 192x64, 0.227 at the worst of the five resolutions;
the same network without AS-Aug and consistency 0.157 and 0.363; the row prior 0.433. The variant
`resolutions`, which trains at four of them in turns instead: 0.143 and 0.169.
"""

from ml_collections import ConfigDict

from radepth_jax.models import presets
from radepth_jax.runs.config import check_variant, default_config
from radepth_jax.runs.small import use_small_recipe


def get_config(variant: str = "full") -> ConfigDict:
    """`full`; `resolutions`: no views, steps at four resolutions; `demo`: fewer worlds and steps.

    Such as `--config configs/ra_depth_street.py:resolutions`.
    """
    check_variant(variant, ("full", "resolutions", "demo"))
    config = default_config()
    use_small_recipe(config, presets.tiny())
    config.data.name = "street/full"
    config.views.resolution = (192, 64)
    # The aligned poses need no good start, and this network takes a fifth less time.
    config.model.pose = ConfigDict(presets.SMALL_CONV_POSE)
    # From random weights: first an idea of depth, then the other views, then their agreement.
    config.loss.ramps.consistency = (3200, 4500)
    config.train.middle_view_steps = 3000
    config.train.steps = 9000
    config.train.validate_every = 1000
    config.train.checkpoint_every = 500
    config.train.picture_every = 1000
    config.evaluate.resolutions = ((128, 48), (192, 64), (304, 96))
    if variant == "resolutions":
        config.views.names = ("middle",)
        config.loss.weights.consistency = 0.0
        config.train.resolutions = ((144, 48), (192, 64), (240, 80), (288, 96))
        config.train.steps = 12000
        config.train.batch_statistics_steps = 6000
    if variant == "demo":
        config.data.name = "street/demo"
        config.loss.ramps.consistency = (450, 800)
        config.train.middle_view_steps = 400
        config.train.steps = 1900
        config.train.checkpoint_every = 400
        config.train.validate_every = 1000
        config.train.picture_every = 1900
        config.evaluate.resolutions = ()  # that of the views
    return config
