import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from radepth_jax.data.intrinsics import check_intrinsics, parse_intrinsics
from radepth_jax.errors import UserError

SIZE = (96, 160)


@pytest.mark.parametrize(
    "text",
    ["0.58,1.92,0.5,0.5", "1,1,80,48", "90,90,-1,48", "90,90,80,97", "5000,5000,80,48",
     "90,9000,80,48", "0,90,80,48", "nan,90,80,48"],
)  # fmt: skip
def test_what_no_camera_is_asks_for_pixels(text):
    with pytest.raises(UserError, match="are these pixels") as error:
        parse_intrinsics(text, None, SIZE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fov", [None, 0, 1.2, 4.9, 170.1, 360, float("nan"), float("inf")])
def test_a_field_of_view_is_5_to_170_degrees(fov):
    with pytest.raises(UserError, match="expected degrees between 5 and 170"):
        parse_intrinsics(None, fov, SIZE)


@hypothesis.given(st.floats(5, 170), st.floats(0.25, 4))
def test_the_focal_lengths_differ_by_the_pixels_aspect(fov, aspect):
    K = parse_intrinsics(None, fov, SIZE, aspect)
    np.testing.assert_allclose(K[1, 1], K[0, 0] * aspect)
    # The same rays as those of square pixels, of which there are fewer rows.
    square = parse_intrinsics(None, fov, SIZE)
    np.testing.assert_allclose(K[0], square[0])


@pytest.mark.parametrize(
    ("K", "size"),
    [
        ([721.5, 721.5, 609.6, 172.9], (375, 1242)),  # KITTI
        ([585, 585, 320, 240], (480, 640)),  # 7-Scenes
        ([3000, 3000, 2000, 1500], (3000, 4000)),
        ([20000, 20000, 2000, 1500], (3000, 4000)),  # a long lens
        ([30, 30, 80, 48], (96, 160)),  # a fish-eye's pinhole part
    ],
)
def test_real_cameras_pass(K, size):
    fx, fy, cx, cy = K
    check_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), size)
