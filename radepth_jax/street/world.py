"""Street worlds: a road, the objects along it and on it, and the camera's path through it.

Everything is drawn from one seed with NumPy. Nothing depends on the machine or the renderer.
"""

from dataclasses import dataclass, replace

import numpy as np

from radepth_jax.street import buildings, landscape, roadside, traffic
from radepth_jax.street.appearance import Appearance, draw_appearance
from radepth_jax.street.drive import draw_drive
from radepth_jax.street.road import Road, beside, draw_lanes, draw_road
from radepth_jax.street.site import Site
from radepth_jax.street.solids import Solid, Solids, pack
from radepth_jax.street.variety import RANGES, Ranges, Variety, draw_variety

HEADROOM = 2.6  # metres; solids above this height (crowns of trees) may reach over the road
MAX_BOXES, MAX_ROUNDS = 160, 94


@dataclass(frozen=True)
class World:
    """A street and a drive through it."""

    variety: Variety
    road: Road
    solids: tuple[Solid, ...]
    world_T_camera: np.ndarray  # noqa: N815  float64 [T, 4, 4]
    appearance: Appearance


def make_world(seed: tuple[int, ...], frames: int, ranges: Ranges = RANGES["plain"]) -> World:
    """Draw the world of a seed, with a drive of `frames` frames through it.

    Args:
      seed: any tuple of non-negative integers. The same seed gives the same world.
      frames: the number of camera poses.
      ranges: what the world's variety is drawn from.
    """
    variety = draw_variety(seed, ranges)
    rng = np.random.default_rng(seed)
    road, lanes = draw_road(rng, variety), draw_lanes(rng, variety)
    world_T_camera, along = draw_drive(rng, variety, road, lanes, frames)
    reached = float(along[-1])
    # Some streets end soon (a T-junction), and most run on.
    end = reached + float(rng.uniform(15, 45) if rng.random() < 0.4 else rng.uniform(45, 110))
    site = Site(rng, variety, road, lanes, end if variety.built else 200.0, reached)
    free = [s for s in roadside.furnish(site) if s.lift > HEADROOM or site.is_free(s)]
    solids = free + traffic.parked(site) + traffic.traffic(site, along) + traffic.people(site)
    solids += buildings.end_wall(site) if variety.place == "town" else landscape.horizon(site)
    kept = _nearest(solids, world_T_camera[:, [0, 2], 3])
    appearance = draw_appearance(rng, variety, lanes)
    return World(variety, road, tuple(kept), world_T_camera, appearance)


def scene(world: World, frame: int) -> tuple[Solids, np.ndarray]:
    """The solids at `frame`, with the moving ones in their places, and which of them move.

    Returns:
      Solids, MAX_BOXES boxes and MAX_ROUNDS cylinders and ellipsoids, padded, and bool [N].
    """
    solids, moving = [], []
    for is_box, most in ((True, MAX_BOXES), (False, MAX_ROUNDS)):
        some = [_moved(world.road, s, frame) for s in world.solids if (s.shape == "box") == is_box]
        solids.append(pack(some, most))
        moving += [s.motion is not None for s in some] + [False] * (most - len(some))
    return Solids(*(np.concatenate(pair) for pair in zip(*solids, strict=True))), np.array(moving)


def _moved(road: Road, solid: Solid, frame: int) -> Solid:
    if not solid.motion:
        return solid
    # It moves along z at a constant rate, which is about constant speed on these gentle bends.
    z = solid.motion.start + solid.motion.speed * frame
    position, heading = beside(road, z, solid.motion.lane)
    return replace(solid, position=position, yaw=heading)


def _nearest(solids: list[Solid], eyes: np.ndarray) -> list[Solid]:
    """The solids nearest to the drive [T, 2], as many as the renderer takes, with all landmarks.

    All frames have the same ones.
    """
    where = np.array([s.position for s in solids])
    away = np.linalg.norm(where[:, None] - eyes[None], axis=-1).min(1)
    away[[s.landmark for s in solids]] = 0.0
    ordered = [solids[i] for i in np.argsort(away, kind="stable")]
    boxes = [s for s in ordered if s.shape == "box"][:MAX_BOXES]
    return boxes + [s for s in ordered if s.shape != "box"][:MAX_ROUNDS]
