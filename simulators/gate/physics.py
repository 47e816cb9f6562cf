"""What the antennas of a gate hear of a tag: geometry, path loss, patterns, multipath, and a reader's share of time.

The gain of a link is that of one direct and some scattered waves whose phases turn with the tag's place, so that
fading has the correlation over distance that real fading has, and a tag at rest keeps the one it has. Reads are
singulations of a reader that drives its antennas in turn and shares each turn among the tags it hears.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.gate.motion import STEP_S, Path

Float64s = npt.NDArray[np.float64]

WAVELENGTH_M = 0.346
"""Of 866 MHz."""
_SCATTERED = 10
_TAG_M = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLaw:
    """A gate and its reader."""

    x_m: tuple[float, float]
    """Of the outer and the inner antenna."""
    y_m: tuple[float, float]
    """Beside which side of the lane each stands."""
    z_m: float
    """Height of both."""
    yaw_deg: tuple[float, float]
    """How far each looks away from straight across the lane, towards its own side of the gate."""
    beamwidth_deg: float
    """Half-power beam width."""
    back_lobe_db: float
    """How far an antenna's gain falls at most."""
    eirp_dbm: float
    """Radiated power."""
    offset_db: tuple[float, float]
    """What installation adds to each antenna's one-way gain."""
    exponent: float
    """Path-loss exponent."""
    wall_db: float
    """One-way loss through the wall that the gate is in, for what is not seen through the opening."""
    opening_m: float
    """Width of the opening."""
    k_db: float
    """Rician K factor: power of the direct wave over that of the scattered ones."""
    body_db: float
    """Standard deviation of what load and body do to a link, one way."""
    sensitivity_dbm: float
    """Mean power that wakes a tag."""
    receiver_dbm: float
    """Weakest answer that the reader hears."""
    dwell_s: float
    """How long the reader stays on one antenna."""
    reads_per_s: float
    """Singulations per second, over all tags."""
    noise_db: float
    """Standard deviation of the reader's measurement."""
    step_db: float
    """To which it rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagReads:
    """What a gate's reader heard of one tag."""

    at_s: Float64s
    """Times, rising."""
    side: npt.NDArray[np.int8]
    """0 outer, 1 inner antenna."""
    rssi_dbm: Float64s
    """As reported."""


def draw_gate(rng: np.random.Generator) -> GateLaw:
    """Draw a gate that an integrator might have built."""
    apart = float(rng.uniform(0.6, 4.0))
    sides = rng.choice([-1.0, 1.0], size=2)
    return GateLaw(
        x_m=(-apart * float(rng.uniform(0.3, 0.7)), apart * float(rng.uniform(0.3, 0.7))),
        y_m=(float(sides[0] * rng.uniform(0.6, 2.0)), float(sides[1] * rng.uniform(0.6, 2.0))),
        z_m=float(rng.uniform(0.8, 3.0)),
        yaw_deg=(float(rng.uniform(-15, 60)), float(rng.uniform(-15, 60))),
        beamwidth_deg=float(rng.uniform(50, 100)),
        back_lobe_db=float(rng.uniform(10, 25)),
        eirp_dbm=float(rng.uniform(28, 36)),
        offset_db=(float(rng.normal(0, 1.5)), float(rng.normal(0, 1.5))),
        exponent=float(rng.uniform(1.8, 3.0)),
        wall_db=float(rng.choice([0.0, rng.uniform(2, 12)])),
        opening_m=float(rng.uniform(1.2, 4.0)),
        k_db=float(rng.uniform(0, 10)),
        body_db=float(rng.uniform(1, 4)),
        sensitivity_dbm=float(rng.uniform(-19, -11)),
        receiver_dbm=float(rng.uniform(-85, -68)),
        dwell_s=float(np.exp(rng.uniform(np.log(0.02), np.log(0.7)))),
        reads_per_s=float(np.exp(rng.uniform(np.log(30), np.log(400)))),
        noise_db=float(rng.uniform(0.3, 1.5)),
        step_db=float(rng.choice([0.1, 0.5, 1.0])),
    )


def hear(law: GateLaw, path: Path, *, offset_m: tuple[float, float], tags: int, rng: np.random.Generator) -> TagReads:
    """Let a gate read one tag of a load on its way.

    Args:
        law: The gate.
        path: Where the load is.
        offset_m: Where in the load the tag is, metres in x and y.
        tags: How many tags share the reader's time.
        rng: Random stream.
    """
    x, y = path.x_m + offset_m[0], path.y_m + offset_m[1]
    gain_db = np.stack([_gain_db(law, side, (x, y), path.at_s, rng) for side in (0, 1)])
    sensitivity = law.sensitivity_dbm + float(rng.normal(0, 1.5))
    reflection_db = rng.normal(0, law.body_db, size=2)
    slot_s, side = _slots(law, float(path.at_s[-1]) + STEP_S, tags, rng)
    place = np.minimum((slot_s / STEP_S).astype(int), len(x) - 1)
    at_tag_dbm = law.eirp_dbm + gain_db[side, place]
    rssi_dbm = at_tag_dbm + gain_db[side, place] + reflection_db[side] - 5.0 + rng.normal(0, law.noise_db, len(place))
    awake = rng.random(len(place)) < 1.0 / (1.0 + np.exp(-(at_tag_dbm - sensitivity) / 0.6))
    heard = awake & (rssi_dbm >= law.receiver_dbm)
    return TagReads(
        at_s=slot_s[heard],
        side=side[heard].astype(np.int8),
        rssi_dbm=np.round(rssi_dbm[heard] / law.step_db) * law.step_db,
    )


def _slots(law: GateLaw, seconds: float, tags: int, rng: np.random.Generator) -> tuple[Float64s, npt.NDArray[np.int64]]:
    """Draw when the tag has its turn, and at which antenna."""
    rate = min(law.reads_per_s / tags, 40.0)
    at_s = np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))
    turn = np.floor((at_s + rng.uniform(0, 2 * law.dwell_s)) / law.dwell_s).astype(np.int64)
    return at_s, turn % 2


def _gain_db(
    law: GateLaw, side: int, way: tuple[Float64s, Float64s], at_s: Float64s, rng: np.random.Generator
) -> Float64s:
    """Return the one-way gain between an antenna and a tag along its way, without the antenna's own gain."""
    x, y = way
    dx, dy = x - law.x_m[side], y - law.y_m[side]
    drop = _TAG_M - law.z_m
    metres = np.sqrt(dx**2 + dy**2 + drop**2)
    across = -1.0 if law.y_m[side] > 0 else 1.0
    yaw = np.radians(law.yaw_deg[side]) * (-1.0 if side == 0 else 1.0)
    axis = np.array([np.sin(yaw), across * np.cos(yaw)])
    tilt = np.arctan2(drop, 1.2)
    cosine = (np.cos(tilt) * (dx * axis[0] + dy * axis[1]) + np.sin(tilt) * drop) / np.maximum(metres, 1e-6)
    off_axis_deg = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    pattern_db = np.minimum(12.0 * (off_axis_deg / law.beamwidth_deg) ** 2, law.back_lobe_db)
    path_db = 31.2 + 10.0 * law.exponent * np.log10(np.maximum(metres, 0.3))
    beyond = np.sign(x) != np.sign(law.x_m[side])
    share = np.where(beyond, np.abs(law.x_m[side]) / np.maximum(np.abs(dx), 1e-6), 0.0)
    crossing_m = law.y_m[side] + share * dy
    wall_db = np.where(beyond & (np.abs(crossing_m) > law.opening_m / 2), law.wall_db, 0.0)
    link_db = rng.normal(0, law.body_db) + _drift_db(at_s, rng.uniform(0, law.body_db / 2), rng)
    return np.asarray(
        law.offset_db[side] - pattern_db - path_db - wall_db + link_db + _fading_db(law, x, y, at_s, rng) - 3.0
    )


def _fading_db(law: GateLaw, x: Float64s, y: Float64s, at_s: Float64s, rng: np.random.Generator) -> Float64s:
    """Return the power of one direct and some scattered waves, whose phases turn with place and a little with time."""
    k = 10.0 ** (law.k_db / 10.0)
    angles = rng.uniform(0, 2 * np.pi, _SCATTERED)
    turning = rng.normal(0, 0.3, _SCATTERED)  # people and doors move nearby, radians per second
    phases = (
        2 * np.pi / WAVELENGTH_M * (np.outer(np.cos(angles), x) + np.outer(np.sin(angles), y))
        + np.outer(turning, at_s)
        + rng.uniform(0, 2 * np.pi, (_SCATTERED, 1))
    )
    strengths = rng.rayleigh(1.0, (_SCATTERED, 1))
    strengths /= np.sqrt((strengths**2).sum() * (k + 1.0))
    field = np.sqrt(k / (k + 1.0)) + (strengths * np.exp(1j * phases)).sum(axis=0)
    return np.asarray(10.0 * np.log10(np.maximum(np.abs(field) ** 2, 1e-4)))


def _drift_db(at_s: Float64s, spread_db: float, rng: np.random.Generator) -> Float64s:
    """Return what turns and shifts within a load slowly: a tag's orientation, a hand before it."""
    knots = np.arange(0, float(at_s[-1]) + 2.0, 1.5)
    return np.asarray(np.interp(at_s, knots, rng.normal(0, spread_db, len(knots))))
