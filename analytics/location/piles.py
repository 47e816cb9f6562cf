"""A small pile of evidence: up to a few antennas, each with a decayed count of reads and their mean RSSI.

What a read does to a pile, and how well a pile, or a place, foretells a read. Whose piles they are and what follows
from a read is `tracks`' business.
"""

import math

import numpy as np

from analytics.location.cells import WEIGHT_MIN, Floats32, Int16s, Int32s, Number, sum_lanes, sum_products, weigh_cells
from analytics.location.kernel import kernel, prefetch
from analytics.location.radio import RadioTables

FORGET_S_MIN = 6.0
"""Evidence decays with the age of the pile, so that a carried item is where it is and not where it came from; it lasts
at least this long,"""
FORGET_S_MAX = 240.0
"""and no longer than this: surroundings change, and what four minutes tell is as good as it gets;"""
FORGET_GAPS = 30.0
"""but where reads are rare, for as many reads as this."""
SHARE_PRIOR = 8.0
"""Weight, in reads, of the law's shares of the antennas beside the shares that an item shows: readers take turns and
tags keep quiet for a while, so that shares jump about more than chance would have it."""
_FLOATS_A_LINE = 16
_ZERO = np.float32(0.0)


@kernel
def fade(weights: Floats32, elapsed_s: float, age_s: float, longest_s: float) -> Number:
    """Let a pile of evidence decay; return what is left of it."""
    factor = np.float32(math.exp(-elapsed_s / min(max(age_s, FORGET_S_MIN), longest_s)))
    total = _ZERO
    for slot in range(len(weights)):
        weights[slot] *= factor
        total += weights[slot]
    return total


@kernel
def remember(  # noqa: PLR0917
    antennas: Int16s, weights: Floats32, means: Floats32, antenna: int, rssi: Number, weight: Number
) -> None:
    """Add reads to their antenna's slot, or to the slot with least weight."""
    place = 0
    for slot in range(len(weights)):
        if weights[slot] > 0 and antennas[slot] == antenna:
            place = slot
            break
        if weights[slot] < weights[place]:
            place = slot
    if antennas[place] != antenna or weights[place] <= 0:
        antennas[place] = antenna
        weights[place] = _ZERO
        means[place] = rssi
    weights[place] += np.float32(weight)
    if np.isnan(means[place]):
        means[place] = rssi
    elif not np.isnan(rssi):
        means[place] += (np.float32(rssi) - means[place]) * np.float32(weight) / weights[place]


@kernel
def slot_of(antennas: Int16s, weights: Floats32, antenna: int) -> int:
    """Return the slot of an antenna in a pile of evidence, -1 for none."""
    for slot in range(len(weights)):
        if weights[slot] > WEIGHT_MIN and antennas[slot] == antenna:
            return slot
    return -1


@kernel
def log_heard(  # noqa: PLR0917
    rssi: Number, heard: Number, heard_dbm: Number, total: Number, mean_dbm: Number, share: Number, law: RadioTables
) -> Number:
    """Return the log-density of a read by an antenna, given how much and how strongly it has heard the item.

    Args:
        rssi: RSSI of the read, dBm; NaN for none.
        heard: Weight of its reads so far.
        heard_dbm: Their mean RSSI.
        total: Weight of all antennas' reads so far.
        mean_dbm: Mean RSSI by the law.
        share: The antenna's share of reads by the law.
        law: The radio law.
    """
    place, fading = law.place_variance, law.fading_variance
    chance = math.log((heard + SHARE_PRIOR * share) / (total + SHARE_PRIOR))
    if heard <= WEIGHT_MIN or np.isnan(heard_dbm):
        return np.float32(chance) + _log_tail(rssi - mean_dbm, place + fading)
    known = heard * place / (heard * place + fading)
    expected = mean_dbm + known * (heard_dbm - mean_dbm)
    return np.float32(chance) + _log_tail(rssi - expected, fading + (1.0 - known) * place)


@kernel
def log_by_pile(  # noqa: PLR0917
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    antenna: int,
    rssi_bin: int,
    rssi: Number,
    total: Number,
    law: RadioTables,
    cells: Floats32,
    powers: Int32s,
) -> Number:
    """Return the log-density of a read if the item is where a pile of evidence says, which may be in many cells."""
    slot = slot_of(antennas, weights, antenna)
    if slot < 0:  # the table is larger than a cache: asked for now, it is there when cells have been weighed
        for cell in range(0, len(cells), _FLOATS_A_LINE):
            prefetch(law.likelihood[antenna, rssi_bin], cell)
    weigh_cells(antennas, weights, means, law, cells, powers)
    mass = sum_lanes(cells)
    if slot >= 0:
        law_share = sum_products(cells, law.share[antenna])
        return log_heard(rssi, weights[slot], means[slot], total, means[slot], law_share / mass, law)
    by_law = sum_products(cells, law.likelihood[antenna, rssi_bin])
    return np.float32(math.log(SHARE_PRIOR * by_law / mass / (total + SHARE_PRIOR) + 1e-12))


@kernel
def _log_tail(off_db: Number, variance: Number) -> Number:
    """Return the logarithm of the density `off_db` away from the mean, up to a constant; 0 without RSSI."""
    if np.isnan(off_db):
        return _ZERO
    return np.float32(-0.5 * math.log(variance) - 2.5 * math.log1p(0.25 * off_db * off_db / variance))
