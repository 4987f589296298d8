"""Data sets on disk, and the batches and evaluation images read from them."""

from radepth_jax.data.dataset import Dataset, EvaluationSource, TrainingSource, open_dataset
from radepth_jax.data.loader import Loader, device_prefetch, make_loader
from radepth_jax.data.prepare import open_or_prepare, prepare

__all__ = [
    "Dataset",
    "EvaluationSource",
    "Loader",
    "TrainingSource",
    "device_prefetch",
    "make_loader",
    "open_dataset",
    "open_or_prepare",
    "prepare",
]
