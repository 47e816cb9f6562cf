"""In which cell, and so in which zone, a pile of evidence says that an item lies: the kernels that do the sums.

Sums run in a fixed order and exponentials are our own, so that results are the same on every machine.
"""

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from analytics.location.kernel import float_of_bits, kernel
from analytics.location.radio import RadioTables

SHARE_TRUST = 2.0
"""Which antennas hear an item, and how often, says where it is, beside RSSI. All of its reads together count as this
many independent ones at most: whether an antenna wakes a tag depends on how the tag lies, as RSSI does."""
SHARE_TRUST_READS = 3.0
"""Reads at which half of that trust is reached."""
WEIGHT_MIN = 0.05
"""Slots of evidence that have decayed below this are free."""

Floats32 = npt.NDArray[np.float32]
Int16s = npt.NDArray[np.int16]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Number = Any
"""A float32 or a float: numba tells them apart, and mixing them on purpose is what a kernel does."""

_ZERO, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
_LOG2_E = np.float32(math.log2(math.e))
_C1, _C2, _C3, _C4 = (np.float32(c) for c in (0.69306369, 0.23945766, 0.05322541, 0.00683296))
"""2^x is 1 + C1 x + C2 x^2 + C3 x^3 + C4 x^4 for -1 <= x <= 0, to 3e-6."""
_UNIT, _TWO, _THREE, _FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
_EXPONENT_MIN, _EXPONENT_OF_ONE, _EXPONENT_UNIT = np.float32(-100.0), np.float32(127.0), np.float32(2**23)
"""A float32's exponent is written at its bit 23, plus 127. Worked out in float32, which holds it exactly."""


@kernel
def weigh_cells(  # noqa: PLR0917
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    law: RadioTables,
    cells: Floats32,
    powers: Int32s,
) -> None:
    """Weigh each cell by how well it explains a pile of evidence.

    `cells` is filled with weights of which the largest is 1. `powers` is scratch. Sums run in a fixed order and
    exponentials are our own, so that the result is the same on every machine.
    """
    log_weights(antennas, weights, means, law, cells)
    exponentiate(cells, _ONE, powers)


@kernel
def log_weights(antennas: Int16s, weights: Floats32, means: Floats32, law: RadioTables, cells: Floats32) -> None:
    """Fill `cells` with logarithms of how well each explains a pile of evidence, up to a constant."""
    log_weights_by(law.weighing_variance, antennas, weights, means, law, cells)


@kernel
def log_weights_by(  # noqa: PLR0917
    variance: Number, antennas: Int16s, weights: Floats32, means: Floats32, law: RadioTables, cells: Floats32
) -> None:
    """Do that where what stays has a variance of its own, dB^2."""
    cells[:] = _ZERO
    total = np.float32(SHARE_TRUST_READS)
    for slot in range(len(weights)):
        total += weights[slot]
    for slot in range(len(weights)):
        if weights[slot] <= WEIGHT_MIN:
            continue
        trust, shares = np.float32(SHARE_TRUST) * weights[slot] / total, law.log_share[antennas[slot]]
        if np.isnan(means[slot]):
            for cell in range(len(cells)):
                cells[cell] += trust * shares[cell]
        else:
            scale = _HALF / (variance + law.fading_variance / weights[slot])
            level, expected = means[slot], law.mean_dbm[antennas[slot]]
            for cell in range(len(cells)):
                off = level - expected[cell]
                cells[cell] += trust * shares[cell] - off * off * scale


@kernel
def _largest(values: Floats32) -> Number:
    """Return the largest value, none of them NaN.

    Floats are compared as whole numbers in the same order (those below 0 with their bits turned around), since of whole
    numbers eight are compared at a time.
    """
    bits = values.view(np.int32)
    most = _ordered(bits[0])
    for index in range(len(bits)):
        one = _ordered(bits[index])
        most = one if one > most else most  # noqa: FURB136 - of `max`, numba makes 64 bits
    return float_of_bits(_ordered(most))


@kernel
def _ordered(bits: Number) -> Number:
    """Return a whole number that is the larger, the larger the float32 with these bits is; and the other way round."""
    turned = bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))
    return np.int32(turned)  # of 32 bits, twice as many are compared at a time


@numba.njit(cache=True, inline="always")
def _larger(one: Number, other: Number) -> Number:
    """Return the larger of two, neither of them NaN: one instruction, unlike `max`."""
    return max(other, one)


@kernel
def exponentiate(values: Floats32, share: Number, powers: Int32s) -> Number:
    """Replace values by exp(share (value - the largest)), to 1e-5 relative; return the largest.

    Written to be vectorised. `powers` is scratch, `share` is above 0.
    """
    top, unit = _largest(values), share * _LOG2_E
    for index in range(len(values)):
        exponent = _larger((values[index] - top) * unit, _EXPONENT_MIN)
        whole = np.float32(np.int32(exponent))
        part = exponent - whole  # -1 to 0, where the polynomial is 2^part
        powers[index] = np.int32((whole + _EXPONENT_OF_ONE) * _EXPONENT_UNIT)
        values[index] = _ONE + part * (_C1 + part * (_C2 + part * (_C3 + part * _C4)))
    scale = powers.view(np.float32)
    for index in range(len(values)):
        values[index] *= scale[index]
    return top


@kernel
def likeliest(values: Floats32) -> int:
    """Return the place of the largest value, the first of them; none is NaN."""
    most, place = _largest(values), 0
    while values[place] < most:
        place += 1
    return place


@kernel
def sum_lanes(values: Floats32) -> Number:
    """Return the sum, in eight lanes of a fixed order."""
    a = b = c = d = e = f = g = h = _ZERO
    whole = len(values) // 8 * 8
    for index in range(0, whole, 8):
        a += values[index]
        b += values[index + 1]
        c += values[index + 2]
        d += values[index + 3]
        e += values[index + 4]
        f += values[index + 5]
        g += values[index + 6]
        h += values[index + 7]
    for index in range(whole, len(values)):
        a += values[index]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@kernel
def sum_products(values: Floats32, others: Floats32) -> Number:
    """Return the sum of the products, in eight lanes of a fixed order."""
    a = b = c = d = e = f = g = h = _ZERO
    whole = len(values) // 8 * 8
    for index in range(0, whole, 8):
        a += values[index] * others[index]
        b += values[index + 1] * others[index + 1]
        c += values[index + 2] * others[index + 2]
        d += values[index + 3] * others[index + 3]
        e += values[index + 4] * others[index + 4]
        f += values[index + 5] * others[index + 5]
        g += values[index + 6] * others[index + 6]
        h += values[index + 7] * others[index + 7]
    for index in range(whole, len(values)):
        a += values[index] * others[index]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@kernel
def _sum_and_largest(values: Floats32, start: Number, stop: Number) -> tuple[Number, Number]:
    """Return the sum and the largest of values of 0 and more, from `start` up to `stop`, which are unsigned.

    Zones have a handful of cells, so that there is no time to lose: four at once, and no index that may be negative.
    """
    total: Number = _ZERO
    largest, cell = _ZERO, start
    while cell + _FOUR <= stop:
        one, two, three, four = values[cell], values[cell + _UNIT], values[cell + _TWO], values[cell + _THREE]
        total += (one + two) + (three + four)
        largest = _larger(_larger(one, two), _larger(_larger(three, four), largest))
        cell += _FOUR
    while cell < stop:
        total += values[cell]
        largest = _larger(values[cell], largest)
        cell += _UNIT
    return total, largest


@kernel
def pool_zones(  # noqa: PLR0917
    cells: Floats32,
    zone_cells: Int64s,
    factors: Floats32,
    shelf_cell: Int16s,
    shelf_share: Floats32,
    zones: Floats32,
) -> tuple[int, Number]:
    """Sum cells to zones, as probabilities.

    Args:
        cells: Weight of each cell, as `weigh_cells` fills it.
        zone_cells: As in `Places`.
        factors: By how much each zone is likelier than its area.
        shelf_cell: Cells at shelves of the item's GTIN, in order (behind them may be some of share 0),
        shelf_share: and the share of what is in their zone that lies in each; the rest lies anywhere in the zone.
        zones: Filled.

    Returns:
        The likeliest cell; and how many times as likely the evidence is where goods of its kind are expected as
        anywhere in the site.
    """
    total, anywhere_at_all, top, most, best, place = _ZERO, _ZERO, _ZERO, _ZERO, 0, 0
    for zone in range(len(zones)):
        mass, largest = _sum_and_largest(cells, np.uint64(zone_cells[zone]), np.uint64(zone_cells[zone + 1]))
        count = np.float32(zone_cells[zone + 1] - zone_cells[zone])
        anywhere, shelved = _ONE, _ZERO
        while place < len(shelf_cell) and shelf_cell[place] < zone_cells[zone + 1]:
            anywhere -= shelf_share[place]
            shelved += shelf_share[place] * cells[shelf_cell[place]]
            place += 1
        zones[zone] = (anywhere * mass + count * shelved) * factors[zone]
        total += zones[zone]
        anywhere_at_all += mass
        if largest * factors[zone] > top:
            top, most, best = largest * factors[zone], largest, zone
    for zone in range(len(zones)):
        zones[zone] /= total
    likeliest: int = zone_cells[best]
    while cells[likeliest] < most:
        likeliest += 1
    return likeliest, total / anywhere_at_all
