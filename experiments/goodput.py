"""The cost of killed processes: which share of the time went into steps that counted.

    python experiments/goodput.py --workdir runs/goodput --minutes 3

A tiny run is killed at random and started again at once, until the time is up. This is done for
each rate of kills and each interval between checkpoints. Goodput is the steps of the newest
checkpoint, times the time of an undisturbed step, over the whole time. A minute stands for hours on
a cluster, because only the ratios of the time between faults to the times of a start, a step and a
save matter. With `--processes 2` each run is two processes, one of which is killed.
"""

import argparse
import json
import random
import re
import socket
import time
from pathlib import Path

from fault_campaign import CONFIG, FORK, HERE, newest_step, radepth

from radepth_jax.training.goodput import best_interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=Path("runs/goodput"))
    parser.add_argument("--minutes", type=float, default=3, help="minutes of each run")
    parser.add_argument("--kills", default="0,0.2,1", help="kills per minute, by commas")
    parser.add_argument("--every", default="5,50,500", help="steps between checkpoints, by commas")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1)
    options = parser.parse_args()
    import radepth_jax.training.loop  # noqa: F401 - forked processes start seconds sooner

    rows = []
    for kills in map(float, options.kills.split(",")):
        for every in map(int, options.every.split(",")):
            run = options.workdir / f"kills{kills:g}_every{every}_processes{options.processes}"
            row = {"kills a minute": kills, "every": every} | disturb(run, kills, every, options)
            rows.append(row)
            print(json.dumps(row), flush=True)
    undisturbed = min(row["seconds a step"] for row in rows)  # measured without saves
    for row in rows:
        row["goodput"] = round(row["steps"] * undisturbed / row["seconds"], 3)
        print(json.dumps(row))
    (options.workdir / "goodput.json").write_text(json.dumps(rows, indent=1) + "\n")


def disturb(run: Path, kills: float, every: int, options: argparse.Namespace) -> dict:
    """Train for the given time with random kills. Returns the figures."""
    run.mkdir(parents=True, exist_ok=True)
    chance = random.Random(f"{kills} {every}")
    begun, starts, killed = time.monotonic(), 0, 0
    end = begun + 60 * options.minutes
    while time.monotonic() < end:
        group = start(run, every, options)
        starts += 1
        wait = chance.expovariate(kills / 60) if kills else float("inf")
        group[0].join(min(wait, end - time.monotonic()))
        if time.monotonic() < end and group[0].is_alive():
            killed += 1
        group[-1].kill()
        for process in group:
            process.join(10)
            process.kill()
            process.join()
    seconds = time.monotonic() - begun
    figures = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    a_step = sorted(f["train/seconds_per_step"] for f in figures if "train/seconds_per_step" in f)
    said = re.findall(r"hold training up for ([\d.]+) s", (run / "log0.txt").read_text())
    return {
        "seconds": round(seconds, 1),
        "starts": starts,
        "killed": killed,
        "steps": newest_step(run),
        "seconds a step": a_step[len(a_step) // 2],
        "best interval, s": round(best_interval(float(said[0]), 60 / kills), 1)
        if said and kills
        else None,
    }


def start(run: Path, every: int, options: argparse.Namespace) -> list:
    """Start the processes of a run."""
    arguments = [
        "train",
        f"--config={HERE.parent}/configs/ra_depth_street.py",
        f"--workdir={run}",
        *(text for text in CONFIG if "checkpoint_every" not in text),
        f"--config.data.data_dir={options.workdir / 'data'}",
        f"--config.train.checkpoint_every={every}",
        "--config.train.steps=100000",
        "--config.train.validate_every=0",
        "--config.train.picture_every=0",
        "--config.train.log_every=5",
    ]
    port = free_port()
    group = []
    for number in range(options.processes):
        own = arguments
        if options.processes > 1:
            place = f"--coordinator=127.0.0.1:{port}", f"--process={number}"
            own = [*arguments, *place, f"--processes={options.processes}", "--peer_timeout=10"]
        process = FORK.Process(target=radepth, args=(own, run / f"log{number}.txt"))
        process.start()
        group.append(process)
    return group


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


if __name__ == "__main__":
    main()
