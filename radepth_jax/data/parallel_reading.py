"""Parallel reading: items that are read independently, and a `map` whose threads work ahead."""

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

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


@dataclasses.dataclass(frozen=True)
class ParallelReading(Generic[T]):
    """Items that are read independently: by threads when iterated over, or by Beam's workers.

    Attributes:
        keys: what to read, in order.
        read: maps a key to (item, problem). The item is None if it cannot be read, and the problem
            is "" if there is none. It is pickled for other processes.
        problems: gets the problems while the items are iterated over.
    """

    keys: Sequence[Any]
    read: Callable[[Any], tuple[T | None, str]]
    problems: list[str]

    def __iter__(self) -> Iterator[T]:
        for thing, problem in parallel_map(self.read, self.keys):
            if problem:
                self.problems.append(problem)
            if thing is not None:
                yield thing
