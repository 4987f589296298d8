"""Training where nobody knows the camera: its focal length is learned with the motion."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from scipy.spatial.transform import Rotation

from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError
from radepth_jax.geometry.alignment import align
from radepth_jax.geometry.camera import centred_intrinsics
from radepth_jax.losses.focal import focal_slope
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.saved_model import load_model
from radepth_jax.runs.state import init_state, learned_fov
from radepth_jax.training.forward import compute_loss
from radepth_jax.training.loop import train

TRUE_FOCAL = 0.3  # of the width: 118 degrees, so that the margins tell much


def turning_camera(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Frames of a camera that turns on the spot, so that all depends on its focal length."""
    height, width = size
    v, u = np.mgrid[:height, :width]
    focal = TRUE_FOCAL * width
    rays = np.stack([(u - (width - 1) / 2) / focal, (v - (height - 1) / 2) / focal, 0 * u + 1], -1)
    rng = np.random.default_rng(0)
    waves, phases = rng.normal(0, 14, (3, 12)), rng.uniform(0, 2 * np.pi, 12)
    frames = []
    for turn in (0.0, -0.1, 0.1):
        seen = rays @ Rotation.from_rotvec([0, turn, 0]).as_matrix().T
        seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
        grey = 0.5 + 0.15 * np.sin(seen @ waves + phases).sum(-1)
        frames.append(np.repeat(np.clip(grey, 0, 1)[..., None] * 255, 3, -1).astype(np.uint8))
    return {
        "frames": np.stack(frames)[None],
        "size": np.array([size], np.int32),
        "intrinsics": np.full((1, 3, 3), np.nan, np.float32),
    }


@pytest.mark.parametrize("factor", [0.7, 1.4])
@pytest.mark.parametrize("depth", [0.3, 5.0])
@pytest.mark.parametrize("aligned", [True, False])
def test_the_slope_leads_to_the_true_focal_length(factor, depth, aligned):
    size = (48, 96)
    images = jnp.asarray(turning_camera(size)["frames"][0], jnp.float32) / 255
    depths = jnp.full((*size, 1), depth)
    judge = jax.jit(partial(focal_slope, aligned=aligned))

    def slope(focal):
        K = centred_intrinsics(jnp.float32(focal), size)
        motions = jnp.broadcast_to(jnp.eye(4), (2, 4, 4))
        if aligned:
            motions = jnp.stack(
                [
                    align(images[0], source, depths, K, jnp.eye(4), factors=(4, 4, 2, 2, 1, 1, 1))
                    for source in images[1:]
                ]
            )
        return float(judge(images, depths, K, motions))

    assert np.sign(slope(factor * TRUE_FOCAL)) == np.sign(math.log(factor))
    assert abs(slope(TRUE_FOCAL)) < 0.2 * abs(slope(factor * TRUE_FOCAL))


def test_the_focal_length_gets_the_slope_when_its_time_has_come(micro_config):
    micro_config.views.names = ("middle",)
    micro_config.loss.weights.consistency = 0.0
    micro_config.pose.align = (4, 2, 1)
    micro_config.pose.learned_fov, micro_config.pose.learn_fov_from = 60.0, 3
    recipe = make_recipe(micro_config, 10)
    state = init_state(micro_config, 10)
    width, height = micro_config.views.resolution
    batch = turning_camera((height, width))

    def loss(params, step):
        total, (terms, new_stats, _) = compute_loss(
            params, state.batch_stats, batch, step, 0, recipe=recipe, index=jnp.arange(1)
        )
        assert set(new_stats) == {"depth", "pose", "camera"}
        return total, terms

    value_and_slope = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (total, terms), earlier = value_and_slope(state.params, 2)
    assert total == terms["total"]
    assert terms["focal"] == pytest.approx(0.5 / math.tan(math.radians(30)), rel=1e-5)
    assert earlier["camera"]["log_focal"] == 0
    (total, terms), later = value_and_slope(state.params, 3)
    assert total == terms["total"]
    assert np.isfinite(later["camera"]["log_focal"])
    assert later["camera"]["log_focal"] != 0


def test_a_film_of_an_unknown_camera_trains_and_predicts_points(micro_config, tmp_path, radepth):
    frames = tmp_path / "frames"
    frames.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (16, 40, 3), np.uint8)
    wide = PIL.Image.fromarray(noise).resize((320, 48), 3)
    for i in range(12):
        wide.crop((2 * i, 0, 2 * i + 96, 48)).save(frames / f"{i}.png")
    source = {"source": frames, "data_dir": tmp_path}
    with pytest.raises(UserError, match="or unknown_camera to have the focal length learned"):
        prepare("video", **source)
    with pytest.raises(UserError, match="or unknown_camera to have the focal length learned"):
        prepare("video", **source, fov=60.0, unknown_camera=True)
    code, _, error = radepth(
        "prepare", "video", "--source", frames, "--data_dir", tmp_path, "--unknown_camera"
    )
    assert code == 0, error

    config, street_data = micro_config, micro_config.data.data_dir
    config.data.name, config.data.data_dir = "video", str(tmp_path)
    config.views.names = ("middle",)
    config.train.steps = 2
    with pytest.raises(UserError, match=r"intrinsics are not known.* config\.pose\.learned_fov=60"):
        train(config, tmp_path / "known")
    config.pose.learned_fov, config.pose.learn_fov_from = 60.0, 0
    state = train(config, tmp_path / "run")
    learned = learned_fov(state.params)
    assert learned is not None
    assert learned != pytest.approx(60.0, abs=1e-4)
    assert learned == pytest.approx(60.0, abs=1.0)
    model = load_model(tmp_path / "run")
    assert model.learned_fov == learned
    for name in ("depth", "pose"):
        assert model.variables[name]["batch_stats"]

    picture = frames / "0.png"
    code, _, error = radepth(
        "predict", "--checkpoint", tmp_path / "run", "--output", tmp_path / "out", picture
    )
    assert code == 0, error
    assert (tmp_path / "out" / "0_points.ply").exists()

    config.train.steps = 3
    config.pose.learned_fov = 0.0
    with pytest.raises(UserError, match=r"learned_fov is 0, but was 60 when the run in this"):
        train(config, tmp_path / "run")
    # Another run starts from its networks, with what they know of the camera or without.
    config.pretrained.checkpoint = str(tmp_path / "run")
    config.train.steps = 1
    config.data.name, config.data.data_dir = "street/tiny", street_data
    for fov in (0.0, 50.0):
        config.pose.learned_fov = fov
        again = learned_fov(train(config, tmp_path / f"again_{fov}").params)
        assert again == (pytest.approx(learned, abs=0.5) if fov else None)
