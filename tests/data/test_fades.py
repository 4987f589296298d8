import numpy as np

from radepth_jax.data.fades import find_fades


def contrasts(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_a_fade_to_a_blank_frame_and_back():
    values = [50.0, 51, 50, 40, 25, 10, 0, 0, 12, 30, 48, 50, 49, 50]
    found = find_fades(contrasts(*values))
    assert set(range(3, 11)) <= found <= set(range(1, 12))


def test_a_cut_to_a_blank_frame_leaves_out_that_one():
    assert find_fades(contrasts(50, 50, 50, 0, 50, 50)) == {3}


def test_a_darker_scene_and_a_film_without_contrast_are_no_fades():
    assert find_fades(contrasts(50, 50, 50, 20, 15, 20, 50, 50)) == set()
    assert find_fades(contrasts(*np.zeros(9))) == set()
    assert find_fades({}) == set()


def test_no_fade_goes_on_across_a_gap():
    assert find_fades({0: 50.0, 1: 50.0, 2: 40.0, 7: 0.0, 8: 15.0, 9: 30.0, 10: 45.0}) == {
        7,
        8,
        9,
        10,
    }
