import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from radepth_jax import files
from radepth_jax.files import atomic_write, remove_stale_parts
from radepth_jax.names import LONGEST

ROOT = Path(__file__).parents[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_writers_of_one_file_both_succeed_and_it_is_whole(tmp_path):
    path = tmp_path / "film.mp4"
    both_write = threading.Barrier(2)

    def write(letter):
        with atomic_write(path) as part:
            with part.open("w") as file:
                file.write(letter * 1000)
                both_write.wait(10)
                file.write(letter * 1000)
            both_write.wait(10)
        succeeded.append(letter)

    succeeded = []
    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(succeeded) == ["a", "b"]
    assert path.read_text() in ("a" * 2000, "b" * 2000)
    assert names(tmp_path) == ["film.mp4"]


@pytest.mark.parametrize("length", [1, LONGEST])
def test_names_of_any_length_have_a_part(tmp_path, length):
    path = tmp_path / ("x" * length)
    with atomic_write(path) as part:
        part.write_text("whole")
    assert names(tmp_path) == [path.name]


def test_what_a_killed_writer_left_is_deleted_and_a_living_ones_part_stays(tmp_path):
    code = (
        "import os, sys, signal; from pathlib import Path\n"
        "from radepth_jax.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed.mp4")]
    assert subprocess.run(command, cwd=ROOT, timeout=60).returncode == -9
    (left,) = names(tmp_path)
    assert left.startswith(".killed.mp4.")
    (tmp_path / ".someone_elses.part").touch()
    with atomic_write(tmp_path / "alive.mp4") as part:
        part.write_text("whole")
        remove_stale_parts([tmp_path, tmp_path / "not_there"])
        assert names(tmp_path) == sorted([part.name, ".someone_elses.part"])
    assert names(tmp_path) == [".someone_elses.part", "alive.mp4"]


def test_without_locks_a_file_is_whole_and_no_part_is_deleted(tmp_path, monkeypatch):
    """As on Windows, which renames no file that anybody has open."""
    monkeypatch.setattr(files, "HAS_LOCKS", False)
    stale = tmp_path / ".killed.mp4.0123abcd.part"
    stale.touch()
    with atomic_write(tmp_path / "film.mp4") as part:
        links = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.exists()]
        assert str(part) not in links
        part.write_text("whole")
        remove_stale_parts([tmp_path])
        assert names(tmp_path) == sorted([part.name, stale.name])
    assert (tmp_path / "film.mp4").read_text() == "whole"
    assert names(tmp_path) == [stale.name, "film.mp4"]
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "other.mp4"):
        raise ZeroDivisionError
    assert names(tmp_path) == [stale.name, "film.mp4"]
