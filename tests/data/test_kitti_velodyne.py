import numpy as np
import pytest
from published_protocol import velodyne_depth
from small_data_sets import KITTI_K, KITTI_SIZE, OFFSETS, VELO_R, VELO_T, write_calibration

from radepth_jax.data.kitti_velodyne import project_scan, read_calibration, read_scan
from radepth_jax.data.pictures import decode_image
from radepth_jax.errors import UserError


def reference(points, P, rect_T_velodyne, size):
    """Point by point, as the protocol reads."""
    h, w = size
    depth = np.zeros(size)
    for point in points:
        if point[0] < 0:
            continue
        x, y, z = P @ rect_T_velodyne @ np.append(point, 1.0)
        if z <= 0:
            continue
        u, v = int(np.round(x / z)) - 1, int(np.round(y / z)) - 1
        if 0 <= u < w and 0 <= v < h and (depth[v, u] == 0 or z < depth[v, u]):
            depth[v, u] = z
    return depth


@pytest.fixture
def calibration(tmp_path):
    write_calibration(tmp_path)
    return read_calibration(tmp_path)


def test_calibration_reads_back(calibration):
    for camera in (2, 3):
        np.testing.assert_allclose(calibration.intrinsics(camera), KITTI_K, rtol=1e-6)
        assert calibration.size[camera] == KITTI_SIZE
    np.testing.assert_allclose(calibration.rect_T_velodyne[:3, :3], VELO_R)
    right_T_left = calibration.camera_T_camera(3, 2)
    np.testing.assert_allclose(right_T_left[:3, 3], OFFSETS[3] - OFFSETS[2], atol=1e-6)
    np.testing.assert_allclose(
        right_T_left @ calibration.camera_T_camera(2, 3), np.eye(4), atol=1e-12
    )


@pytest.mark.parametrize("camera", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_projection_matches_the_definition(calibration, camera, seed):
    points = np.random.default_rng(seed).uniform([-5, -8, -2], [30, 8, 3], (800, 3))
    depth = project_scan(points.astype(np.float32), calibration, camera)
    expected = reference(
        points.astype(np.float32),
        calibration.projection[camera],
        calibration.rect_T_velodyne,
        KITTI_SIZE,
    )
    assert depth.dtype == np.float32
    assert (depth > 0).sum() > 100
    np.testing.assert_allclose(depth, expected, rtol=1e-6)


def test_one_point_lands_where_geometry_says(calibration):
    # A point on camera 2's axis 10 m ahead projects to (cx, cy) = (39.1, 11.2): round, minus one.
    in_camera = np.array([0.0, 0, 10]) - OFFSETS[2]
    point = VELO_R.T @ (in_camera - VELO_T)
    depth = project_scan(point[None], calibration, 2)
    assert np.argwhere(depth).tolist() == [[10, 38]]
    assert depth[10, 38] == pytest.approx(10, abs=1e-5)


def test_the_nearest_point_of_a_pixel_wins_whatever_the_order(calibration):
    ray = VELO_R.T @ (np.array([0.0, 0, 1]))
    points = np.array([8.0, 5.0, 12.0])[:, None] * ray + VELO_R.T @ (-OFFSETS[2] - VELO_T)
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        depth = project_scan(points[order], calibration, 2)
        assert depth.max() == pytest.approx(5, abs=1e-5)


def test_points_behind_the_laser_or_outside_the_image_are_left_out(calibration):
    points = np.array([[-0.1, 0.0, 0.0], [10.0, 100.0, 0.0], [10.0, 0.0, 50.0], [0.1, 0.0, 0.0]])
    assert not project_scan(points, calibration, 2).any()
    assert project_scan(np.empty((0, 3)), calibration, 2).shape == KITTI_SIZE


def test_scans_are_read_or_refused(tmp_path):
    path = tmp_path / "0.bin"
    points = np.arange(8, dtype="<f4").reshape(2, 4)
    path.write_bytes(points.tobytes())
    np.testing.assert_array_equal(read_scan(path), points[:, :3])
    for data in (b"", points.tobytes()[:-3]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="not a scan"):
            read_scan(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("P_rect_02", "P_rect_99"), "'P_rect_02:' with 12 numbers"),
        (lambda text: text.replace("S_rect_03: ", "S_rect_03: x "), "'S_rect_03:' with 2 numbers"),
        (lambda text: text[: text.index("P_rect_03") + 40], "'P_rect_03:' with 12 numbers"),
        (lambda text: "", "'S_rect_02:'"),
    ],
)
def test_bad_calibration_is_named(tmp_path, change, message):
    write_calibration(tmp_path)
    path = tmp_path / "calib_cam_to_cam.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message) as error:
        read_calibration(tmp_path)
    assert str(path) in str(error.value)


def test_missing_calibration_is_named_and_the_laser_is_optional(tmp_path):
    with pytest.raises(UserError, match=r"calib_cam_to_cam.txt: No such file"):
        read_calibration(tmp_path)
    write_calibration(tmp_path)
    (tmp_path / "calib_velo_to_cam.txt").unlink()
    calibration = read_calibration(tmp_path)
    assert calibration.rect_T_velodyne is None
    with pytest.raises(ValueError, match="no laser"):
        project_scan(np.zeros((1, 3)), calibration, 2)


@pytest.fixture(scope="module")
def real(shared_data):
    date = shared_data / "kitti_raw" / "2011_09_26"
    return read_calibration(date), date / "2011_09_26_drive_0002_sync"


@pytest.mark.parametrize("camera", [2, 3])
def test_all_real_scans_match_plain_numpy_pixel_for_pixel(real, camera):
    calibration, drive = real
    scans = sorted((drive / "velodyne_points" / "data").iterdir())
    assert len(scans) == 10
    for scan in scans:
        depth = project_scan(read_scan(scan), calibration, camera)
        expected = velodyne_depth(drive.parent, scan, camera)
        np.testing.assert_array_equal(depth > 0, expected > 0)
        # Only the order of the matrix products may differ, by less than float32 can say.
        np.testing.assert_allclose(depth, expected, rtol=1e-7)
        assert depth.shape == (375, 1242)
        assert 0.03 < (depth > 0).mean() < 0.06  # the laser's known density on KITTI images
        assert not depth[:100].any()  # and its field of view
        assert depth[depth > 0].min() > 2
        assert depth.max() < 100


def test_real_depth_and_stereo_transform_explain_the_other_camera(real):
    """Warping by scan depth and `camera_T_camera` finds the colours of the right image."""
    calibration, drive = real
    left, right = (
        decode_image((drive / f"image_0{c}" / "data" / "0000000003.png").read_bytes())
        for c in (2, 3)
    )
    scan = read_scan(drive / "velodyne_points" / "data" / "0000000003.bin")
    depth = project_scan(scan, calibration, 2)
    v, u = np.nonzero((depth > 4) & (depth < 40))
    rays = np.linalg.solve(calibration.intrinsics(2), np.stack([u, v, np.ones_like(u)]))
    points = np.append(rays * depth[v, u], np.ones((1, len(u))), axis=0)

    def error(right_T_left):
        x, y, z = calibration.intrinsics(3) @ (right_T_left @ points)[:3]
        column, row = np.round(x / z).astype(int), np.round(y / z).astype(int)
        seen = (column >= 0) & (column < 1242) & (row >= 0) & (row < 375)
        difference = right[row[seen], column[seen]].astype(float) - left[v[seen], u[seen]]
        return np.abs(difference).mean()

    transform = calibration.camera_T_camera(3, 2)
    assert transform[0, 3] == pytest.approx(-0.5327, abs=1e-4)  # KITTI's colour baseline
    stretched = transform.copy()
    stretched[0, 3] *= 1.2
    assert error(transform) < 0.6 * error(np.eye(4))
    assert error(transform) < 0.6 * error(np.linalg.inv(transform))
    assert error(transform) < 0.8 * error(stretched)
