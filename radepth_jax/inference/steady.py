"""Steady depth of a film: a recursive filter along the camera's motion, one frame after another.

The last steadied depth is carried into the present frame by the motion that the pose network
predicts, after direct alignment of the two images on that depth. Where it agrees with the present
frame's own depth, the two are averaged. Where it does not, because a surface has come into view or
moves by itself, the past is forgotten. The present frame gets the scale of the frames before it.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.geometry import camera, se3
from radepth_jax.geometry.alignment import COARSE_TO_FINE, align
from radepth_jax.geometry.carry import Carried, carry, in_front, log_difference, sample_depth
from radepth_jax.geometry.median import masked_median
from radepth_jax.geometry.resize import resample, resize_weights
from radepth_jax.geometry.sampling import sample
from radepth_jax.inference.disparity import Resolution, disparity_at, network_input
from radepth_jax.models import Networks
from radepth_jax.runs.saved_model import Model

# Logarithms of depth that differ by this or more do not belong to the same surface at rest. A
# larger number is steadier, and smears more of what moves by itself or comes into view.
TOLERANCE = 0.25
# How many frames are averaged at most. More would be steadier, and would lag behind more.
FRAMES = 6
# A frame keeps this share of the scale that it has from the frames before it. The rest returns to
# the network's own scale, so that small errors of the motion do not add up over a film. With 0.98
# the depth of a drive through a desert shrank by a sixth in six seconds.
KEPT_SCALE = 0.9
# Below this share of agreeing pixels a frame does not follow the one before: it is a cut.
LEAST_AGREEING = 0.25


class State(NamedTuple):
    """What is kept of the last frame.

    Attributes:
        image: float32 [h', w', 3] in [0, 1], as the pose network sees it.
        own: [h, w] the network's depth.
        depth: [h, w] the steadied depth.
        frames: [h, w] over how many frames it is an average.
        scale: [] the logarithm of the steadied depth's scale over that of the network's.
        known: [] whether there is a last frame. Otherwise the rest means nothing.
    """

    image: jax.Array
    own: jax.Array
    depth: jax.Array
    frames: jax.Array
    scale: jax.Array
    known: jax.Array


class Flicker(NamedTuple):
    """Mean |difference of log depth| between a frame and the last one, carried along the motion.

    NaN if the frame does not follow the last one.

    Attributes:
        before: [] of the network's depth.
        after: [] of the steadied depth.
    """

    before: jax.Array
    after: jax.Array


def filter_depth(
    state: State,
    image: jax.Array,
    own: jax.Array,
    intrinsics: jax.Array,
    present_T_last: jax.Array,
    *,
    tolerance: float = TOLERANCE,
    frames: int = FRAMES,
    kept_scale: float = KEPT_SCALE,
) -> tuple[State, Flicker]:
    """One step of the filter, for a known motion.

    Args:
        state: of the last frame.
        image: the present frame, for the state.
        own: [h, w] the network's depth of the present frame, positive.
        intrinsics: [3, 3] of both frames, in the pixels of `own`.
        present_T_last: [4, 4] in the unit of the last steadied depth. If it is not finite, the
            frame is taken for a cut.
        tolerance: see `TOLERANCE`.
        frames: see `FRAMES`.
        kept_scale: see `KEPT_SCALE`.

    Returns:
        The state of the present frame, whose `depth` is the result, and the flicker.
    """
    usable = jnp.isfinite(present_T_last).all() & state.known
    motion = jnp.where(usable, present_T_last, jnp.eye(4))
    guess = own * jnp.exp(state.scale)
    # The place in the last frame whose point comes to a pixel depends on that point's depth. The
    # network's depth is a first guess, and the carried depth a better one.
    for _ in range(2):
        back = carry(guess, intrinsics, se3.invert(motion))
        carried = _forward(state.depth, back, intrinsics, motion)
        inside = back.inside & (carried > 0)
        guess = jnp.where(inside, carried, guess)
    difference = jnp.where(inside, jnp.log(guess / own), 0.0)
    scale = masked_median(difference, inside)
    rest = difference - scale
    # Tukey's biweight: 1 for perfect agreement, 0 from the tolerance on.
    agreement = jnp.where(inside, jnp.square(jnp.maximum(1 - jnp.square(rest / tolerance), 0)), 0)
    follows = usable & ((agreement > 0).mean() >= LEAST_AGREEING)
    scale = jnp.where(follows, kept_scale * scale, 0.0)
    past = sample(state.frames[..., None], back.place)[..., 0] * agreement
    total = jnp.where(follows, jnp.minimum(past, frames - 1.0), 0.0) + 1
    depth = own * jnp.exp(scale + (1 - 1 / total) * jnp.where(follows, rest, 0.0))
    flicker = Flicker(
        # The network's depth of the last frame has another scale, and so has its motion.
        _flicker(state.own, own, intrinsics, _scaled(motion, jnp.exp(-state.scale))),
        _flicker(state.depth, depth, intrinsics, motion),
    )
    return (
        State(image, own, depth, total, scale, jnp.array(True)),
        jax.tree.map(lambda value: jnp.where(follows, value, jnp.nan), flicker),
    )


def _forward(
    depth: jax.Array, back: Carried, intrinsics: jax.Array, motion: jax.Array
) -> jax.Array:
    """The last frame's surfaces at the places `back`, as depth in the present camera [h, w]."""
    there = sample_depth(depth, back.place)
    (fx, skew, cx), (_, fy, cy) = intrinsics[0], intrinsics[1]
    y = (back.place[..., 1] - cy) / fy
    x = (back.place[..., 0] - cx - skew * y) / fx
    points = jnp.stack([x * there, y * there, there], axis=-1)
    return camera.transform_points(motion, points)[..., 2]


def _scaled(motion: jax.Array, factor: jax.Array) -> jax.Array:
    """The motion [4, 4] in another unit."""
    return motion.at[:3, 3].multiply(factor)


def _flicker(
    last: jax.Array, present: jax.Array, intrinsics: jax.Array, present_T_last: jax.Array
) -> jax.Array:
    carried = carry(last, intrinsics, present_T_last)
    seen = in_front(carried)
    difference = jnp.abs(log_difference(carried, present))
    return jnp.where(seen, difference, 0.0).sum() / seen.sum()


def start(resolution: Resolution, working: Resolution) -> State:
    """The state before a film's first frame.

    Args:
        resolution: (width, height) that the pose network was trained at.
        working: (width, height) at which depth is filtered.
    """
    nothing = jnp.ones(working[::-1])
    image = jnp.zeros((*resolution[::-1], 3))
    return State(image, nothing, nothing, nothing, jnp.float32(0), jnp.array(False))


@partial(jax.jit, static_argnames=("networks", "resolution", "working", "factors"))
def steady_step(
    pose_variables: Any,
    state: State,
    frame: jax.Array,
    depth: jax.Array,
    intrinsics: jax.Array,
    *,
    networks: Networks,
    resolution: Resolution,
    working: Resolution,
    factors: tuple[int, ...] = COARSE_TO_FINE,
) -> tuple[State, jax.Array, Flicker]:
    """The steadied depth of one frame of a film.

    Args:
        pose_variables: {"params", "batch_stats"} of the pose network.
        state: of the frame before, or from `start`.
        frame: uint8 [H, W, 3].
        depth: [H, W] the network's depth, positive.
        intrinsics: [3, 3] in the frame's pixels.
        networks: from `models.build`.
        resolution: (width, height) that the pose network was trained at.
        working: (width, height) at which depth is filtered, which bounds the time of a step. The
            change of log depth is then enlarged and added, so that fine detail stays.
        factors: the steps of the alignment, as of `geometry.alignment.align`.

    Returns:
        The new state, the steadied depth [H, W], and the flicker.
    """
    size = (frame.shape[0], frame.shape[1])
    image = network_input(frame, jnp.array(size), resolution)
    own = _resized(depth, working[::-1])
    pose: Any = networks.pose.apply(
        pose_variables, jnp.concatenate([state.image, image], axis=-1)[None], train=False
    )
    axisangle, translation = pose
    predicted = se3.transform_from_pose(axisangle[0], translation[0] * jnp.exp(state.scale))
    seen_by_pose = resolution[::-1]
    motion = align(
        state.image,
        image,
        _resized(state.depth, seen_by_pose)[..., None],
        camera.resize_intrinsics(intrinsics, size, seen_by_pose),
        predicted,
        factors=factors,
    )
    K = camera.resize_intrinsics(intrinsics, size, working[::-1])
    new, flicker = filter_depth(state, image, own, K, motion)
    change = disparity_at(jnp.log(new.depth / own)[..., None], size, jnp.array(size))
    return new, depth * jnp.exp(change), flicker


def _resized(depth: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Depth [H, W] at another size (h, w). Its inverse is averaged."""
    if depth.shape == size:
        return depth
    rows, columns = (
        resize_weights(jnp.arange(new), old, new, old, kernel="linear")
        for new, old in zip(size, depth.shape, strict=True)
    )
    return 1 / resample((1 / depth)[..., None], rows, columns)[..., 0]


class Steady:
    """Steadies the frames of a film as they come: `depth = steady(frame, depth)`.

    There is one compilation for each size of frames.

    Args:
        model: its pose network is asked for the motion, and has to be trained.
        intrinsics: [3, 3] of the film, in pixels.
        working: (width, height) at which depth is filtered. By default it is the resolution at
            which the model was trained.
        unit: how long a unit of the network's depth is in that of the depth that is given.

    Attributes:
        flicker: (before, after) of every frame that follows another one.
    """

    def __init__(
        self,
        model: Model,
        intrinsics: np.ndarray,
        *,
        working: Resolution | None = None,
        unit: float = 1.0,
    ) -> None:
        width, height = model.config.views.resolution
        self._networks = model.networks
        self._intrinsics = np.asarray(intrinsics, np.float32)
        self._resolution = (int(width), int(height))
        self._working = working or self._resolution
        self._factors = tuple(model.config.pose.align) or COARSE_TO_FINE
        self._unit = np.float32(unit)
        # What a step returns is bound to a device. If the first state were not, the second step
        # would be compiled again.
        self._variables, self._state = jax.device_put(
            (model.variables["pose"], start(self._resolution, self._working)),
            jax.local_devices()[0],
        )
        self.flicker: list[tuple[float, float]] = []

    def __call__(self, frame: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """The steadied depth [H, W] of the next frame.

        Args:
            frame: uint8 [H, W, 3].
            depth: [H, W] the network's depth, positive.
        """
        self._state, steadied, flicker = steady_step(
            self._variables,
            self._state,
            frame,
            depth / self._unit,
            self._intrinsics,
            networks=self._networks,
            resolution=self._resolution,
            working=self._working,
            factors=self._factors,
        )
        pair = float(flicker.before), float(flicker.after)
        if np.isfinite(pair).all():
            self.flicker.append(pair)
        return self._unit * np.asarray(steadied)
