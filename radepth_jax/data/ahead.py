"""Preparing in parallel: a `map` whose threads work ahead."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# More than cores, because reading waits for the disk.
WORKERS = (os.cpu_count() or 1) + 4


def map_ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` by threads; for work that frees Python, such as reading, NumPy and compression.

    Args:
        function: called in threads, for up to twice WORKERS items ahead.
        items: taken in the caller's thread.

    Yields:
        The results, in order; an exception is raised where its result would be.
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
