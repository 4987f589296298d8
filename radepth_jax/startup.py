"""The first call of every program that computes: a command, an experiment or a notebook."""

import os
from pathlib import Path

import jax

from radepth_jax import platforms


def start_program() -> None:
    """Set the process up to compute. Call it once, before anything of JAX computes.

    If a CPU computes, freed memory is kept. Compiled programs are kept between runs. Memory can
    only be set up before JAX starts its threads. A training run that finds that this call came too
    late says so (`train.health.fresh_memory`).
    """
    platforms.keep_freed_memory()
    use_compilation_cache()


def use_compilation_cache() -> None:
    """Keep compiled programs in `$JAX_COMPILATION_CACHE_DIR`, or the user's cache folder.

    A user without a home has no such folder, so every run compiles.
    """
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        given = os.environ.get("XDG_CACHE_HOME")
        home = os.path.expanduser("~")  # unlike Path.home, it returns "~" if there is none
        if given or os.path.isabs(home):
            folder = Path(given) if given else Path(home) / ".cache"
            jax.config.update("jax_compilation_cache_dir", str(folder / "radepth_jax" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
