"""Batches of training samples, in one seeded global order, for any number of processes and workers.

The order is a function of the seed alone. Step s reads positions [s B, (s + 1) B) of the endless
sequence of shuffled epochs, in `parts` consecutive parts. Process p of P reads the p-th contiguous
share of each part. So the step number is all that resuming needs, and all processes together read
the same batch whatever P is.
"""

import contextlib
import multiprocessing
import os
import queue
import re
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from absl import flags

from radepth_jax.errors import UserError

if TYPE_CHECKING:
    import grain

Batch = dict[str, np.ndarray]
T = TypeVar("T")

_READY = 2  # batches that are kept ready, by each worker if there are any


class Source(Protocol):
    """Random access to samples of equal shapes. With workers, it has to be picklable."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> Mapping[str, np.ndarray]: ...


class Loader(Iterator[Batch], contextlib.AbstractContextManager):
    """An endless iterator of batches, and a context manager. `close` ends threads and workers."""

    def __init__(self, dataset: "grain.IterDataset", pool: ThreadPoolExecutor | None):
        self._iterator = [iter(dataset)]  # empty once closed
        self._pool = pool
        # Grain's iterators warn if they still exist when the interpreter ends.
        self._end = weakref.finalize(self, _end, self._iterator, pool)

    def __next__(self) -> Batch:
        """The next batch. A UserError is one line, whichever process raised it."""
        if not self._iterator:
            raise StopIteration
        if self._pool is not None:
            return next(self._iterator[0])
        try:
            batch = next(self._iterator[0])
        except RuntimeError as error:
            died = re.search(r"terminated unexpectedly with exit code (-?\d+)", str(error))
            if not died:
                raise
            raise UserError(_why_a_worker_died(int(died[1]))) from None
        # Workers hand over shared memory, which warns if it still exists when the interpreter ends.
        return {key: np.array(value) for key, value in batch.items()}

    def close(self) -> None:
        """End the threads and the worker processes. It may be called twice."""
        self._end()

    def __exit__(self, *exception: object) -> None:
        self.close()


def _end(iterator: "list[grain.DatasetIterator]", pool: ThreadPoolExecutor | None) -> None:
    iterator.pop().close()
    if pool is not None:
        pool.shutdown()


def _why_a_worker_died(code: int) -> str:
    if code == -signal.SIGKILL:
        cause = "was killed (SIGKILL), as the system does when memory runs out"
        remedy = "use fewer config.data.workers or a smaller batch"
    else:
        cause = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        remedy = "its own message is above; set config.data.workers=0 to read in this process"
    return f"a loader worker {cause}; {remedy}"


def _start_worker(index: int, count: int) -> None:
    """Set up a worker. It leaves signals to the run's own process, and ends when that ends."""
    del index, count
    for number in (signal.SIGINT, signal.SIGTERM):  # schedulers and terminals send them to all
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, name="radepth-follow", daemon=True).start()


def make_loader(
    source: Source,
    *,
    global_batch: int,
    seed: int,
    start_step: int = 0,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    parts: int = 1,
) -> Loader:
    """Load batches of `source` without end. The order is shuffled anew in every epoch.

    Args:
        source: the samples. There may be fewer than a batch has.
        global_batch: B, the samples of a step over all processes.
        seed: the seed of the order, 0 <= seed < 2**32.
        start_step: the step to begin at. What follows is what an uninterrupted run would get.
        workers: how many worker processes read. 0 reads in threads of this process.
        process_index: p, which share of each global batch to read.
        process_count: P, how many processes there are.
        parts: how many parts a batch has, for gradient accumulation. B is a multiple of P * parts.

    Returns:
        An iterator of dicts of arrays [B / P, ...].

    Raises:
        UserError: The batch cannot be split over the processes. While iterating: what the source
            raises.
    """
    import grain  # which needs ArrayRecord; predicting does without both

    if global_batch < 1 or global_batch % (process_count * parts):
        raise UserError(
            f"a global batch of {global_batch} cannot be split over {process_count} processes in "
            f"{parts} parts; choose a multiple of {process_count * parts}"
        )
    share = global_batch // (process_count * parts)
    order = grain.MapDataset.range(len(source)).shuffle(seed=seed).repeat()
    # An endless order has no remainder, but rounding its length up would overflow.
    shares = order.batch(share, drop_remainder=True)[process_index::process_count]
    steps = shares.batch(parts, drop_remainder=True)[start_step:]
    if not workers:
        pool = ThreadPoolExecutor(min(parts * share, os.cpu_count() or 1), "radepth-read")
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=_READY)
        batches = steps.map(_ReadBatch(source, pool.map)).to_iter_dataset(options)
        return Loader(batches, pool)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain's workers read absl flags, which only absl.app parses
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    batches = steps.map(_ReadBatch(source, map)).to_iter_dataset(options)
    processes = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=_READY)
    return Loader(batches.mp_prefetch(processes, worker_init_fn=_start_worker), None)


class _ReadBatch:
    """Maps indices [parts, b] to stacked samples, with a `map` that may use threads."""

    def __init__(self, source: Source, map_fn: Callable[..., Iterable[Any]]):
        self._source = source
        self._map = map_fn

    def __call__(self, indices: np.ndarray) -> Batch:
        samples = list(self._map(self._source.__getitem__, indices.ravel().tolist()))
        return {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}


class DevicePrefetch(Iterator[T], contextlib.AbstractContextManager, Generic[T]):
    """Reads and places batches in a thread, so that a step finds the next batch on the device.

    It is an iterator of device batches. An exception of the host's iterator or of `place_fn` is
    raised where the batch is taken. Close it before the iterator that it reads from.

    Grain's `device_put` would do the placing, but neither measures the wait nor keeps signals from
    the workers that it starts.

    Attributes:
        seconds_waited: how long the consumer has waited for batches, all in all.
    """

    def __init__(self, iterator: Iterator[Any], place_fn: Callable[[Any], T], depth: int = 2):
        """Start the thread.

        Args:
            iterator: gives host batches.
            place_fn: makes a device batch of a host batch, such as `jax.device_put` with a
                sharding.
            depth: how many batches are kept ready. One more may be on its way.
        """
        self.seconds_waited = 0.0
        self._queue: queue.Queue[Future[T]] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._end: Future[T] | None = None  # a batch that raised, as every later one then does
        self._thread = threading.Thread(
            target=self._work, args=(iterator, place_fn), name="radepth-place", daemon=True
        )
        self._thread.start()

    def _work(self, iterator: Iterator[Any], place_fn: Callable[[Any], T]) -> None:
        # Reading starts workers, which inherit this mask. Without it a signal could kill them
        # before `_start_worker` runs.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        going_on = True
        while going_on and not self._stop.is_set():
            batch: Future[T] = Future()
            try:
                batch.set_result(place_fn(next(iterator)))
            except BaseException as error:  # reaches the consumer, as the iterator's end does
                batch.set_exception(error)
                going_on = False
            self._put(batch)

    def _put(self, batch: Future[T]) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(batch, timeout=0.1)
            except queue.Full:
                continue

    def __next__(self) -> T:
        if self._stop.is_set():
            raise StopIteration
        start = time.perf_counter()
        batch = self._end or self._queue.get()
        self.seconds_waited += time.perf_counter() - start
        if batch.exception() is not None:
            self._end = batch
        return batch.result()

    def close(self) -> None:
        """End the thread. The iterator that it read from stays open. It may be called twice."""
        self._stop.set()
        self._thread.join()

    def __exit__(self, *exception: object) -> None:
        self.close()
