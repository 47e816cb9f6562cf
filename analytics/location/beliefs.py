"""What is believed of an item: how likely it is in each zone, and how likely it is not here at all.

Its settled reads and its doubtful ones (`tracks`) are weighed cell by cell and pooled to zones (`cells`), each zone
by what kin and the shelf plan say (`kin`); how likely it is outside comes from `outside`. What follows from a belief
is `decisions`' business.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analytics.location.cells import Floats32, Int32s, Int64s, Number, likeliest, pool_zones, weigh_cells
from analytics.location.company import Movers, Pool
from analytics.location.kernel import kernel
from analytics.location.kin import KIN_TRUST_MOVED, NO_GROUP, KinTables, count_for, count_for_both, has_shelf, weigh_kin
from analytics.location.outside import SHARE_MIN, kin_odds, outside_odds
from analytics.location.radio import RadioTables
from analytics.location.tracks import Track, Tracks

OUTSIDE_MOVED = 0.05
"""Of as many items as look outside, this many are when they were carried about in here before: what is carried out
goes through an exit, and is silent then."""
KIN_US = 6_000_000
"""An item that has lain for this long counts among its kin."""
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class Site(NamedTuple):
    """What kernels have to know of a site."""

    zone_cells: Int64s
    """As in `Places`."""
    area: Floats32
    """Each zone's share of all cells."""
    cell_xy: Floats32
    """As in `Places`."""
    zone_reader: npt.NDArray[np.bool_]
    """As in `Places`."""
    antenna_reader: Int64s
    """As in `Places`."""


class Items(NamedTuple):
    """What is remembered of each item, by number."""

    tracks: Tracks
    group: Int32s
    kin: KinTables
    """As in `Kin`."""
    movers: Movers
    """As in `company`."""


@kernel
def believe(  # noqa: PLR0917
    track: Track,
    group: int,
    items: Items,
    law: RadioTables,
    site: Site,
    cells: Floats32,
    powers: Int32s,
    belief: Floats32,
    outer: Floats32,
    others: Number,
    pool: Pool,
) -> Number:
    """Work out the belief about zones of one item into the first row of `belief`; return how likely it is outside.

    The other rows of `belief` are scratch, and so is `outer`. Zones and outside sum to 1.
    Where it has company, `others` above 0, its newest reads and theirs are in `pool`: they are weighed.
    """
    settled, doubt, factors = belief[0], belief[1], belief[2]
    trust = 1.0 if track.moved == 0 else KIN_TRUST_MOVED
    weigh_kin(track, group, items.kin, site.area, trust, factors)
    away = _ZERO
    if law.outer_share >= SHARE_MIN:
        away = _outside(track, group, items.kin, site, law, factors, cells, powers, outer, settled)
    if others > 0 and track.doubt_us == 0:
        weigh_cells(pool.antenna, pool.weight, pool.dbm, law, cells, powers)
    else:
        weigh_cells(track.settled_antenna, track.settled_weight, track.settled_dbm, law, cells, powers)
    shelf_cell, shelf_share = items.kin.shelf_cell[group], items.kin.shelf_share[group]
    used = items.kin.shelf_count[group] if track.moved == 0 else 0  # what has moved may lie anywhere in a zone
    track.cell, _ = pool_zones(cells, site.zone_cells, factors, shelf_cell[:used], shelf_share[:used], settled)
    if track.doubt_us > 0:
        if track.moved == 0:
            weigh_kin(track, group, items.kin, site.area, KIN_TRUST_MOVED, factors)
        if others > 0:
            weigh_cells(pool.antenna, pool.weight, pool.dbm, law, cells, powers)
        else:
            weigh_cells(track.doubt_antenna, track.doubt_weight, track.doubt_dbm, law, cells, powers)
        pool_zones(cells, site.zone_cells, factors, shelf_cell[:0], shelf_share[:0], doubt)
        odds = np.float32(math.exp(track.odds))
        for zone in range(len(doubt)):
            settled[zone] = (settled[zone] + odds * doubt[zone]) / (np.float32(1.0) + odds)
    for zone in range(len(settled)):
        settled[zone] *= _ONE - away
    return away


@kernel
def _outside(  # noqa: PLR0917
    track: Track,
    group: int,
    kin: KinTables,
    site: Site,
    law: RadioTables,
    factors: Floats32,
    cells: Floats32,
    powers: Int32s,
    outer: Floats32,
    zones: Floats32,
) -> Number:
    """Return how likely an item is outside, by its settled reads, its kin and what it did.

    What comes behind `factors` is scratch.
    """
    odds = outside_odds(track, law, cells, powers, outer) * kin_odds(
        track, group, kin.counts, np.float64(law.outer_share)
    )
    at = group if track.moved == 0 else NO_GROUP
    _, fit = pool_zones(cells, site.zone_cells, factors, kin.shelf_cell[at], kin.shelf_share[at], zones)
    odds /= np.float64(fit)
    if track.moved > 0 and track.zone >= 0:
        odds *= OUTSIDE_MOVED
    return np.float32(odds / (1.0 + odds))


@kernel
def count_among_kin(  # noqa: PLR0917
    track: Track, group: int, kin: KinTables, belief: Floats32, factors: Floats32, away: Number
) -> None:
    """Let an item that lies somewhere count for where it is, or for what is outside.

    Args:
        track: The item's; changed.
        group: Its group.
        kin: The groups; changed.
        belief: Of zones.
        factors: By how much kin and plan made each zone likelier in it.
        away: How likely the item is outside.
    """
    best = likeliest(belief)
    if track.outside > 0 or away > belief[best]:
        count_for(track, group, kin.counts, len(belief), away)
        return
    lies = track.doubt_us == 0 and track.last_us - track.settled_us >= KIN_US
    if not lies or has_shelf(kin, group):
        count_for(track, group, kin.counts, best, belief[best] if lies else 0.0)
        return
    total, first, most, second, next_most = 0.0, 0, 0.0, 0, 0.0
    for zone in range(len(belief)):
        alone = np.float64(belief[zone]) / np.float64(factors[zone])
        total += alone
        if alone > most:
            first, most, second, next_most = zone, alone, first, most
        elif alone > next_most:
            second, next_most = zone, alone
    share = 1.0 - np.float64(away)
    count_for_both(track, group, kin.counts, first, share * most / total, second, share * next_most / total)
