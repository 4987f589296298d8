"""Preparing in parallel: what is read item by item, and a `map` whose threads work ahead."""

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

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


@dataclasses.dataclass(frozen=True)
class Reading(Generic[T]):
    """Things that are read each by itself: by threads, when iterated over, or by Beam's workers.

    Attributes:
        keys: what to read, in order.
        read: key -> the thing, or None, and what is wrong, or "". Pickled for other processes.
        problems: iterating adds what is wrong.
    """

    keys: Sequence[Any]
    read: Callable[[Any], tuple[T | None, str]]
    problems: list[str]

    def __iter__(self) -> Iterator[T]:
        for thing, problem in map_ahead(self.read, self.keys):
            if problem:
                self.problems.append(problem)
            if thing is not None:
                yield thing
