"""Kill, stop or end one of two training processes, restart both, and compare every bit.

    python experiments/lost_process.py --workdir runs/lost_process

Two processes of two virtual CPU devices each (gloo) train without interruption. Then one of the two
is lost after step 2 is saved, in several ways. For each way it is noted how the other process ends,
after how long, and with which last line. Both are started again, and the final state must be
bit-identical to the uninterrupted run's. The run is also resumed on one and on four devices of a
single process (elastic resume), where the parameters must agree within 1e-5. lost_process.json and
.md go into --output. If the script is stopped, the same command goes on where it was. `--only NAME`
does one case.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
STEPS, EVERY, PEER_TIMEOUT = 6, 2, 10
CONFIG = [
    "--config.data.name=street/tiny",
    "--config.model.depth.encoder.width=4",
    "--config.model.depth.encoder.stem_width=4",
    "--config.model.pose.widths=(8,8,16)",
    "--config.views.resolution=(64,32)",
    "--config.views.names=('middle',)",
    "--config.evaluate.resolutions=((64,32),)",
    "--config.data.batch_size=8",
    "--config.data.workers=0",
    "--config.batch_norm_sync=True",
    "--config.optimizer.name=sgd",  # Adam would amplify rounding
    "--config.optimizer.learning_rate=0.01",
    "--config.optimizer.warmup_steps=0",
    "--config.train.middle_view_steps=0",
    "--config.train.log_every=1",
    f"--config.train.validate_every={STEPS}",
    f"--config.train.picture_every={STEPS}",
    f"--config.train.checkpoint_every={EVERY}",
    f"--config.train.steps={STEPS}",
]
# These settings compile quickly, and are the same for every run.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
}
# Maps names to (the process that is lost, the signal that it gets).
LOSSES = {
    "kill-0": (0, signal.SIGKILL),
    "kill-1": (1, signal.SIGKILL),
    "stop-1": (1, signal.SIGSTOP),
    "sigterm-1": (1, signal.SIGTERM),
}
RESUMES = {f"resume-on-{devices}": devices for devices in (1, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", default="runs/lost_process", type=Path)
    parser.add_argument("--output", default=HERE / "results", type=Path)
    parser.add_argument(
        "--report", action="store_true", help="only write the tables of the results so far"
    )
    parser.add_argument("--only", choices=["reference", *LOSSES, *RESUMES])
    options = parser.parse_args()
    workdir = options.workdir.absolute()
    workdir.mkdir(parents=True, exist_ok=True)
    from radepth_jax.data import prepare

    prepare("street/tiny", data_dir=workdir / "data")
    cases = {"reference": lambda: pair(workdir, "reference")}
    cases |= {name: lambda name=name: lose(workdir, name) for name in LOSSES}
    cases |= {name: lambda name=name: resume(workdir, name) for name in RESUMES}
    for name, do in cases.items():
        file = workdir / f"{name}.json"
        if options.only in (None, name) and not file.exists() and not options.report:
            shutil.rmtree(workdir / name, ignore_errors=True)
            file.write_text(json.dumps(do()) + "\n")
            print(name, file.read_text(), flush=True)
    if not options.only:
        report(workdir, options.output)


def pair(workdir: Path, run: str) -> dict:
    """Train with two processes to the end."""
    codes = [process.wait() for process in start(workdir, run)]
    if any(codes):
        raise SystemExit(f"{run}: exit codes {codes}, see {workdir / run}.*.log")
    return {"codes": codes}


def start(workdir: Path, run: str, processes: int = 2, devices: int = 2) -> list[subprocess.Popen]:
    """Start the processes of a run. Each has its own log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | ENVIRONMENT | {"JAX_NUM_CPU_DEVICES": str(devices)}
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(workdir / "cache"))
    arguments = [
        "train",
        f"--config={HERE.parent}/configs/ra_depth_street.py",
        f"--workdir={workdir / run}",
        *CONFIG,
        f"--config.data.data_dir={workdir / 'data'}",
    ]
    started = []
    for i in range(processes):
        flags = []
        if processes > 1:
            flags = [f"--coordinator=127.0.0.1:{port}", f"--processes={processes}"]
            flags += [f"--process={i}", f"--peer_timeout={PEER_TIMEOUT}"]
        code = "from radepth_jax.cli.main import main; main()"
        with (workdir / f"{run}.{i}.log").open("a") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-c", code, *arguments, *flags],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
            )
    return started


def lose(workdir: Path, name: str) -> dict:
    """Lose one process of a pair, see how the other ends, and finish the run."""
    victim, signal_number = LOSSES[name]
    started = start(workdir, name)
    wait_for(workdir / name / "checkpoints" / str(EVERY), started)
    # The process that trains is the child of the one that watches it.
    training = int(subprocess.check_output(["pgrep", "-P", str(started[victim].pid)], text=True))
    os.kill(training, signal_number)
    begun = time.monotonic()
    code = started[1 - victim].wait()
    seconds = time.monotonic() - begun
    if signal_number == signal.SIGSTOP:
        os.kill(training, signal.SIGKILL)
    victims_code = started[victim].wait()
    log = (workdir / f"{name}.{1 - victim}.log").read_text().splitlines()
    saved = max(int(p.name) for p in (workdir / name / "checkpoints").iterdir() if p.name.isdigit())
    pair(workdir, name)
    return {
        "code": code,
        "seconds": round(seconds, 1),
        "victims_code": victims_code,
        "last_line": log[-1].replace(f"{workdir}/", ""),
        "resumed_from": saved,
        "difference": difference(workdir, name),
    }


def resume(workdir: Path, name: str) -> dict:
    """Finish the pair's run from its first checkpoint in one process of other devices."""
    first = Path("checkpoints", str(EVERY))
    shutil.copytree(workdir / "reference" / first, workdir / name / first)
    (process,) = start(workdir, name, 1, RESUMES[name])
    if process.wait():
        raise SystemExit(f"{name}: failed, see {workdir / name}.0.log")
    return {"resumed_from": EVERY, "difference": difference(workdir, name)}


def wait_for(path: Path, processes: list[subprocess.Popen]) -> None:
    """Wait until the path exists."""
    while not path.exists():
        if any(process.poll() is not None for process in processes):
            raise SystemExit(f"{path}: a process ended before it was there")
        time.sleep(0.02)


def difference(workdir: Path, name: str) -> float:
    """The largest difference of the final state to the uninterrupted run's."""
    import jax

    from radepth_jax.runs.checkpoint import load_checkpoint

    states = [load_checkpoint(workdir / run)[0] for run in (name, "reference")]
    assert all(int(state.step) == STEPS for state in states)
    pairs = zip(*map(jax.tree.leaves, states), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


def report(workdir: Path, output: Path) -> None:
    """Write the tables, and fail unless every continuation is exact."""
    names = [*LOSSES, *RESUMES]
    files = {name: workdir / f"{name}.json" for name in names}
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    losses, resumes = ([name for name in kind if name in found] for kind in (LOSSES, RESUMES))
    lines = [
        f"Two processes of two devices, {STEPS} steps, a checkpoint every {EVERY}, peer timeout "
        f"{PEER_TIMEOUT} s.",
        "",
        "| lost | other's exit code | after | restarted from | difference at the end |",
        "|---|---|---|---|---|",
        *(
            "| {} | {code} | {seconds} s | step {resumed_from} | {difference:g} |".format(
                name, **found[name]
            )
            for name in losses
        ),
        "",
        "| resumed in one process on | difference to the pair |",
        "|---|---|",
        *(
            "| {} device{} | {:.1e} |".format(
                RESUMES[n], "s" * (RESUMES[n] > 1), found[n]["difference"]
            )
            for n in resumes
        ),
        "",
        "Last lines of the processes that were left:",
        "",
        *(f"- {name}: `{found[name]['last_line']}`" for name in losses),
        "",
        f"Not run: {', '.join(name for name in names if name not in found) or 'none'}.",
    ]
    output.mkdir(parents=True, exist_ok=True)
    (output / "lost_process.md").write_text("\n".join(lines) + "\n")
    (output / "lost_process.json").write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(lines))
    exact = all(found[name]["difference"] == 0 for name in losses)
    if not exact or any(found[name]["difference"] > 1e-5 for name in resumes):
        raise SystemExit("not the same")


if __name__ == "__main__":
    main()
