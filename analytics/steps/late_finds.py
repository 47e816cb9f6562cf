"""How many tags are there, readable, and not found yet: what first finds say, the later the fewer.

Tags differ in how often they are read, by orders of magnitude: some decibels of shadow turn a read a minute into one a
day. Items of the opening stock are therefore found for the first time at ages that spread over doublings of the age,
and what is found in a doubling falls with each, by a ratio r. With finds in quarters of the last two doublings and R
units still to be found, a quarter that began b and ended a quarters ago has seen a Poisson number with the mean

    R (r ** (-b / 4) - r ** (-a / 4))

Each ratio of a grid is weighed by a prior and by how well the finds agree with it; R then follows a gamma distribution.
That is a zero-truncated mixture of Poisson processes, told by its first events alone. It is weighed for the first day
and then fades: what has not been found by then is a dead tag as far as anybody can tell.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FIND_BINS_PER_DOUBLING = 4
"""Ages of first finds are counted this finely."""
FIND_BIN_COUNT = 11 * FIND_BINS_PER_DOUBLING
"""From a minute to 34 hours."""
FIND_FIRST_US = 60 * 1_000_000
"""Where the first bin begins."""
FIND_FADES_US = 24 * 3600 * 1_000_000
"""Late finds are extrapolated until the step has seen this much, and with falling weight after half of it."""
WINDOW_BINS = 2 * FIND_BINS_PER_DOUBLING
"""Finds of so many quarters are looked at: what is found quickly follows another law."""
RATIOS = np.linspace(0.05, 0.85, 17)
"""Ratios from doubling to doubling that are weighed. Were it one, the sum would be of things that take for ever."""
RATIO_PRIOR = (3.0, 2.0)
"""Beta distribution of the ratio before any find."""
UNITS_PRIOR, UNITS_PRIOR_SHARE = 0.5, 0.02
"""Gamma distribution of the units still to be found: its shape, and its mean as a share of what is located."""
LEAST_QUARTER = 0.1
"""A quarter that has just begun counts as this long: a find may lie on its edge."""
_LEVELS = ((-1.22, 0.25), (0.0, 0.5), (1.22, 0.25))  # normal scores, and weights, that stand for a gamma distribution


def find_bin(age_us: int) -> int:
    """Return the bin of a find at an age."""
    return min(FIND_BIN_COUNT - 1, int(_quarters(age_us)))


def _quarters(age_us: int) -> float:
    """Return an age on the scale of quarters of a doubling."""
    return FIND_BINS_PER_DOUBLING * math.log2(max(age_us, FIND_FIRST_US) / FIND_FIRST_US)


def to_be_found(finds: Sequence[float], age_us: int, located: int) -> list[tuple[float, float]]:
    """Return how many units are still to be found: numbers with their probabilities, which add up to 1.

    Args:
        finds: First finds by the bin of the age at them.
        age_us: Age now, microseconds.
        located: Units located.
    """
    now = _quarters(age_us)
    if age_us >= FIND_FADES_US or now < WINDOW_BINS:
        return [(0.0, 1.0)]
    fading = min(1.0, 2.0 - 2.0 * age_us / FIND_FADES_US)
    last = find_bin(age_us)
    bins = range(last - WINDOW_BINS + 1, last + 1)
    found = np.array([finds[place] for place in bins])
    began = np.array([max(LEAST_QUARTER, now - place) for place in bins])
    ended = np.array([max(0.0, now - place - 1.0) for place in bins])
    levels = RATIOS[:, None] ** (-began / FIND_BINS_PER_DOUBLING) - RATIOS[:, None] ** (-ended / FIND_BINS_PER_DOUBLING)
    total, rate = float(found.sum()), UNITS_PRIOR / (UNITS_PRIOR_SHARE * max(1, located))
    seen = levels.sum(axis=1)
    log_weight = (RATIO_PRIOR[0] - 1.0) * np.log(RATIOS) + (RATIO_PRIOR[1] - 1.0) * np.log1p(-RATIOS)
    log_weight += np.log(levels) @ found - (total + UNITS_PRIOR) * np.log(seen + rate)
    weight = np.exp(log_weight - log_weight.max())
    units = _gamma_levels(total + UNITS_PRIOR) / (seen + rate)[:, None] * fading
    shares = (weight / weight.sum())[:, None] * np.array([share for _, share in _LEVELS])
    return _condensed(units.ravel(), shares.ravel())


def _gamma_levels(shape: float) -> npt.NDArray[np.float64]:
    """Return low, middle and high values of a gamma distribution of scale 1, by Wilson and Hilferty."""
    scores = np.array([score for score, _ in _LEVELS])
    return np.asarray(shape * np.maximum(0.0, 1.0 - 1.0 / (9.0 * shape) + scores / (3.0 * math.sqrt(shape))) ** 3)


def _condensed(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], parts: int = 6
) -> list[tuple[float, float]]:
    """Return a distribution of few values: means of parts of the same probability."""
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    ends = np.cumsum(weights)
    part = np.minimum(parts - 1, ((ends - 0.5 * weights) * parts).astype(int))
    shares = np.bincount(part, weights, minlength=parts)
    means = np.bincount(part, weights * values, minlength=parts) / np.where(shares > 0, shares, 1.0)
    return [(float(value), float(share)) for value, share in zip(means, shares, strict=True) if share > 0]
