"""How goods move at a gate: where a load is at every instant, for each of the five things that it may do.

The gate stands at x = 0; negative x is outside, positive x inside. People walk along x through it at about y = 0.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]

STEP_S = 0.05
"""Resolution of a path: 10 cm at a hurried walk."""

DIRECTIONS = ("inbound", "outbound", "passed_by", "static", "returned")
"""What a load may do at a gate, in the words of the `passages` table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Where a load was."""

    at_s: Float64s
    """Times from 0 on, `STEP_S` apart."""
    x_m: Float64s
    """Metres; inside is positive."""
    y_m: Float64s
    """Metres along the wall."""


def draw_path(direction: str, rng: np.random.Generator) -> Path:
    """Draw the path of one load.

    Args:
        direction: One of `DIRECTIONS`.
        rng: Random stream.
    """
    sign = 1.0 if rng.random() < 0.5 else -1.0
    if direction == "inbound":
        return _through(1.0, rng)
    if direction == "outbound":
        return _through(-1.0, rng)
    if direction == "returned":
        return _there_and_back(sign, rng)
    if direction == "static":
        return _standing(sign, rng)
    assert direction == "passed_by", direction
    return _along(sign, rng) if rng.random() < 0.7 else _up_to_it(sign, rng)


def _through(sign: float, rng: np.random.Generator) -> Path:
    lane, end = rng.normal(0, 0.2), rng.normal(0, 0.8)
    points = [(-sign * rng.uniform(2, 7), lane + rng.normal(0, 0.8)), (0.0, lane), (sign * rng.uniform(2, 7), end)]
    pauses = [_wait(rng), _maybe(0.12, 5, rng), _wait(rng)]
    return _walk(points, pauses, rng)


def _there_and_back(sign: float, rng: np.random.Generator) -> Path:
    lane = rng.normal(0, 0.2)
    start = (-sign * rng.uniform(2, 7), lane + rng.normal(0, 0.8))
    turn = (sign * rng.uniform(1.0, 5), lane + rng.normal(0, 0.5))
    back = (-sign * rng.uniform(2, 7), lane + rng.normal(0, 0.8))
    pauses = [_maybe(0.2, 4, rng), 0.0, _maybe(0.7, 8, rng), 0.0, _maybe(0.2, 4, rng)]
    return _walk([start, (0.0, lane), turn, (0.0, lane), back], pauses, rng)


def _along(sign: float, rng: np.random.Generator) -> Path:
    """Walk past the gate, on one side of it, along the wall."""
    away = sign * rng.uniform(0.7, 4)
    way = 1.0 if rng.random() < 0.5 else -1.0
    points = [
        (away + rng.normal(0, 0.3), -way * rng.uniform(3, 7)),
        (away + rng.normal(0, 0.3), way * rng.uniform(3, 7)),
    ]
    return _walk(points, [0.0, 0.0], rng)


def _up_to_it(sign: float, rng: np.random.Generator) -> Path:
    """Come up to the gate and turn off before it."""
    start = (sign * rng.uniform(3, 7), rng.normal(0, 1))
    turn = (sign * rng.uniform(0.7, 2.5), rng.normal(0, 0.5))
    end = (sign * rng.uniform(2, 6), rng.choice([-1, 1]) * rng.uniform(2, 6))
    return _walk([start, turn, end], [0.0, _maybe(0.4, 4, rng), 0.0], rng)


def _standing(sign: float, rng: np.random.Generator) -> Path:
    at_s = np.arange(0, np.exp(rng.uniform(np.log(2), np.log(45))), STEP_S)
    x, y = sign * rng.uniform(0.2, 4), rng.uniform(-3, 3)
    return Path(at_s=at_s, x_m=np.full(len(at_s), x), y_m=np.full(len(at_s), y))


def _wait(rng: np.random.Generator) -> float:
    """Draw how long a load stands where its way begins or ends: mostly not at all, or it is left there."""
    return _maybe(0.12, 30, rng) or _maybe(0.2, 6, rng)


def _maybe(share: float, seconds: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(0, seconds)) if rng.random() < share else 0.0


def _walk(points: list[tuple[float, float]], pauses_s: list[float], rng: np.random.Generator) -> Path:
    """Walk from point to point at a pace that changes a little, standing for a while at each."""
    speed = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    times, xs, ys = [0.0], [points[0][0]], [points[0][1]]
    for place, (x, y) in enumerate(points):
        if place:
            metres = float(np.hypot(x - xs[-1], y - ys[-1]))
            times.append(times[-1] + metres / (speed * float(rng.uniform(0.8, 1.2))))
            xs.append(x)
            ys.append(y)
        if pauses_s[place]:
            times.append(times[-1] + pauses_s[place])
            xs.append(x)
            ys.append(y)
    at_s = np.arange(0, times[-1] + STEP_S, STEP_S)
    return Path(at_s=at_s, x_m=np.interp(at_s, times, xs), y_m=np.interp(at_s, times, ys))
