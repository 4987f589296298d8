"""`radepth doctor`: what a bug report needs, and whether this machine can train and predict."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import time
from pathlib import Path

from radepth_jax.cli.parser import Parser
from radepth_jax.errors import reason
from radepth_jax.startup import use_compilation_cache

# A run's checkpoints and a data set need about this many GiB.
_LITTLE_SPACE = 5


def main(argv: list[str]) -> None:
    """Print versions, devices, cache and disk, and predict once; exits with 1 if that fails."""
    parser = Parser("radepth doctor", description=__doc__)
    parser.parse_args(argv)
    use_compilation_cache()
    import jax

    import radepth_jax

    _say("radepth-jax", f"{radepth_jax.__version__}, in {Path(radepth_jax.__file__).parent}")
    _say("Python", f"{platform.python_version()}, {sys.executable}")
    _say("system", f"{platform.platform()}, {os.cpu_count()} cores")
    for name, version in _requirements():
        _say(name, version)
    try:
        kinds = ", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.local_devices())
    except RuntimeError as error:
        _say("devices", f"none ({reason(error)})")
        raise SystemExit(1) from None
    _say("devices", kinds)
    for name in ("JAX_PLATFORMS", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "HF_HOME"):
        if name in os.environ:
            _say(name, os.environ[name])

    # `use_compilation_cache` has set it, if the environment had not.
    _say("compiled programs", _programs(getattr(jax.config, "jax_compilation_cache_dir")))  # noqa: B009
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    note = "" if free > _LITTLE_SPACE else "; a run's checkpoints may not fit"
    _say("free disk here", f"{free:.1f} GiB{note}")

    import numpy as np

    from radepth_jax.predict import load

    begun = time.perf_counter()
    image = np.random.default_rng(0).integers(0, 255, (96, 320, 3), np.uint8)
    depth = load()(image)
    taken = time.perf_counter() - begun
    good = bool(np.isfinite(depth).all() and (depth > 0).all())
    _say("first depth", f"{'right' if good else 'NOT FINITE'}, after {taken:.1f} s")
    if not good:
        raise SystemExit(1)


def _programs(folder: str | None) -> str:
    """What the folder of compiled programs holds, if there is one."""
    if folder is None:
        return "not kept, because this user has no home; set JAX_COMPILATION_CACHE_DIR to a folder"
    programs = list(Path(folder).rglob("*-cache")) if Path(folder).is_dir() else []
    size = sum(path.stat().st_size for path in programs) / 2**20
    return f"{len(programs)}, {size:.0f} MiB in {folder}"


def _requirements() -> list[tuple[str, str]]:
    """The installed versions of the packages that ours requires, and of installed extras."""
    versions = {}
    for line in importlib.metadata.requires("radepth-jax") or ():
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if "extra ==" not in line:
                versions[name] = "MISSING"
    return sorted(versions.items(), key=lambda item: item[0].lower())


def _say(name: str, value: str) -> None:
    print(f"{name:24} {value}")
