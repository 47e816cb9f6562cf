"""Which items heard in a count belong to what was counted, and which were heard from beyond it.

A handheld passes everything that is to be counted at arm's length: those items are heard loud at least once, and often.
What lies in the next room or behind a wall is heard faintly and seldom, whenever the antenna happens to point there.
Two numbers of an item say so, its strongest read and the logarithm of its reads for each pass; both kinds are taken to
be normal in them, and the mixture is fitted by expectation maximisation, starting from the louder seven tenths.

What lies beyond and is heard as loud as the goods - a tagged thing beside the wall - belongs to them as far as this can
tell. Where everything belongs, the fainter kind is the faint part of the goods themselves: ask only where strays are
to be expected.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

ROUNDS = 200
"""Rounds of expectation maximisation."""
LOUD_SHARE = 0.7
"""Share of items that the louder kind starts with."""
RIDGE = 0.01
"""Added to each variance, in units of the data's own: a kind of a few equal items has a width too."""
ITEMS_MIN = 10
"""With fewer items than this all belong."""

Floats = npt.NDArray[np.float64]


def belonging(rssi_dbm_peak: Sequence[float], reads_per_pass: Sequence[float]) -> Floats:
    """Return the probability that each item belongs to what was counted.

    Args:
        rssi_dbm_peak: Each item's strongest read over all passes, dBm.
        reads_per_pass: Each item's reads, divided by the number of passes.
    """
    if len(rssi_dbm_peak) < ITEMS_MIN:
        return np.ones(len(rssi_dbm_peak))
    told = np.column_stack([rssi_dbm_peak, np.log(reads_per_pass)])
    spread = told.std(axis=0)
    told = (told - told.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    share = np.where(told[:, 0] > np.quantile(told[:, 0], 1.0 - LOUD_SHARE), 0.95, 0.05)
    for _ in range(ROUNDS):
        difference = _log_density(told, 1.0 - share) - _log_density(told, share)
        share = 1.0 / (1.0 + np.exp(np.clip(difference, -500.0, 500.0)))
    return np.asarray(share)


def _log_density(told: Floats, share: Floats) -> Floats:
    """Return the log of a kind's share times its density, at every item."""
    weight = share.sum() + 1e-12
    away = told - (share @ told) / weight
    covariance = (share[:, None] * away).T @ away / weight + RIDGE * np.eye(told.shape[1])
    distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
    return np.asarray(math.log(weight / len(told)) - 0.5 * (np.log(np.linalg.det(covariance)) + distance))
