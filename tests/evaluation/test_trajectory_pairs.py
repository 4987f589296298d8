"""Which poses of two files belong together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.errors import UserError
from radepth_jax.evaluation.trajectory_files import read_trajectory
from radepth_jax.evaluation.trajectory_pairs import associate, pair

IDENTITY = "1 0 0 0 0 1 0 0 0 0 1 0"


def write(path, keys, columns=13):
    tail = IDENTITY if columns != 8 else "0 0 0 0 0 0 1"
    path.write_text("".join(f"{tail}\n" if columns == 12 else f"{key} {tail}\n" for key in keys))
    return read_trajectory(path)


def test_frames_pair_by_their_number(tmp_path):
    predicted = write(tmp_path / "p.txt", [2, 3, 5])
    truth = write(tmp_path / "t.txt", range(7), columns=12)
    p, t, unpaired, _ = pair(predicted, truth)
    assert unpaired == (0, 4)
    assert p.shape == t.shape == (7, 4, 4)
    np.testing.assert_array_equal(np.isfinite(p).all(axis=(1, 2)).nonzero()[0], [2, 3, 5])
    assert np.isfinite(t).all()


def test_files_that_do_not_pair(tmp_path):
    numbered = write(tmp_path / "n.txt", [2, 9])
    plain = write(tmp_path / "p.txt", range(7), columns=12)
    shorter = write(tmp_path / "s.txt", range(6), columns=12)
    timed = write(tmp_path / "t.txt", [100, 101], columns=8)
    later = write(tmp_path / "l.txt", [100.01, 101.03], columns=8)
    apart = write(tmp_path / "a.txt", [3, 4, 9])
    for one, other, expected in (
        (shorter, plain, "6 poses, and .* has 7; put the frame number"),
        (numbered, plain, "frame 9, and .* ends at frame 6"),
        (timed, plain, "TUM's format and .* KITTI's"),
        (timed, later, "1 of its 2 timestamps within 0.02 s of the 2"),
        (numbered, apart, "1 of its frames in"),
    ):
        with pytest.raises(UserError, match=expected):
            pair(one, other)
    assert len(pair(timed, later, max_difference=0.05).predicted) == 2


def timed(path, times):
    """A camera that moves straight on, a metre a second."""
    path.write_text("".join(f"{t!r} 0 0 {t - times[0]!r} 0 0 0 1\n" for t in times))
    return read_trajectory(path)


def test_frames_that_are_missing_in_time_are_missing(tmp_path):
    """As by number: the two sides of a gap are not consecutive, in either file."""
    every = [100 + i / 10 for i in range(30)]
    gap = [time for i, time in enumerate(every) if i not in (7, 8, 9, 20)]
    whole, holes = timed(tmp_path / "a.txt", every), timed(tmp_path / "b.txt", gap)
    for files in ((holes, whole), (whole, holes)):
        p, t, unpaired, gaps = pair(*files)
        assert gaps == 2
        assert sorted(unpaired) == [0, 4]
        assert len(p) == 30
        known = np.isfinite(p).all(axis=(1, 2))
        np.testing.assert_array_equal(np.flatnonzero(~known), [7, 8, 9, 20])
        np.testing.assert_array_equal(known, np.isfinite(t).all(axis=(1, 2)))
    p, _, _, gaps = pair(whole, whole)
    assert (len(p), gaps) == (30, 0)


def test_uneven_steps_are_no_gaps_and_a_night_takes_no_memory(tmp_path):
    steps = np.random.default_rng(0).uniform(0.08, 0.12, 30)
    times = [float(t) for t in 5 + np.cumsum(steps)]
    p, _, _, gaps = pair(timed(tmp_path / "a.txt", times), timed(tmp_path / "b.txt", times))
    assert (len(p), gaps) == (30, 0)
    times += [times[-1] + 40_000 + i / 10 for i in range(5)]
    p, _, _, gaps = pair(timed(tmp_path / "a.txt", times), timed(tmp_path / "b.txt", times))
    assert gaps == 1
    assert 36 <= len(p) <= 35 + 20


@pytest.mark.parametrize(
    ("unit", "name"), [(1e9, "nanoseconds"), (1e6, "microseconds"), (1e3, "milliseconds")]
)
def test_timestamps_in_another_unit_are_doubted_where_they_do_not_pair(tmp_path, unit, name):
    seconds = [1000 + i / 10 for i in range(60)]
    whole = timed(tmp_path / "a.txt", [round(t * unit) for t in seconds])
    late = timed(
        tmp_path / "b.txt", [round(t * unit) + (i not in (3, 9)) for i, t in enumerate(seconds)]
    )
    right = timed(tmp_path / "c.txt", seconds)
    with pytest.raises(UserError, match=rf": 2 of its 60 timestamps .* are they in {name}\?"):
        pair(late, whole)
    for files in ((whole, right), (right, whole)):
        with pytest.raises(UserError, match=rf": 0 of its 60 timestamps .* are they in {name}\?"):
            pair(*files)
    assert pair(whole, whole).unpaired == (0, 0)


def test_the_nearer_timestamp_has_the_pair():
    i, j = associate(np.array([0.0, 0.9, 1.05, 3.0]), np.array([0.01, 1.0, 2.0, 3.02]), 0.1)
    np.testing.assert_array_equal(i, [0, 2, 3])
    np.testing.assert_array_equal(j, [0, 1, 3])


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_pairs_are_near_and_none_is_taken_twice(seed, max_difference):
    random = np.random.default_rng(seed)
    times, others = (np.unique(random.uniform(0, 10, random.integers(1, 30))) for _ in range(2))
    i, j = associate(times, others, max_difference)
    assert (np.diff(i) > 0).all()
    assert (np.diff(j) > 0).all()
    assert (np.abs(times[i] - others[j]) <= max_difference).all()
    # A prediction's nearest truth, and no other prediction that wants the same is nearer to it.
    distance = np.abs(times[:, None] - others)
    wanted = distance.argmin(axis=1)
    np.testing.assert_array_equal(wanted[i], j)
    for a, b in zip(i, j, strict=True):
        assert distance[a, b] == distance[wanted == b, b].min()
    near = distance.min(axis=1) <= max_difference
    assert set(j) == set(wanted[near])
