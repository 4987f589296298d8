"""Memory that a step frees is kept for the next one, seen by the page faults that a run logs."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from radepth_jax.runs.config import to_json
from radepth_jax.training.health import FRESH_PAGES, fresh_memory
from radepth_jax.training.metric_log import read_metrics

ROOT = Path(__file__).parents[2]

CONFIG = """
from radepth_jax.runs.migrations import from_json

def get_config():
    return from_json({values!r})
"""
# Each is run with the config file's folder in `sys.path`, and the run's folder as its argument.
COMMAND = """
import sys
from radepth_jax.cli import main
sys.argv = ["radepth", "train", "--config", "micro.py", "--workdir", sys.argv[1]]
main.main()
"""
SCRIPT = """
import sys
import runner
from micro import get_config
from radepth_jax.training.loop import train
runner.main(lambda: train(get_config(), sys.argv[1]))
"""
JAX_FIRST = """
import sys
from micro import get_config
from radepth_jax.data.prepare import prepare
from radepth_jax.training.loop import train
prepare("street/tiny", data_dir=sys.argv[1] + "_data")  # which renders with JAX
train(get_config(), sys.argv[1])
"""


@pytest.fixture
def run(micro_config, tmp_path):
    """Run a program that trains, in a process of its own -> (page faults a step, its output)."""
    # A workspace of more than 64 MB, which the arena of a thread cannot hold.
    micro_config.views.names = ("middle",)
    micro_config.data.batch_size = 72
    # The heap grows in the first steps, until every block finds a place.
    micro_config.train.steps, micro_config.train.log_every = 30, 10
    micro_config.train.checkpoint_every = 30
    (tmp_path / "micro.py").write_text(CONFIG.format(values=to_json(micro_config)))

    def train(program: str) -> tuple[float, str]:
        environment = os.environ | {
            "JAX_NUM_CPU_DEVICES": "1",
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "experiments", tmp_path))),
        }
        command = [sys.executable, "-c", program, str(tmp_path / "run")]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        _, faults = read_metrics(tmp_path / "run", "train/page_faults")
        return float(faults[-1]), done.stdout + done.stderr

    return train


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
@pytest.mark.parametrize("program", [COMMAND, SCRIPT], ids=["command", "script"])
def test_a_step_maps_no_memory_afresh(program, run):
    faults, printed = run(program)
    assert faults < 500
    assert "afresh" not in printed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_a_program_that_used_jax_first_is_told_what_it_costs(run):
    faults, printed = run(JAX_FIRST)
    assert faults > FRESH_PAGES
    assert "Call radepth_jax.startup.start_program() before anything of JAX" in printed


def test_a_few_page_faults_are_not_worth_a_word():
    assert fresh_memory(50) is None
    assert "120 MB" in str(fresh_memory(30_720))
