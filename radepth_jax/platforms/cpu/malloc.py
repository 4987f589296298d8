"""Host memory for a program on a CPU: freed memory is kept, and small pieces are put aside."""

import ctypes
import importlib
import mmap
import sys

# Constants of glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = -1
_DONTNEED = 4  # of <sys/mman.h>
FEW_PIECES = 50_000


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


class HeapInfo(ctypes.Structure):
    """What glibc's `mallinfo2` returns, in bytes but for `pieces`, the number of free blocks."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "pieces", "_0", "_1", "_2", "_3", "_4", "used", "free", "top")
    )


def reserve_heap_fragments(few: int = FEW_PIECES) -> int:
    """Put the free pieces between live blocks aside and give their pages back. Call it after steps.

    Compiling a large program leaves some 200,000 free pieces of all sizes, and glibc sorts every
    buffer that a step frees in among them: a fifth of a step's time. So they are allocated once
    more and never freed, but for the smallest. What a step frees is put aside with them, so the
    next step maps it afresh: once more pieces have come is often enough.

    Args:
        few: nothing is done where there are fewer pieces; 50,000 at first, then what this returned.

    Returns:
        `few` for the next call: 50,000 more than are left now where something was done.
    """
    found = heap_info()
    if found is None or found.pieces < few:
        return few
    libc = ctypes.CDLL(None)
    for function in (libc.sbrk, libc.malloc, libc.malloc_usable_size):
        function.restype = ctypes.c_size_t
    libc.malloc.argtypes = (ctypes.c_size_t,)
    libc.free.argtypes = libc.malloc_usable_size.argtypes = (ctypes.c_size_t,)
    libc.madvise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)

    top = libc.sbrk(0) - found.top  # above it the heap is in one piece
    size, held, page = 2**30, 0, mmap.PAGESIZE
    while size > 1024:  # smaller ones have lists of their own sizes
        block = libc.malloc(size)
        if not block or block >= top or held > found.free:
            libc.free(block)
            size = int(size / 1.03)
            continue
        usable = libc.malloc_usable_size(block)
        held += usable
        begin = -(-block // page) * page
        end = (block + usable) // page * page
        if end > begin:
            libc.madvise(begin, end - begin, _DONTNEED)
    left = heap_info()
    assert left is not None
    return left.pieces + FEW_PIECES


def heap_info() -> HeapInfo | None:
    """What glibc says of this process's heap; None without glibc."""
    if not sys.platform.startswith("linux"):
        return None
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return None
    mallinfo2.restype = HeapInfo
    return mallinfo2()
