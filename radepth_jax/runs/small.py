"""The recipe of small networks, for images of about 192x64 and a CPU."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from radepth_jax.geometry.alignment import COARSE_TO_FINE

# From random weights: `config.pose.align`, `.turns_from` and `.learn_fov_from`.
ALIGN, TURNS_FROM = COARSE_TO_FINE, 200
LEARN_FOV_FROM = 500


def use_small_recipe(config: ConfigDict, model: Mapping[str, Any]) -> None:
    """Change a config to a small model and to what it learns with, from random weights.

    Args:
        config: a config such as `default_config()`. The data set, the resolution and the numbers of
            steps stay as they are.
        model: such as `presets.tiny()`.
    """
    config.model = ConfigDict(model)
    config.pretrained.depth_encoder = config.pretrained.pose_encoder = ""
    config.data.batch_size, config.data.workers = 4, 0
    # Batches are small. Joint statistics make training normalise each image about as a test does.
    config.batch_norm = "joint"
    # From random weights a pose network needs thousands of steps for what alignment finds at once.
    config.pose.align, config.pose.turns_from = ALIGN, TURNS_FROM
    config.pose.learn_fov_from = LEARN_FOV_FROM
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 100
    # At full weight it makes depth flat (experiments/RESULTS.md).
    config.loss.weights.consistency = 0.05
    config.loss.mask_low_filler = True
