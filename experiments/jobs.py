"""Stages whose results are saved at once, and commands that run at the same time."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Report:
    """Results by stage, on disk after every one of them."""

    def __init__(self, folder: Path):
        self.folder, self.start = folder, time.perf_counter()
        self.results: dict[str, Any] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def seconds(self) -> float:
        """The seconds since the start."""
        return time.perf_counter() - self.start

    def run(self, name: str, stage: Callable[[], Any]) -> Any:
        """Run a stage, and keep what it returns or why it failed."""
        begun = self.seconds()
        try:
            result = stage()
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            result = {"failed": f"{type(error).__name__}: {error}"[:2000]}
        self.add(name, {"at": round(begun), "took": round(self.seconds() - begun, 1)} | result)
        return result

    def add(self, name: str, result: dict) -> None:
        """Keep a result under a name."""
        with self._lock:
            self.results[name] = result
            print(f"[{self.seconds():4.0f} s] {name}: {json.dumps(result)[:1500]}", flush=True)
            text = json.dumps(self.results, indent=1)
            (self.folder / "results.json").write_text(text + "\n")
            lines = ["# On a GPU", ""]
            for title, values in self.results.items():
                lines += [f"## {title}", "", "| | |", "|---|---|"]
                lines += [f"| {key} | {_cell(value)} |" for key, value in values.items()] + [""]
            (self.folder / "results.md").write_text("\n".join(lines))


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(each)}" for key, each in value.items())
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    return _number(value)


def _number(value: Any) -> str:
    """Four significant digits for a number."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Jobs:
    """Commands that run at the same time. One may wait until the one it comes `after` has ended."""

    def __init__(self, jobs: list[dict], output: Path, at_once: int, report: Report):
        self.waiting, self.output, self.at_once = list(jobs), output, at_once
        self.running: dict[str, tuple[subprocess.Popen, float]] = {}
        self.report, self._stop = report, threading.Event()
        self._thread: threading.Thread | None = None
        self._lock, self._resting = threading.Lock(), False

    def begin(self) -> None:
        """Start the commands, unless they have been started."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def rest(self) -> None:
        """Stop the running commands where they are, and begin no other."""
        with self._lock:
            self._resting = True
            self._signal(signal.SIGSTOP)
        time.sleep(1)  # the device finishes the work that it has

    def resume(self) -> None:
        """Go on."""
        with self._lock:
            self._resting = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process, _ in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, number)

    def _work(self) -> None:
        while not self._stop.is_set() and (self.waiting or self.running):
            with self._lock:
                if not self._resting:
                    self._collect()
                    self._start_more()
            time.sleep(0.2)

    def _collect(self) -> None:
        for name, (process, begun) in list(self.running.items()):
            if process.poll() is not None:
                del self.running[name]
                self._report(name, process.returncode, begun)

    def _start_more(self) -> None:
        unfinished = {job["name"] for job in self.waiting} | set(self.running)
        for job in list(self.waiting):
            if len(self.running) >= self.at_once:
                return
            if job.get("after") in unfinished:
                continue
            self.waiting.remove(job)
            with (self.output / f"{job['name']}.log").open("w") as log:
                process = subprocess.Popen(
                    [sys.executable, *job["command"]],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=os.environ | job.get("env", {}),
                )
            self.running[job["name"]] = process, self.report.seconds()

    def _report(self, name: str, code: Any, begun: float) -> None:
        seconds = round(self.report.seconds() - begun, 1)
        last = last_lines(self.output / f"{name}.log")
        self.report.add(f"job {name}", {"code": code, "seconds": seconds, "last": last})

    def wait(self, deadline: float) -> None:
        """Wait until all are done, or until `deadline` seconds since the start. Then end them."""
        self.begin()
        assert self._thread is not None
        self._thread.join(max(deadline - self.report.seconds(), 0))
        self._stop.set()
        self._thread.join()
        self._signal(signal.SIGTERM)
        for name, (_, begun) in self.running.items():
            self._report(name, "out of time", begun)
        for job in self.waiting:
            self.report.add(f"job {job['name']}", {"code": "not begun"})


def last_lines(path: Path, number: int = 12) -> str:
    """The end of a log."""
    return " / ".join(path.read_text(errors="replace").splitlines()[-number:])[-1500:]
