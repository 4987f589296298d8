"""What XLA needs on GPUs and TPUs, where a kernel takes longer to start than most take to run."""

from dataclasses import replace

from radepth_jax.platforms.accelerator.norm import normalise
from radepth_jax.platforms.operations import PLAIN

OPERATIONS = replace(PLAIN, normalise=normalise)
