"""The persistent compilation cache: a second run starts in seconds."""

import os
from pathlib import Path

import jax


def use_compilation_cache() -> None:
    """Keep compiled programs in `$JAX_COMPILATION_CACHE_DIR`, or the user's cache folder.

    A user without a home has no such folder, and every run compiles.
    """
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        given = os.environ.get("XDG_CACHE_HOME")
        home = os.path.expanduser("~")  # unlike Path.home, it leaves "~" where there is none
        if given or os.path.isabs(home):
            folder = Path(given) if given else Path(home) / ".cache"
            jax.config.update("jax_compilation_cache_dir", str(folder / "radepth_jax" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
