"""In which cell, and so in which zone, a pile of evidence says that an item lies: the kernels that do the sums.

Sums run in a fixed order and exponentials are our own, so that results are the same on every machine.
"""

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

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


@numba.njit(cache=True)
def weigh_cells(  # noqa: PLR0917
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    law: RadioTables,
    cells: Floats32,
    powers: Int32s,
) -> int:
    """Weigh each cell by how well it explains a pile of evidence; return the likeliest.

    `cells` is filled with weights of which the largest is 1. `powers` is scratch. Sums run in a fixed order and
    exponentials are our own, so that the result is the same on every machine.
    """
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
            scale = _HALF / (law.weighing_variance + law.fading_variance / weights[slot])
            level, expected = means[slot], law.mean_dbm[antennas[slot]]
            for cell in range(len(cells)):
                off = level - expected[cell]
                cells[cell] += trust * shares[cell] - off * off * scale
    top = _largest(cells)
    best = 0
    while cells[best] < top:
        best += 1
    _exponentiate(cells, top, powers)
    return best


@numba.njit(cache=True)
def _largest(values: Floats32) -> Number:
    """Return the largest value: in four lanes, each waiting for itself only."""
    one = two = three = four = values[0]
    whole = len(values) // 4 * 4
    for index in range(0, whole, 4):
        one = max(one, values[index])
        two = max(two, values[index + 1])
        three = max(three, values[index + 2])
        four = max(four, values[index + 3])
    for index in range(whole, len(values)):
        one = max(one, values[index])
    return max(one, two, three, four)


@numba.njit(cache=True)
def _exponentiate(values: Floats32, top: Number, powers: Int32s) -> None:
    """Replace values by exp(value - top), to 1e-5 relative; they are at most `top`. Written to be vectorised."""
    for index in range(len(values)):
        exponent = max((values[index] - top) * _LOG2_E, np.float32(-100.0))
        whole = np.int32(exponent)
        part = exponent - np.float32(whole)  # -1 to 0, where the polynomial is 2^part
        powers[index] = (whole + np.int32(127)) << np.int32(23)
        values[index] = _ONE + part * (_C1 + part * (_C2 + part * (_C3 + part * _C4)))
    scale = powers.view(np.float32)
    for index in range(len(values)):
        values[index] *= scale[index]


@numba.njit(cache=True)
def pool_zones(cells: Floats32, zone_cells: Int64s, factors: Floats32, zones: Floats32) -> int:
    """Sum cells to zones, as probabilities, each zone times its factor; return the likeliest cell."""
    total, top, best = _ZERO, _ZERO, 0
    for zone in range(len(zones)):
        mass, factor = _ZERO, factors[zone]
        for cell in range(zone_cells[zone], zone_cells[zone + 1]):
            mass += cells[cell]
            if cells[cell] * factor > top:
                top, best = cells[cell] * factor, cell
        zones[zone] = mass * factor
        total += mass * factor
    for zone in range(len(zones)):
        zones[zone] /= total
    return best
