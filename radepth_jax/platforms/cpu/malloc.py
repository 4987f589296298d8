"""Host memory for a program on a CPU: freed memory is kept, and small pieces are put aside."""

import ctypes
import importlib
import mmap
import sys

# Constants of glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = -1
_DONTNEED = 4  # a constant of <sys/mman.h>
_FEW_PIECES = 50_000


def keep_freed_memory() -> None:
    """Let glibc's `malloc` reuse large blocks. Without glibc this does nothing.

    XLA's CPU backend allocates a program's whole workspace anew at every call. By default glibc
    maps such blocks afresh each time, and the kernel must clear every page again.

    Call it before JAX computes. A thread that has allocated memory keeps its arena, and a thread's
    arena cannot hold a block of 64 MB: glibc maps such a block, whatever is set later.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    # No block is mapped, however large it is: a threshold would be a C int, at most 2 GiB, and a
    # workspace may be larger. There is one arena, because threads' arenas end at 64 MB.
    for parameter, value in ((_TRIM_THRESHOLD, _NEVER), (_MMAP_MAX, 0), (_ARENA_MAX, 1)):
        mallopt(parameter, value)


def page_faults() -> int:
    """How many pages the kernel has mapped for this process so far. 0 if that is not known."""
    try:
        resource = importlib.import_module("resource")  # Windows has none
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class _Mallinfo(ctypes.Structure):
    """What glibc's `mallinfo2` returns, in bytes. `pieces` is the number of free blocks."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "pieces", "_0", "_1", "_2", "_3", "_4", "used", "free", "top")
    )


def reserve_heap_fragments() -> int:
    """Put the free pieces between live blocks aside and give their pages back. Call it after steps.

    Compiling a large program leaves some 200,000 free pieces of all sizes. glibc sorts every buffer
    that a step frees into them, which takes a fifth of a step's time. So the pieces are allocated
    once more and never freed. With few pieces, or without glibc, this does nothing.

    Returns:
        How many pieces were put aside.
    """
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return 0
    libc.mallinfo2.restype = _Mallinfo
    found = libc.mallinfo2()
    if found.pieces < _FEW_PIECES:
        return 0
    for function in (libc.sbrk, libc.malloc, libc.malloc_usable_size):
        function.restype = ctypes.c_size_t
    libc.malloc.argtypes = (ctypes.c_size_t,)
    libc.free.argtypes = libc.malloc_usable_size.argtypes = (ctypes.c_size_t,)
    libc.madvise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)

    top = libc.sbrk(0) - found.top  # above this address the heap is in one piece
    size, held, count, page = 2**30, 0, 0, mmap.PAGESIZE
    while size > 1024:  # smaller pieces have lists by size
        block = libc.malloc(size)
        if not block or block >= top or held > found.free:
            libc.free(block)
            size = int(size / 1.03)
            continue
        usable = libc.malloc_usable_size(block)
        held, count = held + usable, count + 1
        begin = -(-block // page) * page
        end = (block + usable) // page * page
        if end > begin:
            libc.madvise(begin, end - begin, _DONTNEED)
    return count
