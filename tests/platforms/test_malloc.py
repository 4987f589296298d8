"""That freed memory is kept, seen by page faults, and that its pieces are put aside."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
import sys
import numpy as np
from radepth_jax.platforms.cpu.malloc import keep_freed_memory

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


FRAGMENT = """
import numpy as np
from radepth_jax.platforms.cpu.malloc import (
    heap_info, keep_freed_memory, reserve_heap_fragments
)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

keep_freed_memory()
untouched = reserve_heap_fragments(50_000)
blocks = [bytearray(int(n)) for n in np.random.default_rng(0).integers(5000, 13000, 120_000)]
del blocks[::2]
before = resident()
free = heap_info()
few = reserve_heap_fragments(untouched)
left = heap_info()
again = reserve_heap_fragments(few)
print(untouched, left.pieces, few, again, heap_info().pieces)
print((left.free - left.top) / (free.free - free.top), resident() / before)
"""

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc has these settings"
)


@needs_glibc
@pytest.mark.parametrize("size", [100 * 2**20, 2**31 + 2**20])
def test_freed_blocks_are_used_again_without_page_faults(size):
    without, kept = map(int, run(COUNT, str(size)).split())
    assert kept < without / 10


@needs_glibc
def test_free_pieces_between_live_blocks_are_put_aside_once():
    counts, shares = run(FRAGMENT).splitlines()
    untouched, left, few, again, at_the_end = map(int, counts.split())
    assert untouched == 50_000
    assert few == again  # nothing was done: there are no 50,000 pieces more than are left
    assert abs(few - (left + 50_000)) < 100
    assert abs(at_the_end - left) < 100
    free, resident = map(float, shares.split())
    assert free < 0.1  # every second of 120,000 blocks
    assert resident < 0.9  # 60,000 pieces of 5 to 13 kB give back their whole pages


def run(program: str, *arguments: str) -> str:
    # A process of its own: what these functions do cannot be undone.
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
