"""The commands as a user runs them: what works, and one clear line for what does not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import radepth_jax
from radepth_jax.cli import main as cli
from radepth_jax.errors import PreemptedError, UserError

ROOT = Path(__file__).parents[2]
STREET = f"--config={ROOT}/configs/ra_depth_street.py"
VIDEO = f"--config={ROOT}/configs/ra_depth_video.py"

# The smallest run of the street config, as a user would cut it down.
MICRO = [
    "--config.data.name=street/tiny",
    "--config.model.depth.encoder.width=4",
    "--config.model.depth.encoder.stem_width=4",
    "--config.model.pose.widths=(8,8,16)",
    "--config.views.resolution=(64,32)",
    "--config.evaluate.resolutions=((64,32),)",
    "--config.data.batch_size=8",
    "--config.train.steps=2",
    "--config.train.validate_every=2",
]


def assert_one_line(result, *expected):
    code, _, err = result
    assert code == 2, err
    assert "Traceback" not in err
    for text in expected:
        assert text in err, err
    assert len(err.strip().splitlines()) == 1 or "no such command" in err, err
    return err


def test_train_then_evaluate(radepth, street_dir, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    code, text, _ = radepth(
        "train", STREET, f"--workdir={run}", f"--config.data.data_dir={street_dir}", *MICRO
    )
    assert code == 0
    assert "step 2: validation AbsRel" in text
    code, text, _ = radepth(
        "evaluate", f"--checkpoint={run}", "--resolutions=64x32,96x32", "--row-prior",
        f"--output={out}",
    )  # fmt: skip
    assert code == 0
    assert "row prior" in text
    rows = json.loads((out / "results.json").read_text())
    assert [row["resolution"] for row in rows] == ["64x32", "96x32", "native"]


def test_a_process_of_its_own_trains_on_a_folder_of_frames(tmp_path):
    """`radepth train` with `config.data.source`, in a fresh process with one device."""
    from PIL import Image

    frames = tmp_path / "frames"
    frames.mkdir()
    texture = np.random.default_rng(0).integers(0, 255, (48, 160, 3), np.uint8)
    for i in range(6):
        Image.fromarray(texture[:, 4 * i : 4 * i + 96]).save(frames / f"{i:03d}.png")
    command = [
        sys.executable, "-c", "from radepth_jax.cli.main import main; main()", "train", VIDEO,
        f"--config.data.source={frames}", "--config.data.fov=60", f"--workdir={tmp_path / 'run'}",
        "--config.pretrained.depth_encoder=", "--config.pretrained.pose_encoder=",
        "--config.model.depth.encoder.branches=3", "--config.model.depth.encoder.modules=(1,1)",
        "--config.model.depth.encoder.blocks=1", "--config.model.depth.encoder.bottlenecks=1",
        "--config.model.depth.encoder.width=4", "--config.model.depth.encoder.stem_width=4",
        "--config.views.resolution=(64,32)", "--config.evaluate.resolutions=((64,32),)",
        "--config.data.batch_size=2", "--config.data.workers=0", "--config.train.steps=2",
    ]  # fmt: skip
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "step 2/2" in done.stdout
    assert (tmp_path / "run" / "checkpoints" / "2").is_dir()
    assert list((tmp_path / "run" / "pictures").glob("*.png"))


def test_without_a_command_it_says_what_there_is(radepth):
    code, out, _ = radepth("--help")
    assert code == 0
    assert all(command in out for command in cli.COMMANDS)
    assert radepth()[0] == 2
    assert_one_line(radepth("trian"), "trian: no such command")


@pytest.mark.parametrize("command", cli.COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(radepth, command, flag):
    code, out, err = radepth(command, flag)
    assert (code, err) == (0, "")
    assert "radepth" in out
    assert "--" in out


def test_the_help_of_train_says_how_to_give_a_config(radepth):
    _, out, _ = radepth("train", "--help")
    assert "usage: radepth train --config FILE --workdir DIR [--config.FIELD=VALUE ...]" in out
    words = " ".join(out.split())
    for expected in ("--config.data.batch_size=8", "--coordinator HOST:PORT"):
        assert expected in words
    assert "`radepth config FILE` lists the fields of a config" in words


def test_the_help_of_train_lists_a_config_s_fields_as_radepth_config_does(radepth):
    _, fields, _ = radepth("config", STREET.removeprefix("--config="), "--config.data.batch_size=3")
    _, out, _ = radepth("train", STREET, "--config.data.batch_size=3", "--help", "--process=0")
    assert "--config.data.batch_size=3  # differs: default 12" in fields
    assert out.endswith(fields)


def test_the_help_of_train_names_a_config_that_is_not_there(radepth):
    assert_one_line(radepth("train", "--config=nothing.py", "--help"), "nothing.py")


def test_the_version_is_the_packages(radepth):
    code, out, _ = radepth("--version")
    assert (code, out) == (0, f"radepth {radepth_jax.__version__}\n")


@pytest.mark.parametrize("module", ["radepth_jax", "radepth_jax.cli.main"])
def test_the_package_is_a_command_without_being_installed(module):
    command = [sys.executable, "-m", module, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == f"radepth {radepth_jax.__version__}\n"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "--config.loss.weights.consistancy=2",
            ["loss.weights.consistancy", 'Did you mean "consistency"'],
        ),
        ("--config.data.batch_size=many", ["--config.data.batch_size=many", "invalid literal"]),
        ("--config.views.resolution=(200,64)", ["200x64", "multiples of 16", "is 192x64"]),
        ("--config.views.names=('high',)", ["views.names", "'middle'"]),
        ("--config.batch_norm=global", ["config.batch_norm: expected one of per_view, joint"]),
        ("--config.optimizer.name=newton", ["config.optimizer.name", "adam, sgd"]),
        ("--config.model.depth.encoder.branches=7", ["model.depth.encoder.branches", "3 or 4"]),
        ("--config.loss.min_depth=200.0", ["loss.min_depth: expected", "got 200.0"]),
        ("--config.data.frame_offsets=(0,)", ["config.data.frame_offsets"]),
        ("--config.train.steps=-1", ["config.train.steps"]),
        ("--config.data.name=kitti_raw", ["not prepared", "radepth prepare kitti_raw"]),
        ("--config.data.train_split=night", ["no split 'night'"]),
        ("--colour=3", ["colour"]),
        ("stray", ["stray: expected only flags"]),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(radepth, street_dir, tmp_path, override, expected):
    field = override.split("=")[0]
    settings = [s for s in MICRO if not s.startswith(f"{field}=")]
    settings.append(f"--config.data.data_dir={street_dir}")
    if "train.steps" in override:
        settings.append("--config.train.epochs=0")
    result = radepth("train", STREET, f"--workdir={tmp_path / 'run'}", *settings, override)
    assert_one_line(result, *expected)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("form", ["--config.views.names={}", "--config.views.names {}"])
def test_a_tuple_given_twice_is_refused_and_a_number_is_the_last(radepth, tmp_path, form):
    twice = " ".join(form.format(name) for name in ("('middle',)", "('high',)")).split()
    settings = ["train", STREET, f"--workdir={tmp_path / 'run'}", "--config.data.data_dir=nowhere"]
    settings += ["--config.data.batch_size=8"]
    assert_one_line(radepth(*settings, *twice), "--config.views.names: given 2 times", "at once")
    numbers = ["--config.seed=1", "--config.seed=2"]
    assert_one_line(radepth(*settings, *numbers), "is not prepared in nowhere")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--workdir=run"], ["--config: expected a file such as configs/"]),
        (["--config=nowhere.py", "--workdir=run"], ["nowhere.py"]),
        ([STREET], ["--workdir: expected a folder"]),
        (
            [
                VIDEO,
                "--workdir=run",
                "--config.data.batch_size=8",
                "--config.data.fov=60",
                "--config.data.source=nowhere.mp4",
            ],
            ["nowhere.mp4"],
        ),
    ],
)
def test_train_needs_a_config_a_workdir_and_a_source_that_exists(
    radepth, tmp_path, monkeypatch, arguments, expected
):
    monkeypatch.chdir(tmp_path)
    assert_one_line(radepth("train", *arguments), *expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--checkpoint=nowhere"], ["nowhere: no checkpoint here"]),
        ([], ["--checkpoint"]),
    ],
)
def test_evaluate_needs_a_checkpoint(radepth, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert_one_line(radepth("evaluate", *arguments), *expected)
    assert not (tmp_path / "nowhere").exists()


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("radepth_jax.cli.prepare.main", broken)
    monkeypatch.setattr(sys, "argv", ["radepth", "prepare"])
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main()


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("radepth_jax.cli.prepare.main", interrupted)
    monkeypatch.setattr(sys, "argv", ["radepth", "prepare"])
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == 130
    assert "interrupted; the same command starts over" in capsys.readouterr().err


def test_a_preempted_run_is_one_line_and_the_code_to_restart_on(radepth, monkeypatch):
    def preempted(_):
        raise PreemptedError("asked to end (SIGTERM); step 3 of 9 is saved in runs/x")

    monkeypatch.setattr("radepth_jax.cli.train.main", preempted)
    code, _, err = radepth("train")
    said = "radepth train: asked to end (SIGTERM); step 3 of 9 is saved in runs/x\n"
    assert (code, err) == (75, said)


def test_so_is_one_that_has_not_begun(radepth, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        "radepth_jax.cli.train.parse", lambda _: os.kill(os.getpid(), signal.SIGTERM)
    )
    code, _, err = radepth("train")
    said = "asked to end (SIGTERM) before training; the same command starts again"
    assert (code, err) == (75, f"radepth train: {said}\n")
    assert signal.getsignal(signal.SIGTERM) == before


def test_user_errors_are_exceptions_of_their_own():
    assert not issubclass(UserError, ValueError)
