"""A `map` whose threads work ahead."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# More threads than cores, because reading waits for the disk.
WORKERS = (os.cpu_count() or 1) + 4


def parallel_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Do what `map` does, in threads.

    It is faster for work that releases Python's lock: reading, NumPy and compression.

    Args:
        function: is called in threads, for up to twice WORKERS items ahead.
        items: are taken in the caller's thread.

    Yields:
        The results, in order. An exception is raised where its result would have been.
    """
    waiting: collections.deque[Future[R]] = collections.deque()
    with ThreadPoolExecutor(WORKERS, "radepth-prepare") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
