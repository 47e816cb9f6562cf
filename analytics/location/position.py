"""Where in its zone an item lies: the mean over cells, and the radius around it that holds the item with 90 %.

Cells of the reported zone share the confidence in it, as the reads weigh them; the other cells share the rest. So what
kin and history say of the zone counts, and what they do not say, where in the zone, comes from the reads alone.
"""

import numpy as np
import numpy.typing as npt

from analytics.location.cells import Floats32, Int16s, Int32s, Int64s, weigh_cells
from analytics.location.kernel import kernel
from analytics.location.places import Floats, Places
from analytics.location.radio import RadioTables

RADIUS_SHARE = 0.9
"""Probability that an item lies within its radius."""
EVIDENCE_SHARE = np.float32(0.6)
"""Share of what the reads say, in logarithms, that counts for a place: what one antenna's signal meets on its way,
others' signals meet too, so they say less together than each on its own."""
RING_M = 0.25
"""Radii are worked out in rings of this width,"""
RINGS = 512
"""up to 128 m: further away, a position says no more than its zone."""


def locate(  # noqa: PLR0917 - as the kernel below
    places: Places,
    law: RadioTables,
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    zones: Int32s,
    confidences: Floats32,
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

    Returns:
        Rows by 3: x, y and radius, metres, to the centimetre.
    """
    found = np.empty((len(zones), 3))
    cells = np.zeros(len(places.cell_xy), dtype=np.float32)
    scratch = np.zeros(len(cells), dtype=np.int32), np.zeros(RINGS)
    _locate(
        antennas,
        weights,
        means,
        zones,
        confidences,
        law,
        places.zone_cells,
        places.cell_xy,
        places.cell_m2,
        cells,
        *scratch,
        found,
    )
    return np.round(found, 2)


@kernel
def _locate(  # noqa: PLR0917 - kernels take their arrays one by one
    antennas: Int16s,
    weights: Floats32,
    means: Floats32,
    zones: Int32s,
    confidences: Floats32,
    law: RadioTables,
    zone_cells: Int64s,
    cell_xy: Floats,
    cell_m2: float,
    cells: Floats32,
    powers: Int32s,
    rings: npt.NDArray[np.float64],
    found: Floats,
) -> None:
    for row in range(len(zones)):
        weigh_cells(antennas[row], weights[row], means[row], law, cells, powers)
        start, stop = zone_cells[zones[row]], zone_cells[zones[row] + 1]
        for cell in range(len(cells)):
            cells[cell] **= EVIDENCE_SHARE
        inside, outside = 0.0, 0.0
        for cell in range(len(cells)):
            if start <= cell < stop:
                inside += np.float64(cells[cell])
            else:
                outside += np.float64(cells[cell])
        sure = np.float64(confidences[row])
        inner = sure / inside if inside > 0.0 else 0.0
        outer = (1.0 - sure) / outside if outside > 0.0 else 0.0
        total, x, y = 0.0, 0.0, 0.0
        for cell in range(len(cells)):
            share = np.float64(cells[cell]) * (inner if start <= cell < stop else outer)
            total += share
            x += share * cell_xy[cell, 0]
            y += share * cell_xy[cell, 1]
        x, y = x / total, y / total
        rings[:] = 0.0
        for cell in range(len(cells)):
            share = np.float64(cells[cell]) * (inner if start <= cell < stop else outer)
            # An item lies anywhere in its cell: a sixth of its area is added to the mean square of the distance.
            apart = (cell_xy[cell, 0] - x) ** 2 + (cell_xy[cell, 1] - y) ** 2 + cell_m2 / 6.0
            rings[min(int(np.sqrt(apart) / RING_M), RINGS - 1)] += share / total
        held, ring = 0.0, 0
        while ring < RINGS - 1 and held + rings[ring] < RADIUS_SHARE:
            held += rings[ring]
            ring += 1
        part = (RADIUS_SHARE - held) / rings[ring] if rings[ring] > 0.0 else 1.0
        found[row, 0], found[row, 1], found[row, 2] = x, y, (ring + min(part, 1.0)) * RING_M
