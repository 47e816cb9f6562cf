"""What is carried together: items that began to move at the same time and place, and are heard alike, pool reads.

Ten things in one arm are each read now and then, and all of them together ten times as often. So where an item is on
its way is worked out from its own reads and from those of its *company*: other items that began to move within
`TOGETHER_US` of it, near where it lay, and whose reads put them where its own put it. Whether another item belongs to
it is a probability, worked out anew at each look: what is put down drops out as soon as its reads tell.

Companies are not kept. What is kept is a ring of the items that began to move last, and where each lay before.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from analytics.location.cells import (
    WEIGHT_MIN,
    Floats32,
    Int16s,
    Int32s,
    Int64s,
    Number,
    sum_lanes,
    sum_products,
    weigh_cells,
)
from analytics.location.kernel import kernel
from analytics.location.piles import remember
from analytics.location.radio import RadioTables
from analytics.location.tracks import Track, Tracks

MOVERS = 64
"""Items that are remembered as having begun to move; the oldest makes room."""
CARRIED_US = 30_000_000
"""For so long after a move an item may still be on its way."""
TOGETHER_US = 4_000_000
"""Items that began to move this close to each other may have been taken up together: what is seen of a beginning is a
read."""
BEGAN_M = 2.0
"""How well it is known where an item lay before, standard deviation along each axis, metres."""
COMPANY_ODDS = 0.4
"""Odds that two items that began to move so, at one place, are carried together, before their reads are compared."""
FIT_MAX = 10.0
"""By how much these odds grow at most where their reads agree."""
COMPANY_MIN = 0.5
"""Below this probability another item is left out: what errs alone is to err alone."""
SILENT_US = 8_000_000
"""What was not read for this long says nothing about where the others are,"""
FADE_S = 4.0
"""and less and less before."""
POOL_SLOTS = 16
"""Antennas whose reads are pooled."""

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_NEAR_MIN = np.float32(0.99 * COMPANY_MIN / ((1.0 - COMPANY_MIN) * COMPANY_ODDS * FIT_MAX))
"""Items that lay further apart are no company whatever their reads say, and need not be weighed."""


class Movers(NamedTuple):
    """The items that began to move last, as a ring."""

    item: Int32s
    """Their numbers; -1 for none."""
    began_us: Int64s
    """When."""
    cell: Int32s
    """Where they lay before."""
    next: Int64s
    """One element: the place of the next one."""

    @classmethod
    def none(cls) -> "Movers":
        """Return a ring before any item has moved."""
        return cls(
            item=np.full(MOVERS, -1, dtype=np.int32),
            began_us=np.zeros(MOVERS, dtype=np.int64),
            cell=np.zeros(MOVERS, dtype=np.int32),
            next=np.zeros(1, dtype=np.int64),
        )


class Pool(NamedTuple):
    """Scratch: a pile of evidence of several items."""

    cells: Floats32
    antenna: Int16s
    weight: Floats32
    dbm: Floats32


@numba.njit(cache=True)
def pool_room(cells: int) -> Pool:
    """Return scratch for a site with so many cells."""
    return Pool(
        cells=np.zeros(cells, dtype=np.float32),
        antenna=np.zeros(POOL_SLOTS, dtype=np.int16),
        weight=np.zeros(POOL_SLOTS, dtype=np.float32),
        dbm=np.zeros(POOL_SLOTS, dtype=np.float32),
    )


@kernel
def is_moving(track: Track) -> bool:
    """Tell whether an item is likely on its way."""
    since_us = track.last_us - track.settled_us
    return bool(_is_doubted(track) or (track.moved > 0 and since_us < CARRIED_US))


@kernel
def note_mover(movers: Movers, item: Number, track: Track) -> None:
    """Note when an item that is moving began to, and where it lay until then: to be called before it is looked at."""
    began_us = _began_us(track)
    place: Number = np.int64(-1)
    for index in range(MOVERS):
        if movers.item[index] == item:
            place = index
    if place < 0:
        place = movers.next[0]
        movers.next[0] = (place + 1) % MOVERS
    elif movers.began_us[place] == began_us:
        return
    movers.item[place], movers.began_us[place], movers.cell[place] = item, began_us, track.cell


@kernel
def gather(  # noqa: PLR0917 - kernels take their arrays one by one
    item: Number,
    tracks: Tracks,
    movers: Movers,
    cell_xy: Floats32,
    law: RadioTables,
    cells: Floats32,
    powers: Int32s,
    pool: Pool,
) -> Number:
    """Pool the newest reads of an item that is moving and of its company.

    Args:
        item: Its number; it has been noted.
        tracks: Of all items.
        movers: Who has begun to move.
        cell_xy: Where cells are, metres.
        law: The radio law.
        cells: Scratch, one a cell.
        powers: Scratch, one a cell.
        pool: Filled, where there is company.

    Returns:
        How many others are pooled, each counted by its probability; 0 for none.
    """
    track: Track = tracks[item]
    mine, others, own = 0, _ZERO, _ZERO
    for place in range(MOVERS):
        if movers.item[place] == item:
            mine = place
    for place in range(MOVERS):
        if place == mine or movers.item[place] < 0:
            continue
        if abs(movers.began_us[place] - movers.began_us[mine]) > TOGETHER_US:
            continue
        near = _near(cell_xy, movers.cell[mine], movers.cell[place])
        if near < _NEAR_MIN:
            continue
        mate: Track = tracks[movers.item[place]]
        if not is_moving(mate) or abs(track.last_us - mate.last_us) > SILENT_US:
            continue
        if own == _ZERO:
            _weigh(track, track.doubt_us > 0, law, cells, powers)
            own = sum_lanes(cells)
        _weigh(mate, _is_doubted(mate), law, pool.cells, powers)
        fit = np.float32(len(cells)) * sum_products(cells, pool.cells) / (own * sum_lanes(pool.cells))
        odds = np.float32(COMPANY_ODDS) * min(fit, np.float32(FIT_MAX)) * near
        share = odds / (_ONE + odds)
        if share < COMPANY_MIN:
            continue
        if others == _ZERO:
            pool.weight[:] = _ZERO
            _pour(track, track.doubt_us > 0, _ONE, pool)
        others += share
        faded = np.float32(math.exp(-max(track.last_us - mate.last_us, 0) * 1e-6 / FADE_S))
        _pour(mate, _is_doubted(mate), share * faded, pool)
    return others


@kernel
def _is_doubted(track: Track) -> bool:
    """Tell whether an item has more likely moved than not."""
    return bool(track.doubt_us > 0 and track.odds > _ZERO)


@kernel
def _began_us(track: Track) -> Number:
    return track.doubt_us if _is_doubted(track) else track.settled_us


@kernel
def _near(cell_xy: Floats32, one: Number, other: Number) -> Number:
    """Return how well two items that lay in these cells may have lain at one place: 1 for the same cell."""
    x, y = cell_xy[one, 0] - cell_xy[other, 0], cell_xy[one, 1] - cell_xy[other, 1]
    return np.float32(math.exp(-0.25 * (x * x + y * y) / BEGAN_M**2))


@kernel
def _weigh(track: Track, by_doubt: bool, law: RadioTables, cells: Floats32, powers: Int32s) -> None:  # noqa: FBT001
    """Weigh each cell by the newest reads of an item."""
    if by_doubt:
        weigh_cells(track.doubt_antenna, track.doubt_weight, track.doubt_dbm, law, cells, powers)
    else:
        weigh_cells(track.settled_antenna, track.settled_weight, track.settled_dbm, law, cells, powers)


@kernel
def _pour(track: Track, by_doubt: bool, share: Number, pool: Pool) -> None:  # noqa: FBT001
    """Add the newest reads of an item to the pool, by a share."""
    if by_doubt:
        _add(track.doubt_antenna, track.doubt_weight, track.doubt_dbm, share, pool)
    else:
        _add(track.settled_antenna, track.settled_weight, track.settled_dbm, share, pool)


@kernel
def _add(antennas: Int16s, weights: Floats32, means: Floats32, share: Number, pool: Pool) -> None:
    for slot in range(len(weights)):
        if weights[slot] > WEIGHT_MIN:
            remember(pool.antenna, pool.weight, pool.dbm, antennas[slot], means[slot], weights[slot] * share)
