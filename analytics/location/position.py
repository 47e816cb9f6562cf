"""Where in its zone an item lies: the mean over cells, and the radius around it that holds the item with 90 %.

Cells of the reported zone share the confidence in it, as the reads weigh them; the other cells share the rest. So what
kin and history say of the zone counts; where in the zone comes from the reads and from where the item's shelf stands.
"""

import numpy as np

from analytics.location.assortment import SHELVED
from analytics.location.cells import (
    Floats32,
    Int16s,
    Int32s,
    Int64s,
    Number,
    exponentiate,
    log_weights,
    sum_lanes,
    sum_products,
)
from analytics.location.kernel import kernel
from analytics.location.places import Floats, Places
from analytics.location.radio import RadioTables

RADIUS_SHARE = 0.9
"""Probability that an item lies within its radius."""
RING_M = 0.25
"""Radii are worked out in rings of this width,"""
RINGS = 512
"""up to 128 m: further away, a position says no more than its zone."""
_ZERO, _ONE, _RINGS_A_M = np.float32(0.0), np.float32(1.0), np.float32(1.0 / RING_M)


def locate(  # noqa: PLR0917 - as the kernel below
    places: Places,
    law: RadioTables,
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    zones: Int32s,
    confidences: Floats32,
    shelf_cell: Int16s,
    shelf_share: Floats32,
) -> Floats:
    """Return where items lie.

    Args:
        places: The site's map.
        law: The radio law.
        antennas: Rows by slots: antennas that heard an item.
        weights: Rows by slots: how often.
        means: Rows by slots: how strongly, dBm.
        zones: Rows: the zone that is reported.
        confidences: Rows: its probability.
        shelf_cell: Rows by `SHELF_CELLS`: cells at shelves of the item's GTIN,
        shelf_share: and the share of what is in their zone that lies there, as in `KinTables`.

    Returns:
        Rows by 3: x, y and radius, metres, to the centimetre.
    """
    found = np.empty((len(zones), 3))
    middle = places.cell_xy.mean(axis=0)
    x_m, y_m = np.ascontiguousarray((places.cell_xy - middle).T, dtype=np.float32)
    cells, powers = np.zeros(len(x_m), dtype=np.float32), np.zeros(len(x_m), dtype=np.int32)
    scratch = cells, powers, np.zeros(RINGS, dtype=np.float32)
    own_m2 = np.float32(places.cell_m2 / 6.0)
    zone_cells = places.zone_cells
    zone_size = np.repeat(np.diff(zone_cells), np.diff(zone_cells))
    denser = (shelf_share * zone_size[shelf_cell] / (1.0 - SHELVED)).astype(np.float32)
    of_rows = antennas, weights, means, zones, confidences
    _locate(*of_rows, shelf_cell, denser, law, zone_cells, x_m, y_m, own_m2, *scratch, found)
    found[:, :2] += middle
    return np.round(found, 2)


@kernel
def _locate(  # noqa: PLR0917 - kernels take their arrays one by one
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    zones: Int32s,
    confidences: Floats32,
    shelf_cell: Int16s,
    denser: Floats32,
    law: RadioTables,
    zone_cells: Int64s,
    x_m: Floats32,
    y_m: Floats32,
    own_m2: Number,
    cells: Floats32,
    powers: Int32s,
    rings: Floats32,
    found: Floats,
) -> None:
    for row in range(len(zones)):
        log_weights(antennas[row], weights[row], means[row], law, cells)
        exponentiate(cells, _ONE, powers)
        for place in range(shelf_cell.shape[1]):
            cells[shelf_cell[row, place]] *= _ONE + denser[row, place]
        _share_out(cells, zone_cells[zones[row]], zone_cells[zones[row] + 1], confidences[row])
        total = sum_lanes(cells)
        x, y = sum_products(cells, x_m) / total, sum_products(cells, y_m) / total
        radius_m = _radius_m(cells, x_m, y_m, x, y, own_m2, RADIUS_SHARE * total, powers, rings)
        found[row, 0], found[row, 1], found[row, 2] = x, y, radius_m


@kernel
def _share_out(cells: Floats32, start: int, stop: int, sure: Number) -> None:
    """Give the cells of the reported zone, `start` to `stop`, its confidence together, and the others the rest."""
    inside, outside = sum_lanes(cells[start:stop]), sum_lanes(cells[:start]) + sum_lanes(cells[stop:])
    inner = sure / inside if inside > 0 else _ZERO
    outer = (_ONE - sure) / outside if outside > 0 else _ZERO
    for cell in range(len(cells)):
        cells[cell] *= inner if start <= cell < stop else outer


@kernel
def _radius_m(  # noqa: PLR0917
    shares: Floats32,
    x_m: Floats32,
    y_m: Floats32,
    x: Number,
    y: Number,
    own_m2: Number,
    asked: Number,
    ring_of: Int32s,
    rings: Floats32,
) -> Number:
    """Return the radius around a point that holds so much of the cells' shares; `ring_of` and `rings` are scratch."""
    for cell in range(len(shares)):
        # An item lies anywhere in its cell: a sixth of its area is added to the mean square of the distance.
        east, north = x_m[cell] - x, y_m[cell] - y
        ring_of[cell] = np.int32(np.sqrt(east * east + north * north + own_m2) * _RINGS_A_M)
    rings[:] = _ZERO
    for cell in range(len(shares)):
        rings[min(ring_of[cell], RINGS - 1)] += shares[cell]
    held, ring = _ZERO, 0
    while ring < RINGS - 1 and held + rings[ring] < asked:
        held += rings[ring]
        ring += 1
    part = (asked - held) / rings[ring] if rings[ring] > 0 else 1.0
    return (ring + min(part, 1.0)) * RING_M
