"""How much harder than others a GTIN's tags are to read: in which GTINs units not found yet are.

Tags of one GTIN share what they are fixed to, and mostly a shelf. Where some of them were found late, or have fallen
silent though nobody took them, more of them have not been found yet than of another GTIN. Such *signs* are counted GTIN
by GTIN. With n of them where e were expected in proportion to its units, and hardness from GTIN to GTIN following a
gamma distribution of mean 1 and shape k, a GTIN's hardness has the shape k + n and the mean (n + k) / (e + k). How much
GTINs of a site differ, k, is learnt from the signs of all of them, which are negative binomial.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.on_hand import Hardness

SHAPES = np.geomspace(0.25, 64.0, 9)
"""Shapes that are weighed: from some GTINs with nearly all signs to as good as none that differs. Before any sign, one
is as likely as the next."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """Signs of one kind."""

    counts: Mapping[str, float]
    """Signs by GTIN."""
    unwatched: Collection[str] = ()
    """GTINs of which such signs are not counted."""


def hardness(signs: Sequence[Signs], units: Mapping[str, int]) -> dict[str, Hardness]:
    """Return how hard to read each GTIN is.

    Args:
        signs: Signs of several kinds.
        units: Units located by GTIN: all that are asked for.
    """
    gtins = sorted(units)
    told, expected = np.zeros(len(gtins)), np.zeros(len(gtins))
    for kind in signs:
        watched = np.array([0 if gtin in kind.unwatched else max(0, units[gtin]) for gtin in gtins], dtype=np.float64)
        counts = np.array([0.0 if gtin in kind.unwatched else kind.counts.get(gtin, 0.0) for gtin in gtins])
        told += counts
        expected += counts.sum() * watched / max(1.0, watched.sum())
    shape = _shape(told, expected)
    return {
        gtin: Hardness(shape=shape + n, mean=(n + shape) / (e + shape))
        for gtin, n, e in zip(gtins, told.tolist(), expected.tolist(), strict=True)
    }


def _shape(told: Floats, expected: Floats) -> float:
    """Return how alike GTINs are: the middle, on a scale of ratios, of what their signs say."""
    some = expected > 0.0
    told, expected = told[some], expected[some]
    log_weight = np.array([_log_likelihood(told, expected, shape) for shape in SHAPES.tolist()])
    weight = np.exp(log_weight - log_weight.max())
    return math.exp(float(weight @ np.log(SHAPES)) / float(weight.sum()))


def _log_likelihood(told: Floats, expected: Floats, shape: float) -> float:
    """Return how likely signs are, up to what does not depend on the shape: negative binomial."""
    choose = np.array([math.lgamma(shape + n) for n in told.tolist()]) - math.lgamma(shape)
    return float((choose + shape * np.log(shape / (shape + expected)) - told * np.log(shape + expected)).sum())
