"""Settings shared by all tests: eight virtual CPU devices, a compilation cache, strict shapes."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
# Compiling is nearly all that the tests do; with these a training step takes a quarter of the time.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")

import hypothesis
import jax
import jaxtyping
import numpy
import pytest
from published_networks import HAS_PLAIN_LOOPS

if HAS_PLAIN_LOOPS:  # before the first device is asked for
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

ROOT = Path(__file__).parent.parent

# The shapes and types that signatures state are checked at every call, in the packages whose
# functions are of arrays. The networks are left out: their sizes are multiples of one another's
# ("4*D"), which jaxtyping cannot check. So are the options, which turn settings into their types
# and say themselves what is wrong. JAX takes NumPy's arrays for its own, so they count as such.
CHECKED = ("geometry", "views", "losses")
jaxtyping.Array = jax.Array | numpy.ndarray
jaxtyping.install_import_hook(
    [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in CHECKED
        for path in (ROOT / "radepth_jax" / package).rglob("*.py")
        if path.stem not in ("__init__", "options")
    ],
    "type_checks.check",
)

jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile("default", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real video beside the checkout; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real video excerpts in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def street_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data_dir with `street/tiny` prepared: 2 + 1 + 1 worlds of 5 frames, 96x32."""
    from radepth_jax.data.prepare import prepare

    data_dir = tmp_path_factory.mktemp("data")
    prepare("street/tiny", data_dir=data_dir)
    return data_dir


@pytest.fixture(scope="session")
def kitti_dir(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data_dir with `kitti_raw` of the real drive 0002: ten test images with their scans."""
    from radepth_jax.data.prepare import prepare

    data_dir = tmp_path_factory.mktemp("kitti")
    drives = {"train_drives": ("0002",), "test_drives": ("0002",)}
    prepare("kitti_raw", source=shared_data / "kitti_raw", data_dir=data_dir, **drives)
    return data_dir


@pytest.fixture
def micro_config(reference_config):
    """A run of seconds, for a test to change."""
    return reference_config.copy_and_resolve_references()


@pytest.fixture(scope="session")
def reference_config(street_dir: Path):
    """The smallest network at 64x32 on `street/tiny`, one sample a device."""
    from ml_collections import ConfigDict

    from radepth_jax.models import presets
    from radepth_jax.runs.config import default_config

    config = default_config()
    model = presets.tiny()
    model["depth"]["encoder"] |= {"width": 4, "stem_width": 4}
    model["pose"] |= {"features": (4, 8), "reach": (1, 1), "widths": (8, 8, 16)}
    config.model = ConfigDict(model)
    config.pretrained.depth_encoder = config.pretrained.pose_encoder = ""
    config.data.name = "street/tiny"
    config.data.data_dir = str(street_dir)
    config.data.batch_size = 8
    config.data.workers = 0
    config.views.resolution = (64, 32)
    config.batch_norm_sync = True
    config.train.steps = 4
    config.train.log_every = 1
    config.train.checkpoint_every = 2
    config.train.validate_every = config.train.picture_every = 1000
    config.evaluate.resolutions = ((64, 32),)
    return config


@pytest.fixture
def radepth(monkeypatch, capsys):
    """Run `radepth ...` in this process -> (exit code, standard output, standard error)."""

    import sys

    from radepth_jax.cli import main as cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["radepth", *map(str, arguments)])
        for module in ("startup", "cli.doctor"):  # the tests have a compilation cache of their own
            monkeypatch.setattr(f"radepth_jax.{module}.use_compilation_cache", lambda: None)
        capsys.readouterr()  # what came before, such as a preparation
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def odometry_tree(tmp_path: Path) -> Path:
    """A KITTI odometry tree: sequence 09 of 7 frames, 10 of 5, 50x16, gently turning."""
    import numpy as np
    from PIL import Image

    K = np.array([[29.0, 0, 24.5], [0, 30.0, 7.5], [0, 0, 1]])
    root = tmp_path / "kitti_odometry"
    for name, frames in (("09", 7), ("10", 5)):
        folder = root / "sequences" / name
        for camera in (2, 3):
            (folder / f"image_{camera}").mkdir(parents=True)
            for frame in range(frames):
                random = np.random.default_rng([int(name), camera, frame])
                image = random.integers(0, 256, (16, 50, 3), np.uint8)
                Image.fromarray(image).save(folder / f"image_{camera}" / f"{frame:06d}.png")
        lines = []
        # As KITTI's: P = K [I | t], metres to camera 0.
        for camera, offset in ((0, 0), (1, -0.54), (2, 0.06), (3, -0.48)):
            P = np.column_stack([K, K @ [offset, 0, 0]])
            lines.append(f"P{camera}: " + " ".join(f"{value:.12e}" for value in P.ravel()))
        (folder / "calib.txt").write_text("\n".join(lines) + "\n")
        angle = 0.02 * np.arange(frames)
        (folder / "times.txt").write_text("".join(f"{0.1037 * i:e}\n" for i in range(frames)))
        poses = np.zeros((frames, 3, 4))
        poses[:, 1, 1] = 1
        poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angle)
        poses[:, 0, 2], poses[:, 2, 0] = np.sin(angle), -np.sin(angle)
        poses[:, 0, 3], poses[:, 2, 3] = 50 * (1 - np.cos(angle)), 50 * np.sin(angle)
        (root / "poses").mkdir(exist_ok=True)
        np.savetxt(root / "poses" / f"{name}.txt", poses.reshape(-1, 12), fmt="%.9e")
    return root


@pytest.fixture(scope="session")
def run_folder(reference_config, tmp_path_factory) -> Path:
    """An untrained micro network as a checkpoint."""
    from radepth_jax.runs.saved_model import save_model
    from radepth_jax.runs.state import init_state, variables_of

    folder = tmp_path_factory.mktemp("runs") / "micro"
    save_model(variables_of(init_state(reference_config, 1)), reference_config, folder)
    return folder
