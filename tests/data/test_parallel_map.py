import itertools
import threading

import pytest

from radepth_jax.data.parallel_map import WORKERS, parallel_map


def test_results_come_in_order_from_threads_that_work_at_once():
    together = threading.Barrier(4)  # broken, unless four calls wait for each other

    def square_together(i):
        together.wait(timeout=10)
        return i * i

    assert list(parallel_map(square_together, range(12))) == [i * i for i in range(12)]


def test_it_never_runs_far_ahead_and_stops_with_its_reader():
    taken = []
    squares = parallel_map(lambda i: i * i, map(lambda i: taken.append(i) or i, itertools.count()))
    assert [next(squares) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(taken) <= 2 * WORKERS + 5
    squares.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("radepth-prepare")]


def test_an_error_is_raised_where_its_result_would_be():
    results = parallel_map(lambda i: 6 // (3 - i), range(9))
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
