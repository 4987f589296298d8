"""Kill a tiny training run and its preparation at random moments, rerun, and compare every bit.

    python experiments/fault_campaign.py --workdir runs/faults

One run is trained without interruption. Then others of the same seed are killed (SIGKILL) or asked
to end (SIGTERM) again and again, each time followed by the same command: at random moments of the
first seconds, of training, and of the writing of a checkpoint. Every figure that they log and the
final state must be bit-identical to the uninterrupted run's. Preparations are killed too, and the
data set must be the same, record for record. If the campaign is stopped, the same command goes on
where it was. All that it did is in events.jsonl. At the end it writes fault_campaign.json and .md
into --output.

Every command is a separate process, which is forked from one that has imported everything. That
saves seconds at each start.
"""

import argparse
import collections
import json
import multiprocessing
import os
import platform
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
CHECKPOINT_EVERY = 10
CONFIG = [
    "--config.data.name=street/tiny",
    "--config.model.depth.encoder.width=4",
    "--config.model.depth.encoder.stem_width=4",
    "--config.model.pose.widths=(8,8,16)",
    "--config.views.resolution=(64,32)",
    "--config.evaluate.resolutions=((64,32),)",
    "--config.data.batch_size=2",
    "--config.views.names=('middle',)",
    "--config.loss.weights.consistency=0.0",
    "--config.train.log_every=1",
    "--config.train.validate_every=100",
    "--config.train.picture_every=100",
    f"--config.train.checkpoint_every={CHECKPOINT_EVERY}",
]
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
FORK = multiprocessing.get_context("fork")
# These figures belong to the machine or to the process (its watch for a collapse), not to the run.
OF_THE_PROCESS = ("seconds_per_step", "samples_per_second", "loader_wait", "collapsed")
KINDS = ("start", "training", "checkpoint", "prepare", "sigterm")
PREEMPTED = 75


class Campaign:
    """A campaign in a folder (see the module)."""

    def __init__(self, workdir: Path, *, steps: int, seed: int, workers: int):
        self.workdir, self.steps, self.seed, self.workers = workdir.absolute(), steps, seed, workers
        self.workdir.mkdir(parents=True, exist_ok=True)
        self._file = self.workdir / "events.jsonl"
        self.events = (
            [json.loads(line) for line in self._file.read_text().splitlines()]
            if self._file.exists()
            else []
        )
        self._random = random.Random(f"{seed} {len(self.events)}")

    def record(self, **event: object) -> None:
        """Write an event to the file."""
        self.events.append(event)
        with self._file.open("a") as file:
            file.write(json.dumps(event) + "\n")
        print(json.dumps(event), flush=True)

    def count(self, kind: str) -> int:
        """How often a kind of fault has hit a live process."""
        return sum(event["kind"] == kind for event in self.events)

    def command(self, run: Path) -> list[str]:
        """The training command of a run. Every other run reads in worker processes."""
        return [
            "train",
            f"--config={HERE.parent}/configs/ra_depth_street.py",
            f"--workdir={run}",
            *CONFIG,
            f"--config.data.data_dir={self.workdir / 'data'}",
            f"--config.train.steps={self.steps}",
            f"--config.data.workers={self.workers if run.name[-1] in '13579' else 0}",
        ]

    def start(self, arguments: list[str], log: Path) -> multiprocessing.Process:
        """Start `radepth ARGUMENTS`, its output appended to `log`."""
        process = FORK.Process(target=radepth, args=([str(a) for a in arguments], log))
        process.start()
        return process

    def finish(self, arguments: list[str], log: Path) -> int:
        """Run `radepth ARGUMENTS` to its end. Returns the exit code."""
        process = self.start(arguments, log)
        process.join()
        return process.exitcode

    def fault_in_training(self, kind: str, run: Path) -> bool:
        """One attempt of a run with a fault in it. Returns whether the run came to its end."""
        run.mkdir(exist_ok=True)
        log, before = run / "log.txt", newest_step(run)
        log.touch()
        begin = log.stat().st_size
        process = self.start(self.command(run), log)
        if kind == "start":
            time.sleep(self._random.uniform(0, 8))
        else:
            wait_for(lambda: "\nstep " in log.read_text()[begin:], process)
            time.sleep(self._random.uniform(0, 4))
        if kind == "checkpoint":
            wait_for(lambda: half_written(run), process)
            time.sleep(self._random.uniform(0, 0.08))
        asked = time.monotonic()
        alive = process.is_alive()
        if kind == "sigterm":
            os.killpg(process.pid, signal.SIGTERM)  # as schedulers do: the loader's processes too
        else:
            process.kill()
        process.join()
        code = process.exitcode
        seconds = time.monotonic() - asked
        said = log.read_text()[begin:]
        if not alive or (kind == "sigterm" and code == 0):
            if code != 0:
                raise SystemExit(f"a run ended with {code}; see {log}")
            return True
        if kind == "sigterm" and code != PREEMPTED:
            raise SystemExit(f"SIGTERM: exit code {code}; see {log}")
        logged, kept = last_logged(run), newest_step(run)
        self.record(
            kind=kind,
            run=run.name,
            continued_from=continued(said),
            newest_checkpoint_before=before,
            last_logged_step=logged,
            newest_checkpoint=kept,
            steps_lost=max(logged - kept, 0),
            left_half_written=half_written(run),
            exit_code=code,
            seconds_to_end=round(seconds, 3),
            orphans=orphans(process.pid),
            traceback="Traceback" in said,
        )
        return False

    def fault_in_prepare(self) -> None:
        """Kill a preparation somewhere between its first file and its end, and run it again."""
        data = self.workdir / "data_killed"
        shutil.rmtree(data, ignore_errors=True)
        arguments = ["prepare", "street/tiny", f"--data_dir={data}"]
        log = self.workdir / "prepare.txt"
        process = self.start(arguments, log)
        wait_for(lambda: any(data.rglob("incomplete.*")), process)
        time.sleep(self._random.uniform(0, 0.9 * self.prepare_seconds()))
        alive = process.is_alive()
        process.kill()
        process.join()
        whole = list(data.rglob("dataset_info.json"))
        left = [path for path in data.rglob("*") if "incomplete" in path.name]
        finished = any("incomplete" not in str(path) for path in whole)
        code = self.finish(arguments, log)
        if code or not in_child(same_records, self.workdir / "data", data):
            raise SystemExit(f"the data set in {data} is not the same; see {log}")
        if alive:
            self.record(
                kind="prepare", left_incomplete=len(left), complete_when_killed=finished, same=True
            )

    def prepare_seconds(self) -> float:
        """How long an uninterrupted preparation takes from its first file to its end."""
        found = self.workdir / "prepare_seconds.json"
        if not found.exists():
            data = self.workdir / "data"
            shutil.rmtree(data, ignore_errors=True)
            arguments = ["prepare", "street/tiny", f"--data_dir={data}"]
            process = self.start(arguments, self.workdir / "prepare.txt")
            wait_for(lambda: any(data.rglob("incomplete.*")), process)
            start = time.monotonic()
            process.join()
            if process.exitcode:
                raise SystemExit(f"see {self.workdir / 'prepare.txt'}")
            found.write_text(json.dumps(time.monotonic() - start))
        return json.loads(found.read_text())

    def reference(self) -> Path:
        """The folder of the run without interruption."""
        run = self.workdir / "reference"
        if not (self.workdir / "reference_done").exists():
            shutil.rmtree(run, ignore_errors=True)
            run.mkdir()
            if self.finish(self.command(run), run / "log.txt"):
                raise SystemExit(f"see {run / 'log.txt'}")
            (self.workdir / "reference_done").touch()
        return run

    def compare(self, run: Path) -> None:
        """A run that came to its end against the uninterrupted one: figures and final state."""
        reference = self.reference()
        figures = logged_figures(run) == logged_figures(reference)
        state = in_child(same_state, reference, run)
        unreadable = (run / "unreadable_checkpoints").exists()
        self.record(
            kind="finished",
            run=run.name,
            figures_identical=figures,
            state_identical=state,
            checkpoints_set_aside=unreadable,
        )
        if not (figures and state) or unreadable:
            raise SystemExit(f"{run} is not as {reference}")

    def go(self, wanted: dict[str, int]) -> None:
        """Run until every kind of fault has happened as often as wanted, and all runs ended."""
        commit = self.workdir / "commit"
        if not commit.exists():
            commit.write_text(
                subprocess.check_output(
                    ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, text=True
                )
            )
        self.prepare_seconds()
        self.reference()
        while any(self.count(kind) < number for kind, number in wanted.items()):
            left = {kind: number - self.count(kind) for kind, number in wanted.items()}
            kinds = [kind for kind in KINDS for _ in range(max(left.get(kind, 0), 0))]
            kind = self._random.choice(kinds)
            if kind == "prepare":
                self.fault_in_prepare()
                continue
            run = self.workdir / f"run_{self.count('finished')}"
            if self.fault_in_training(kind, run):
                self.compare(run)
        run = self.workdir / f"run_{self.count('finished')}"
        if run.exists():
            code = self.finish(self.command(run), run / "log.txt")
            if code:
                raise SystemExit(f"the last rerun ended with {code}; see {run / 'log.txt'}")
            self.compare(run)


def radepth(arguments: list[str], log: Path) -> None:
    """Runs the command line in a forked process, with its own session and log."""
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout.reconfigure(line_buffering=True)
    sys.argv = ["radepth", *arguments]
    from radepth_jax.cli.main import main

    main()


def in_child(question: Callable[..., bool], *arguments: object) -> bool:
    """Ask in a separate process, because JAX's threads must not exist when another is forked."""
    process = FORK.Process(target=lambda: sys.exit(0 if question(*arguments) else 3))
    process.start()
    process.join()
    if process.exitcode not in (0, 3):
        raise SystemExit(f"{question.__name__}{arguments} failed")
    return process.exitcode == 0


def wait_for(condition: Callable[[], bool], process: multiprocessing.Process) -> None:
    """Return as soon as a condition holds or the process has ended."""
    while process.is_alive() and not condition():
        time.sleep(0.002)


def last_logged(run: Path) -> int:
    """The last step with a figure in a run's metrics.jsonl. 0 if there is none."""
    path = run / "metrics.jsonl"
    found = re.findall(r'^{"step": (\d+)', path.read_text(), re.MULTILINE) if path.exists() else []
    return max(map(int, found), default=0)


def newest_step(run: Path) -> int:
    """The step of a run's newest whole checkpoint. 0 if there is none."""
    folder = run / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return max((int(name) for name in names if name.isdigit()), default=0)


def half_written(run: Path) -> bool:
    """Whether a run has a checkpoint that is not completely written."""
    folder = run / "checkpoints"
    return folder.exists() and any("tmp" in path.name for path in folder.iterdir())


def continued(said: str) -> int | None:
    """The step from which a process said that it goes on."""
    found = re.search(r"continuing from step (\d+)", said)
    return int(found[1]) if found else None


def orphans(group: int) -> int:
    """How many processes of a killed process's group are there after five seconds."""
    deadline = time.monotonic() + 5
    while (number := len(members(group))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return number


def members(group: int) -> list[int]:
    """The live processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = path.read_text().rsplit(")", 1)[1].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of_group) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def records(data_dir: Path) -> list[tuple]:
    """Every value of every record of a `street/tiny`, in order, and the metadata.

    (Not the files' bytes: protocol buffers order a record's fields at random.)
    """
    import numpy as np

    from radepth_jax.data import open_dataset

    dataset = open_dataset("street/tiny", data_dir)
    found: list[tuple] = [("metadata", dataset.metadata.to_json())]
    for split, number in {"frames": len(dataset.metadata.index), **dataset.splits}.items():
        for position in range(number):
            record = dataset.record(split, position)
            values = {name: np.asarray(value).tobytes() for name, value in record.items()}
            found.append((split, position, values))
    return found


def same_records(a: Path, b: Path) -> bool:
    """Whether two data sets hold the same."""
    return records(a) == records(b)


def logged_figures(run: Path) -> list[dict]:
    """Everything that a run logged about itself."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name.split("/")[-1] not in OF_THE_PROCESS}
        for line in lines
    ]


def same_state(a: Path, b: Path) -> bool:
    """Whether the newest checkpoints of two runs are equal in every bit."""
    import jax
    import numpy as np

    from radepth_jax.runs.checkpoint import load_checkpoint

    one, other = (jax.tree.leaves(load_checkpoint(run)[0]) for run in (a, b))
    return len(one) == len(other) and all(
        np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in zip(one, other, strict=True)
    )


def summary(campaign: Campaign) -> dict:
    """The campaign in figures."""
    faults = [event for event in campaign.events if event["kind"] in KINDS]
    in_training = [event for event in faults if "steps_lost" in event]
    killed = [event for event in in_training if event["kind"] != "sigterm"]
    asked = [event for event in in_training if event["kind"] == "sigterm"]
    finished = [event for event in campaign.events if event["kind"] == "finished"]
    identical = {
        event["run"]
        for event in finished
        if event["state_identical"] and event["figures_identical"]
    }
    return {
        "faults": dict(collections.Counter(event["kind"] for event in faults)),
        "kills": len(faults) - len(asked),
        "sigterms": len(asked),
        "recoveries": sum(e["same"] if "same" in e else e["run"] in identical for e in faults),
        "kills_that_left_a_half_written_checkpoint": sum(e["left_half_written"] for e in killed),
        "kills_that_left_a_half_written_data_set": sum(
            event.get("left_incomplete", 0) > 0 for event in faults
        ),
        "checkpoint_every": CHECKPOINT_EVERY,
        "steps_lost_at_most_by_kill": max((e["steps_lost"] for e in killed), default=None),
        "steps_lost_at_most_by_sigterm": max((e["steps_lost"] for e in asked), default=None),
        "sigterm_exit_codes": sorted({event["exit_code"] for event in asked}),
        "seconds_from_sigterm_to_end_at_most": max(
            (event["seconds_to_end"] for event in asked), default=None
        ),
        "orphan_processes": sum(event["orphans"] for event in in_training),
        "tracebacks": sum(event["traceback"] for event in in_training),
        "corrupt_states": sum(event["checkpoints_set_aside"] for event in finished),
        "runs_finished": len(finished),
        "runs_bit_identical": len(identical),
        "steps_a_run": campaign.steps,
    }


def write(campaign: Campaign, output: Path) -> None:
    """The figures as JSON, with every event, and as a Markdown table."""
    import jax

    facts = {
        "command": shlex.join(["python", f"experiments/{Path(__file__).name}", *sys.argv[1:]]),
        "commit": (campaign.workdir / "commit").read_text().strip(),
        "hardware": f"{platform.machine()}, {len(os.sched_getaffinity(0))} CPU core(s), shared",
        "jax": jax.__version__,
    }
    figures = summary(campaign)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "fault_campaign.json"
    path.write_text(json.dumps(facts | figures | {"events": campaign.events}, indent=1) + "\n")
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in (facts | figures).items()]
    table = "\n".join(["| fault campaign | |", "|---|---|", *rows])
    (output / "fault_campaign.md").write_text(table + "\n")
    print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", default="runs/faults", type=Path)
    parser.add_argument("--output", default=HERE / "results", type=Path)
    parser.add_argument("--also", nargs="*", default=[], type=Path, help="count these folders, too")
    parser.add_argument("--steps", type=int, default=200, help="the steps of a run")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the moments")
    parser.add_argument("--workers", type=int, default=1, help="loader processes, in every 2nd run")
    for kind, number in zip(KINDS, (5, 22, 13, 12, 10), strict=True):
        parser.add_argument(f"--{kind}", type=int, default=number, help="how many of this kind")
    options = vars(parser.parse_args())
    os.environ |= ENVIRONMENT | {
        "JAX_COMPILATION_CACHE_DIR": str(options["workdir"].absolute() / "cache")
    }
    import radepth_jax.data.street
    import radepth_jax.training.loop  # noqa: F401

    wanted = {kind: options.pop(kind) for kind in KINDS}
    output, workdir, also = (options.pop(name) for name in ("output", "workdir", "also"))
    campaign = Campaign(workdir, **options)
    campaign.go(wanted)
    for other in also:
        for event in Campaign(other, **options).events:
            campaign.events.append(event | {"run": f"{other.name}/{event.get('run', '')}"})
    write(campaign, output)


if __name__ == "__main__":
    main()
