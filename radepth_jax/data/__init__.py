"""Data sets on disk, and the batches and evaluation images read from them."""

from radepth_jax.data.dataset import Dataset, open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.loader import DevicePrefetch, Loader, make_loader
from radepth_jax.data.prepare import open_or_prepare, prepare
from radepth_jax.data.training_source import TrainingSource

__all__ = [
    "Dataset",
    "DevicePrefetch",
    "EvaluationSource",
    "Loader",
    "TrainingSource",
    "make_loader",
    "open_dataset",
    "open_or_prepare",
    "prepare",
]
