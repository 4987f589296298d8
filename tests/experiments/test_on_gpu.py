"""A rehearsal of what a lent GPU is asked: stages, jobs that wait for each other, the files."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "experiments" / "on_gpu.py"


def test_stages_and_jobs_leave_their_results_as_they_come(tmp_path):
    first = tmp_path / "first_is_done"
    jobs = [
        {"name": "second", "after": "first", "command": ["-c", f"open({str(first)!r}); print(2)"]},
        {"name": "first", "command": ["-c", f"open({str(first)!r}, 'w').close()"]},
        {"name": "broken", "command": ["-c", "raise SystemExit('no such thing')"]},
        {"name": "endless", "command": ["-c", "import time; time.sleep(600)"]},
    ]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    options = [f"--jobs={tmp_path / 'jobs.json'}", f"--output={tmp_path / 'out'}"]
    command = [sys.executable, str(SCRIPT), "--tiny", "--minutes=0.6", "--stages=device,train"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["device"]["copy_gb_per_s"] > 0
    codes = {name: results[f"job {name}"]["code"] for name in ("first", "second", "broken")}
    assert codes == {"first": 0, "second": 0, "broken": 1}
    assert results["job second"]["last"] == "2"
    assert "no such thing" in results["job broken"]["last"]
    assert results["job endless"]["code"] == "out of time"
    assert "## job endless" in (tmp_path / "out" / "results.md").read_text()
