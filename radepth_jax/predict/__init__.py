"""From pictures to depth, at any resolution: `load(checkpoint)(picture)`."""

from radepth_jax.predict.predictor import Predictor, load

__all__ = ["Predictor", "load"]
