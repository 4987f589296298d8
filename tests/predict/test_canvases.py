import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.predict.canvases import COMPILING, LARGER, STEP, rounded_up, share_canvases


def area(size):
    return size[0] * size[1]


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), max_size=40))
def test_every_picture_has_one_canvas_that_holds_it_and_is_not_much_too_large(sizes):
    groups = share_canvases(sizes)
    assert sorted(i for members in groups.values() for i in members) == list(range(len(sizes)))
    for canvas, members in groups.items():
        assert all(h <= canvas[0] and w <= canvas[1] for h, w in (sizes[i] for i in members))
    # The memory is that of the largest picture alone, but for a factor for each doubling of area.
    own = [area(rounded_up(size, STEP)) for size in sizes]
    assert max(map(area, groups), default=0) <= LARGER * max(own, default=0) * max(len(own), 1)


def test_pictures_of_about_one_size_share_a_program():
    kitti = [(375, 1242), (370, 1226), (374, 1238), (376, 1241)] * 50
    assert list(share_canvases(kitti)) == [(384, 1280)]
    assert len(share_canvases([(480, 640), (640, 480), (500, 500), (100, 90)])) == 1
    assert len(share_canvases([(4000, 3000), (3000, 4000)])) == 1


def test_a_panorama_and_a_tower_never_share():
    assert share_canvases([(64, 20_000), (20_000, 64)]) == {(64, 20_032): [0], (20_032, 64): [1]}
    assert len(share_canvases([(100, 9000), (9000, 100), (3000, 3000)])) == 3


def test_small_pictures_beside_a_huge_one_keep_a_small_canvas():
    for huge in ((64, 20_000), (4000, 6000), (9000, 9000)):
        groups = share_canvases([(240, 320)] * 20 + [huge] + [(200, 300)] * 20)
        assert groups[256, 320] == [*range(20), *range(21, 41)]
        assert len(groups) == 2


def test_many_sizes_need_few_programs():
    sizes = np.random.default_rng(0).integers(100, 4000, (500, 2)).tolist()
    groups = share_canvases([(h, w) for h, w in sizes])
    assert len(groups) <= 8
    padded = sum(area(canvas) * len(members) for canvas, members in groups.items())
    assert padded < 4 * sum(h * w for h, w in sizes)


def test_one_more_program_is_worth_its_compilation():
    """Two sizes part when there are so many pictures that padding them takes longer."""
    small, large = (256, 256), (1024, 1024)
    most = COMPILING // (area(large) - area(small))
    assert len(share_canvases([small] * most + [large])) == 1
    assert len(share_canvases([small] * (most + 1) + [large])) == 2
