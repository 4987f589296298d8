import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from radepth_jax.data.loader import DevicePrefetch, make_loader
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError


class Numbers:
    """A source whose sample i says i; `bad` raises, `deadly` ends the process that reads it."""

    def __init__(self, count, bad=(), deadly=(), end=None):
        self.count, self.bad, self.deadly, self.end = count, bad, deadly, end

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if i in self.bad:
            raise UserError(f"sample {i}: corrupt")
        if i in self.deadly:
            self.end()
        return {"i": np.asarray(i, np.int32), "square": np.full((2, 2), i * i, np.int64)}


def take(steps, source, **options):
    with make_loader(source, **options) as loader:
        return np.array([next(loader)["i"] for _ in range(steps)])


def test_a_batch_stacks_samples():
    with make_loader(Numbers(5), global_batch=3, seed=0) as loader:
        batch = next(loader)
    assert batch["i"].shape == (3,)
    assert batch["i"].dtype == np.int32
    assert batch["square"].shape == (3, 2, 2)
    np.testing.assert_array_equal(batch["square"][:, 0, 1], batch["i"].astype(int) ** 2)


@hypothesis.given(st.integers(1, 30), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_every_epoch_has_every_sample_once(count, batch, seed):
    epochs = 3
    steps = -(-epochs * count // batch)
    order = take(steps, Numbers(count), global_batch=batch, seed=seed).ravel()
    for epoch in range(epochs):
        assert sorted(order[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_epochs_and_seeds_have_different_orders():
    one = take(3, Numbers(50), global_batch=50, seed=1)
    other = take(3, Numbers(50), global_batch=50, seed=7)
    orders = {tuple(order) for order in [*one, *other]}
    assert len(orders) == 6
    assert tuple(range(50)) not in orders
    np.testing.assert_array_equal(one, take(3, Numbers(50), global_batch=50, seed=1))


# Grain's shuffle takes milliseconds an index where there are fewer than twenty: few examples.
@hypothesis.settings(max_examples=8)
@hypothesis.given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 15))
def test_resuming_goes_on_as_if_uninterrupted(count, batch, start):
    options = {"global_batch": batch, "seed": 3}
    whole = take(start + 4, Numbers(count), **options)
    np.testing.assert_array_equal(
        take(4, Numbers(count), start_step=start, **options), whole[start:]
    )


@hypothesis.settings(max_examples=8)
@hypothesis.given(
    st.integers(1, 40), st.integers(1, 3), st.sampled_from([1, 2, 3, 4]), st.integers(0, 9)
)
def test_processes_read_contiguous_parts_of_one_batch(count, part, processes, start):
    options = {"global_batch": part * processes, "seed": 5, "start_step": start}
    whole = take(4, Numbers(count), **options)
    parts = [
        take(4, Numbers(count), process_index=p, process_count=processes, **options)
        for p in range(processes)
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_each_part_of_a_batch_is_split_over_the_processes():
    options = {"global_batch": 12, "seed": 5, "start_step": 2}
    whole = take(3, Numbers(40), **options)
    for process in range(2):
        share = take(3, Numbers(40), process_index=process, process_count=2, parts=3, **options)
        expected = whole.reshape(3, 3, 2, 2)[:, :, process].reshape(3, 6)
        np.testing.assert_array_equal(share, expected)


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_read_the_same_batches(workers):
    options = {"global_batch": 4, "seed": 11, "start_step": 7}
    shard = {"process_index": 1, "process_count": 2}
    found = take(5, Numbers(9), workers=workers, **options, **shard)
    whole = take(5, Numbers(9), **options)
    np.testing.assert_array_equal(found, whole[:, 2:])
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_source_error_reaches_the_caller_as_it_was(workers):
    source = Numbers(6, bad=[4])
    with pytest.raises(UserError) as error:
        take(3, source, global_batch=2, seed=0, workers=workers)
    assert str(error.value) == "sample 4: corrupt"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (functools.partial(os._exit, 9), "ended with code 9; its own message is above"),
        (functools.partial(signal.raise_signal, signal.SIGKILL), "SIGKILL.*memory runs out; use f"),
        (functools.partial(signal.raise_signal, signal.SIGSEGV), "died of SIGSEGV"),
    ],
)
def test_a_worker_that_dies_is_reported_with_its_cause(end, expected):
    source = Numbers(6, deadly=[4], end=end)
    with pytest.raises(UserError, match=f"a loader worker .*{expected}"):
        take(3, source, global_batch=2, seed=0, workers=1)


def test_workers_leave_signals_to_their_parent():
    loader = make_loader(Numbers(50), global_batch=2, seed=0, workers=2)
    with loader, DevicePrefetch(loader, lambda batch: batch) as batches:
        deadline = time.monotonic() + 60
        while len(multiprocessing.active_children()) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        for moment in ("starting", "reading"):
            workers = multiprocessing.active_children()
            assert len(workers) == 2, moment
            for worker in workers:
                os.kill(worker.pid, signal.SIGTERM)
                os.kill(worker.pid, signal.SIGINT)
            for _ in range(20):
                next(batches)


def is_running(pid):
    """Whether a process is there and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_end_with_a_parent_that_was_killed():
    code = """
import multiprocessing, os, signal
import numpy as np
from radepth_jax.data.loader import make_loader
class Numbers:
    def __len__(self): return 50
    def __getitem__(self, i): return {"i": np.asarray(i)}
if __name__ == "__main__":
    loader = make_loader(Numbers(), global_batch=2, seed=0, workers=2)
    next(loader)
    print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert killed.returncode == -signal.SIGKILL
    workers = [int(pid) for pid in killed.stdout.split()]
    assert len(workers) == 2
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


@pytest.mark.parametrize("workers", [0, 1])
def test_closing_ends_threads_and_workers(workers):
    before = set(threading.enumerate())
    loader = make_loader(Numbers(5), global_batch=2, seed=0, workers=workers)
    next(loader)
    loader.close()
    loader.close()
    assert list(loader) == []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = {t for t in threading.enumerate() if t.is_alive()} - before
        if not left and not multiprocessing.active_children():
            break
        time.sleep(0.05)
    assert not left
    assert not multiprocessing.active_children()


def test_a_batch_that_the_processes_do_not_divide_is_refused():
    with pytest.raises(UserError, match="multiple of 3"):
        make_loader(Numbers(5), global_batch=4, seed=0, process_count=3)
    with pytest.raises(UserError, match="3 processes in 2 parts; choose a multiple of 6"):
        make_loader(Numbers(5), global_batch=9, seed=0, process_count=3, parts=2)
    with pytest.raises(UserError, match="global batch of 0"):
        make_loader(Numbers(5), global_batch=0, seed=0)


def test_images_pass_through_workers(toy):
    source = TrainingSource(toy, "train", (0, -1, "s"))
    options = {"global_batch": 3, "seed": 2}
    with (
        make_loader(source, **options) as threads,
        make_loader(source, workers=1, **options) as workers,
    ):
        for _ in range(3):
            one, two = next(threads), next(workers)
            assert one.keys() == two.keys()
            for key in one:
                np.testing.assert_array_equal(one[key], two[key])
                assert one[key].dtype == two[key].dtype


def test_prefetching_places_in_order_and_ends():
    with DevicePrefetch(iter(range(5)), lambda x: x * 10) as batches:
        assert list(batches) == [0, 10, 20, 30, 40]
        assert list(batches) == []


def test_prefetching_measures_the_consumers_wait():
    def slow():
        for i in range(3):
            time.sleep(0.1)
            yield i

    with DevicePrefetch(slow(), lambda x: x) as batches:
        next(batches)
        assert batches.seconds_waited > 0.05
    with DevicePrefetch(iter(range(3)), lambda x: x) as batches:
        time.sleep(0.2)
        next(batches)
        assert batches.seconds_waited < 0.05


def test_prefetching_stays_ahead_by_its_depth():
    placed = []
    with DevicePrefetch(iter(range(100)), placed.append, depth=2) as batches:
        next(batches)
        time.sleep(0.3)
        assert len(placed) == 4  # one taken, two ready, one waiting for room


@pytest.mark.parametrize("where", ["iterator", "place"])
def test_prefetching_passes_errors_on(where):
    def broken():
        yield 1
        if where == "iterator":
            raise UserError("sample 7: corrupt")
        yield 2

    def place(value):
        if value == 2:
            raise UserError("sample 7: corrupt")
        return value

    with DevicePrefetch(broken(), place) as batches:
        assert next(batches) == 1
        for _ in range(2):
            with pytest.raises(UserError, match="sample 7"):
                next(batches)


def test_prefetching_can_be_closed_while_full():
    batches = DevicePrefetch(iter(range(100)), lambda x: x, depth=1)
    next(batches)
    batches.close()
    batches.close()
    assert list(batches) == []
