"""What the fault campaign reads off a run's folder, and how it counts."""

import json
import multiprocessing
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def faults():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "experiments")
        import fault_campaign

        yield fault_campaign


def test_a_run_is_read_off_its_folder(faults, tmp_path):
    assert (faults.last_logged(tmp_path), faults.newest_step(tmp_path)) == (0, 0)
    assert not faults.half_written(tmp_path)
    for name in ("10", "20", "30.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    lines = [{"step": 31, "train/total": 0.5, "train/loader_wait": 0.1}, {"step": 32}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(text)
    assert (faults.last_logged(tmp_path), faults.newest_step(tmp_path)) == (32, 20)
    assert faults.half_written(tmp_path)
    assert faults.logged_figures(tmp_path) == [{"step": 31, "train/total": 0.5}, {"step": 32}]


def fault(kind, run, lost):
    return {
        "kind": kind, "run": run, "steps_lost": lost, "left_half_written": lost > 5,
        "exit_code": 75 if kind == "sigterm" else -9, "seconds_to_end": 0.1, "orphans": 0,
        "traceback": False,
    }  # fmt: skip


def finished(run, identical):
    return {
        "kind": "finished", "run": run, "figures_identical": identical, "state_identical": True,
        "checkpoints_set_aside": False,
    }  # fmt: skip


def test_only_faults_of_runs_that_end_the_same_are_recoveries(faults):
    events = [
        fault("training", "run_0", 3), fault("sigterm", "run_0", 0), finished("run_0", True),
        fault("checkpoint", "run_1", 12), finished("run_1", False), fault("start", "run_2", 0),
        {"kind": "prepare", "left_incomplete": 1, "complete_when_killed": False, "same": True},
    ]  # fmt: skip
    figures = faults.summary(SimpleNamespace(events=events, steps=200))
    assert (figures["kills"], figures["sigterms"], figures["recoveries"]) == (4, 1, 3)
    assert (figures["steps_lost_at_most_by_kill"], figures["steps_lost_at_most_by_sigterm"]) == (
        12,
        0,
    )
    assert (figures["runs_finished"], figures["runs_bit_identical"]) == (2, 1)


def test_a_fork_runs_the_command_line_in_a_session_of_its_own(faults, tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=faults.radepth, args=(["trian"], tmp_path / "log.txt")
    )
    process.start()
    process.join()
    assert process.exitcode == 2
    assert "trian: no such command" in (tmp_path / "log.txt").read_text()
