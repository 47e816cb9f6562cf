"""How many tags are there, readable, and not found yet: what first finds say, the later the fewer.

Tags differ in how often they are read, by orders of magnitude: some decibels of shadow turn a read a minute into one a
day. Items of the opening stock are therefore found for the first time at ages that spread over doublings of the age,
and what is found in a doubling falls with each, by a ratio r. With finds in quarters of the last two doublings and R
units still to be found, a quarter that began b and ended a quarters ago has seen a Poisson number with the mean

    R (r ** (-b / 4) - r ** (-a / 4))

Finds of announced GTINs wait for a receipt (`deliveries`) before they are counted here: of the time that they wait, a
quarter has seen that share less.

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
DOUBLINGS = 11
"""From a minute to 34 hours."""
FIND_BIN_COUNT = DOUBLINGS * FIND_BINS_PER_DOUBLING
"""Bins of ages."""
FIND_FIRST_US = 60 * 1_000_000
"""Where the first bin begins."""
FIND_FADES_US = 24 * 3600 * 1_000_000
"""Late finds are extrapolated until the step has seen this much, and with falling weight after half of it."""
LATE_US = 4 * 60 * 1_000_000
"""A find this late is of a tag that is harder to read than others."""
LATE_DOUBLINGS = 4
"""Late finds of so many doublings tell which GTINs are hard to read."""
LATE_KEPT = 64
"""Late finds of one GTIN that are remembered."""
WINDOW_BINS = 2 * FIND_BINS_PER_DOUBLING
"""Finds of so many quarters are looked at: what is found quickly follows another law."""
RATIOS = np.linspace(0.05, 0.85, 17)
"""Ratios from doubling to doubling that are weighed. Were it one, the sum would be of things that take for ever."""
RATIO_PRIOR = (4.0, 1.5)
"""Beta distribution of the ratio before any find: a spread of read rates over many doublings makes it fall slowly."""
UNITS_PRIOR, UNITS_PRIOR_SHARE = 0.5, 0.02
"""Gamma distribution of the units still to be found: its shape, and its mean as a share of what is located."""
HIDDEN_MAX = 0.95
"""Of finds, this share may not be counted yet at most."""
LEAST_QUARTER = 0.1
"""A quarter that has just begun counts as this long: a find may lie on its edge."""
_LEVELS = ((-1.22, 0.25), (0.0, 0.5), (1.22, 0.25))  # normal scores, and weights, that stand for a gamma distribution


def find_bin(age_us: int) -> int:
    """Return the bin of a find at an age."""
    return min(FIND_BIN_COUNT - 1, int(_quarters(age_us)))


def _quarters(age_us: int) -> float:
    """Return an age on the scale of quarters of a doubling."""
    return FIND_BINS_PER_DOUBLING * math.log2(max(age_us, FIND_FIRST_US) / FIND_FIRST_US)


def to_be_found(
    finds: Sequence[float], age_us: int, located: int, hidden: tuple[int, float] = (0, 0.0)
) -> list[tuple[float, float]]:
    """Return how many units are still to be found: numbers with their probabilities, which add up to 1.

    Args:
        finds: First finds by the bin of the age at them.
        age_us: Age now, microseconds.
        located: Units located.
        hidden: How long ago, microseconds, finds of a share of the goods have begun not to be counted, and that share.
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
    unhidden = np.clip(now - _quarters(max(0, age_us - hidden[0])), ended, began)  # quarters ago, from the far end on
    levels = _found(began, ended) - min(HIDDEN_MAX, hidden[1]) * _found(unhidden, ended)
    total, rate = float(found.sum()), UNITS_PRIOR / (UNITS_PRIOR_SHARE * max(1, located))
    seen = levels.sum(axis=1)
    log_weight = (RATIO_PRIOR[0] - 1.0) * np.log(RATIOS) + (RATIO_PRIOR[1] - 1.0) * np.log1p(-RATIOS)
    log_weight += np.log(levels) @ found - (total + UNITS_PRIOR) * np.log(seen + rate)
    weight = np.exp(log_weight - log_weight.max())
    units = _gamma_levels(total + UNITS_PRIOR) / (seen + rate)[:, None] * fading
    shares = (weight / weight.sum())[:, None] * np.array([share for _, share in _LEVELS])
    return _condensed(units.ravel(), shares.ravel())


def _found(began: npt.NDArray[np.float64], ended: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what is found between two times ago, quarters of a doubling, of one unit still to be found: by ratio."""
    ratios = RATIOS[:, None]
    return np.asarray(ratios ** (-began / FIND_BINS_PER_DOUBLING) - ratios ** (-ended / FIND_BINS_PER_DOUBLING))


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
