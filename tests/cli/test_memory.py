"""That freed memory is kept, seen by the page faults of using it again."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
import sys
import numpy as np
from radepth_jax.cli.memory import keep_freed_memory

def touch():
    np.empty(int(sys.argv[1]), np.uint8)[::4096] = 1

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        touch()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
keep_freed_memory()
touch()
print(without, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
@pytest.mark.parametrize("size", [100 * 2**20, 2**31 + 2**20])
def test_freed_blocks_are_used_again_without_page_faults(size):
    # A process of its own: the settings stay.
    command = [sys.executable, "-c", COUNT, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    without, kept = map(int, done.stdout.split())
    assert kept < without / 10
