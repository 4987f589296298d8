"""The appearance of a world: its light, sky, air and ground, and the camera's exposure.

Everything here is drawn from a given generator, as arrays that the renderer takes. So one compiled
program renders worlds that look different.
"""

from typing import Any, NamedTuple

import numpy as np

from radepth_jax.street.road import Lanes
from radepth_jax.street.variety import Variety

MAX_LINES = 10
NOWHERE = 1e6  # metres from the centre line, for lanes and lines that do not exist

GRASS = {
    "green": ((0.20, 0.30, 0.10), (0.30, 0.34, 0.16)),
    "dry": ((0.55, 0.46, 0.28), (0.42, 0.38, 0.22)),
    "autumn": ((0.30, 0.28, 0.12), (0.46, 0.34, 0.16)),
}


class Surface(NamedTuple):
    """The ground. Lengths are in metres, colours RGB. `d` is metres right of the centre line."""

    lanes: Any  # [2, 2] the carriageways' least and largest d
    kerb: Any  # [] width of the kerb or concrete edge, 0 for none
    shoulder: Any  # [] width of the strip beyond the carriageway
    shoulder_colour: Any  # [3]
    joints: Any  # [] how dark the joints of the shoulder's slabs are, 0 for none
    asphalt: Any  # [3]
    grass: Any  # [2, 3] two colours, one in patches on the other
    line: Any  # [MAX_LINES, 4] d, width, period and length of the strokes along the road
    line_colour: Any  # [MAX_LINES, 3]
    wear: Any  # [] how strong the lines are, 0 to 1
    tracks: Any  # [] how much darker (or lighter) the wheels have made their tracks
    track: Any  # [2] d of a lane's middle and the width of the lanes
    patches: Any  # [] how much the colour of repaired patches differs
    contrast: Any  # [2] of the noise on the carriageway and beside it
    cell: Any  # [2] metres, the noise's coarsest lattice there


class Appearance(NamedTuple):
    """Light, sky, air and exposure. Colours are RGB before the exposure, so they may exceed 1."""

    surface: Surface
    sun: Any  # [3] unit vector towards the sun
    direct: Any  # [3] the sun's light on a surface that faces it
    ambient: Any  # [3] the sky's light
    zenith: Any  # [3]
    horizon: Any  # [3]
    rise: Any  # [] how fast the horizon's colour turns into the zenith's, per radian
    cloud: Any  # [3]
    cover: Any  # [] share of clouds, -2 (none) to 2 (all)
    cloud_size: Any  # [] radians
    glow: Any  # [2] strength and narrowness of the brightness around the sun
    haze: Any  # [] share of light that is lost per metre
    headlights: Any  # [] the light of our own lamps near the camera
    wet: Any  # [] how much of the sky the wet ground mirrors, 0 to 1
    exposure: Any  # [3] factors, with the white balance
    gamma: Any  # []
    contrast: Any  # [] around middle grey
    saturation: Any  # []
    vignette: Any  # [] darkening in the corners
    blur: Any  # [] share of each neighbouring pixel, 0 to 0.25
    noise: Any  # [] standard deviation of the sensor's noise
    seed: Any  # [] int32


def draw_appearance(rng: np.random.Generator, variety: Variety, lanes: Lanes) -> Appearance:
    """Draw the light of the weather and the hour, and how the camera exposes it."""
    weather, flaws = variety.weather, variety.flaws
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 65))
    warm, headlights, wet = rng.uniform(0, 1), 0.0, 0.0
    horizon, zenith = np.array([0.78, 0.85, 0.93]), np.array([0.25, 0.45, 0.78])
    zenith = zenith * rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)
    direct, ambient = rng.uniform(0.55, 0.95), rng.uniform(0.3, 0.55)
    cover = rng.uniform(-1.5, -0.6)
    # The haze mostly reaches kilometres. Now and then it is a fog.
    haze = 1.0 / np.exp(rng.uniform(np.log(400), np.log(6000)))
    if rng.random() < 0.08 * flaws:
        haze = 1.0 / rng.uniform(60, 250)
    if weather == "cloudy":
        cover, ambient = rng.uniform(-0.5, 0.7), rng.uniform(0.35, 0.6)
        direct = direct * rng.uniform(0.5, 1.0)
    if weather in ("overcast", "rain"):
        # Light comes from above and from all sides, so only what covers the ground darkens it.
        elevation = np.radians(rng.uniform(65, 88))
        grey = rng.uniform(0.6, 1.0)
        horizon, zenith = grey * np.array([1.0, 1.0, 1.02]), grey * np.array([0.8, 0.84, 0.9])
        direct, ambient, cover = rng.uniform(0.08, 0.3), rng.uniform(0.5, 0.75), rng.uniform(0, 2)
    if weather == "rain":
        direct, wet, haze = 0.0, rng.uniform(0.3, 1.0), 1.0 / rng.uniform(80, 500)
    if weather == "dusk":
        elevation, direct = np.radians(rng.uniform(8, 18)), rng.uniform(0.1, 0.5)
        horizon, zenith = np.array([0.8, 0.6, 0.45]), np.array([0.25, 0.3, 0.45])
        ambient, warm = rng.uniform(0.15, 0.3), 1.0
    if weather == "night":
        horizon, zenith = np.array([0.10, 0.09, 0.08]), np.array([0.02, 0.02, 0.03])
        direct, ambient, headlights = 0.0, rng.uniform(0.05, 0.2), rng.uniform(0.8, 2.0)
    level = np.cos(elevation)
    sun = np.array([level * np.sin(azimuth), -np.sin(elevation), level * np.cos(azimuth)])
    # An automatic exposure follows the light on the ground, but never exactly.
    seen = ambient + 0.6 * direct * np.sin(elevation) + 0.35 * headlights
    exposure = np.exp(flaws * (rng.normal(0.0, 0.22) + rng.normal(0, 0.03, 3))) / seen
    bright = rng.uniform(0.6, 1.05) if rng.random() < 0.6 else rng.uniform(0.9, 1.8)
    bright = (1.0 + flaws * (bright - 1.0)) * ({"dusk": 0.67}.get(weather, seen))
    dark = 0.3 if weather == "night" else 1.0

    def flaw(perfect: float, low: float, high: float, share: float = 1.0) -> float:
        """A property of the camera: the perfect one, or in a `share` of cases another."""
        worst = rng.uniform(low, high)
        return perfect + flaws * (rng.random() < share) * (worst - perfect)

    values = dict(
        sun=sun,
        direct=direct * np.array([1.0, 1.0 - 0.06 * warm, 1.0 - 0.16 * warm]),
        ambient=ambient * np.array([0.95, 1.0, 1.06]),
        zenith=zenith * bright,
        horizon=horizon * bright,
        rise=rng.uniform(0.8, 4.0),
        cloud=bright * rng.uniform(0.8, 1.2) * np.ones(3) * dark**2,
        cover=cover,
        cloud_size=rng.uniform(0.15, 0.7),
        glow=(rng.uniform(0.0, 0.6) * (direct > 0) * (weather != "overcast"), rng.uniform(4, 30)),
        haze=haze,
        headlights=headlights,
        wet=wet,
        exposure=exposure,
        gamma=flaw(0.85, 0.65, 1.1),
        contrast=flaw(0.1, -0.1, 0.35),
        saturation=flaw(1.0, 0.7, 1.25),
        vignette=flaw(0.0, 0.0, 0.35, 0.5),
        blur=flaw(0.0, 0.0, 0.22, 0.5),
        noise=flaw(0.0, 0.0, 0.02, 0.7),
    )
    arrays = {name: np.asarray(value, np.float32) for name, value in values.items()}
    seed = np.int32(rng.integers(1 << 20))
    return Appearance(surface=draw_surface(rng, variety, lanes), seed=seed, **arrays)


def draw_surface(rng: np.random.Generator, variety: Variety, lanes: Lanes) -> Surface:
    """Draw the ground's colours."""
    bands = np.full((2, 2), NOWHERE, np.float32)
    bands[: len(lanes.bands)] = lanes.bands
    pale = rng.random() < 0.2 * variety.flaws
    grey = rng.uniform(0.4, 0.62) if pale else rng.uniform(0.12, 0.42)
    asphalt = grey * rng.uniform(0.97, 1.03, 3) * (0.6 if variety.weather == "rain" else 1.0)
    sand = np.array([0.5, 0.47, 0.42]) * rng.uniform(0.6, 1.3)
    if variety.built:
        edge = rng.uniform(0.3, 0.65) * rng.uniform(0.92, 1.08, 3)
    else:
        edge = asphalt * rng.uniform(0.8, 1.2) if rng.random() < 0.5 else sand
    grass = np.array(GRASS[variety.season]) * rng.uniform(0.7, 1.3) * rng.uniform(0.92, 1.08, 3)
    if variety.built and rng.random() < 0.3:
        grass = np.stack([sand, sand * rng.uniform(0.7, 1.1)])
    strokes = np.tile(np.array([NOWHERE, 0.1, 1.0, 1.0], np.float32), (MAX_LINES, 1))
    colours = np.full((MAX_LINES, 3), rng.uniform(0.7, 1.0), np.float32)
    yellow = rng.random() < 0.25
    width, period = rng.uniform(0.1, 0.22), float(rng.choice([6.0, 9.0, 12.0, 18.0]))
    for i, (d, dashed) in enumerate(lanes.lines[:MAX_LINES]):
        strokes[i] = (d, width, period, period * rng.uniform(0.25, 0.5) if dashed else period)
        if yellow and abs(d - min(abs(e) for e, _ in lanes.lines) * np.sign(d)) < 0.3:
            colours[i] *= (1.0, 0.78, 0.2)
    values = dict(
        lanes=bands,
        kerb=rng.uniform(0.1, 0.3) * (variety.built or rng.random() < 0.2),
        shoulder=lanes.shoulder,
        shoulder_colour=edge,
        joints=rng.uniform(0.1, 0.5) * (variety.built and rng.random() < 0.7),
        asphalt=asphalt,
        grass=grass,
        line=strokes,
        line_colour=colours,
        wear=rng.uniform(0.35, 1.0) if rng.random() < 0.85 else 0.0,
        tracks=rng.normal(0, 0.12),
        track=(lanes.ego, lanes.width),
        patches=rng.uniform(0, 0.25) if rng.random() < 0.5 else 0.0,
        contrast=(variety.texture * rng.uniform(0.2, 0.3), rng.uniform(0.2, 0.4)),
        cell=(np.exp(rng.uniform(np.log(0.5), np.log(5.0))), rng.uniform(1.5, 6.0)),
    )
    return Surface(**{name: np.asarray(value, np.float32) for name, value in values.items()})
