"""What items tell about each other: kin, units of one GTIN, share a fate. They hang on one rail or lie in one carton.

Each item that lies somewhere counts among its kin for where it is likely to be. The counts of an item's kin, its own
left out, say where it may be expected before its own reads are looked at: this is how an item on a zone border, of
which RSSI says little, is told apart from one that was carried over. A zone that no kin lies in stays possible: some
units are taken to be *strays*, that lie anywhere (`analytics.location.strays`). What has moved is believed to be with
its kin by `KIN_TRUST_MOVED` only, since it was most likely carried off.

Kin that tell each other what they were told by each other grow sure of nothing but themselves. So an item counts for
the two zones that its *own reads* make likeliest, and by as much as they do: of eight kin each of which lies in one of
two zones as likely as not, none learns anything. Where goods are not sorted strays are many, and kin say little.

Where the site file has shelves for a GTIN, the plan speaks like kin (`analytics.location.assortment`): how many units
are on their shelves and how many elsewhere, and in which zone of either, is a matter of located kin and of what is
expected before any are. The plan does not err with the reads, so with it an item counts for its likeliest zone, all
told. Kin err together, though: they share a shelf and its shadows. So they and the plan count to the power of 3/4.

Items whose code names no GTIN have no kin.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analytics.location.assortment import SHELF_CELLS, Assortment
from analytics.location.cells import Floats32, Int16s, Int32s, Int64s
from analytics.location.items import ItemTable
from analytics.location.kernel import kernel
from analytics.location.strays import ITEMS_MAX, Strays, Sure, learn_strays
from analytics.location.tracks import Track, Tracks
from analytics.steps.identity import identify
from analytics.steps.sgtin import articles_of

KIN_MAX = 8.0
"""More kin than this say no more: what they have in common, they may have in common by mistake."""
KIN_TRUST_MOVED = 0.5
"""Share of items that, having moved, are where their kin are."""
SURE = 0.8
"""Items whose own reads make a zone this likely show how goods keep together (`analytics.location.strays`)."""
UNIT = 256
"""Weights are whole numbers of this many parts, so that sums are exact."""
GROUPS_MAX = 65_536
"""GTINs of a site at most, 4 bytes a zone each; items of further ones have no kin."""
NO_GROUP = 0
_FIRST = 256


class KinTables(NamedTuple):
    """What kernels have to know: groups by zones, and what holds for all groups."""

    counts: Int32s
    """Weights of the items that lie there, in parts of `UNIT`; behind the zones, of those that are outside."""
    base: Floats32
    """Units that are taken to lie there before any are located."""
    planned: npt.NDArray[np.bool_]
    """Whether a shelf there is theirs."""
    shelf_cell: Int16s
    """Groups by `SHELF_CELLS`: cells at their shelves; those of a zone follow each other."""
    shelf_share: Floats32
    """Groups by `SHELF_CELLS`: share of what lies on their shelves in that zone; 0 for none."""
    shelf_count: Int64s
    """Groups: how many of these cells are in use."""
    share_units: Floats32
    """Two: units on their shelves, and elsewhere, that each planned group is taken to have before any are located."""


class Kin:
    """Which items are kin, and how many of each kin lie in each zone."""

    def __init__(self, assortment: Assortment, strays: Strays | None = None) -> None:
        """Return nobody's kin.

        Args:
            assortment: Where goods belong.
            strays: How goods without a shelf keep together; `None` before anything is learnt.
        """
        self.assortment = assortment
        """Where goods belong."""
        self.strays = strays or Strays.unknown(assortment.area)
        """How goods without a shelf keep together."""
        self.group: Int32s = np.zeros(_FIRST, dtype=np.int32)
        """Group of each item, by number; `NO_GROUP` for items without kin."""
        zones = len(assortment.area)
        self.tables = KinTables(
            counts=np.zeros((_FIRST, zones + 1), dtype=np.int32),
            base=np.zeros((_FIRST, zones), dtype=np.float32),
            planned=np.zeros((_FIRST, zones), dtype=np.bool_),
            shelf_cell=np.zeros((_FIRST, SHELF_CELLS), dtype=np.int16),
            shelf_share=np.zeros((_FIRST, SHELF_CELLS), dtype=np.float32),
            shelf_count=np.zeros(_FIRST, dtype=np.int64),
            share_units=assortment.share_units().astype(np.float32),
        )
        """What kernels have to know of the groups, by number; some spare ones at the end."""
        self._shares = np.zeros((_FIRST, zones))
        """Groups by zones: share of their shelves there."""
        self._gtins: list[str | None] = [None]
        self._groups: dict[int, int] = {}
        self._known = 0

    def extend(self, table: ItemTable) -> None:
        """Find the group of each item that is new in the table."""
        count, known = len(table), len(self._gtins)
        if count > len(self.group):
            more = np.zeros(max(count - len(self.group), len(self.group) // 4), dtype=np.int32)
            self.group = np.concatenate([self.group, more])
        if count > self._known:
            text, bounds = table.text_from(self._known)
            self.group[self._known : count] = self._groups_of(articles_of(text, bounds), table)
        self._known = count
        self._make_room()
        for group in range(known, len(self._gtins)):
            self._lay_shelves(group)
        new = self.tables.planned[known : len(self._gtins)].any(axis=1)
        self.tables.base[known : len(self._gtins)] = self.strays.base
        self._lay_base(known + np.flatnonzero(new))

    def learn(self) -> None:
        """Look at how well goods are where they belong."""
        planned = np.flatnonzero(self.tables.planned[: len(self._gtins)].any(axis=1))
        self.assortment.learn(self.tables.planned[planned], self.tables.counts[planned, :-1] / UNIT)
        self.tables.share_units[:] = self.assortment.share_units()
        self._lay_base(planned)

    def learn_strays(self, tracks: Tracks) -> None:
        """Look at how goods without a shelf keep together; tracks are those of all items."""
        free = np.asarray(~self.tables.planned[: len(self._gtins)].any(axis=1), dtype=np.bool_)
        free[NO_GROUP] = False
        counted = self.tables.counts[: len(free), :-1] / UNIT
        self.strays = learn_strays(self.strays, self.assortment.area, counted, free, self._sure(tracks))
        self.tables.base[np.flatnonzero(free)] = self.strays.base

    def _sure(self, tracks: Tracks) -> Sure:
        held, zones = tracks[: self._known], len(self.assortment.area)
        sure = np.flatnonzero((held["kin_weight"] >= SURE * UNIT) & (held["kin_zone"] < zones))
        sure = sure[:: max(1, -(-len(sure) // ITEMS_MAX))]
        here, second = held["kin_weight"][sure] / UNIT, held["kin_second_weight"][sure] / UNIT
        zone = held["kin_zone"][sure].astype(np.int64)
        return Sure(group=self.group[sure].astype(np.int64), zone=zone, here=here, in_all=here + second)

    def _make_room(self) -> None:
        tables = self.tables
        room, zones = tables.base.shape
        missing = len(self._gtins) - room
        if missing > 0:
            rows = max(missing, room)
            shape = rows, zones
            self._shares = np.concatenate([self._shares, np.zeros(shape)])
            self.tables = tables._replace(
                counts=np.concatenate([tables.counts, np.zeros((rows, zones + 1), dtype=np.int32)]),
                base=np.concatenate([tables.base, np.zeros(shape, dtype=np.float32)]),
                planned=np.concatenate([tables.planned, np.zeros(shape, dtype=np.bool_)]),
                shelf_cell=np.concatenate([tables.shelf_cell, np.zeros((shape[0], SHELF_CELLS), dtype=np.int16)]),
                shelf_share=np.concatenate([tables.shelf_share, np.zeros((shape[0], SHELF_CELLS), dtype=np.float32)]),
                shelf_count=np.concatenate([tables.shelf_count, np.zeros(rows, dtype=np.int64)]),
            )

    def _lay_shelves(self, group: int) -> None:
        """Note where a group's shelves stand: once, since nothing that is learnt changes it."""
        self._shares[group] = self.assortment.shares(self._gtins[group])
        self.tables.planned[group] = self._shares[group] > 0
        cells, shares = self.assortment.shelf_cells(self._gtins[group])
        self.tables.shelf_count[group] = len(cells)
        self.tables.shelf_cell[group, : len(cells)], self.tables.shelf_share[group, : len(cells)] = cells, shares

    def _lay_base(self, groups: Int64s) -> None:
        """Note how many units the plan stands for, of groups that have a shelf."""
        self.tables.base[groups] = self.assortment.units(self._shares[groups])

    def _groups_of(self, articles: Int64s, table: ItemTable) -> Int32s:
        """Return the group of each article, new ones numbered in order of appearance."""
        distinct, first, which = np.unique(articles, return_index=True, return_inverse=True)
        groups = np.full(len(distinct), NO_GROUP, dtype=np.int32)
        for place in np.argsort(first).tolist():
            article = int(distinct[place])
            if article >= 0 and (article in self._groups or len(self._groups) < GROUPS_MAX):
                groups[place] = self._groups.setdefault(article, len(self._groups) + 1)
                if groups[place] == len(self._gtins):
                    self._gtins.append(identify(table.epc_hex(self._known + int(first[place])))[1])
        return np.asarray(groups[which])

    def recount(self, tracks: Tracks) -> None:
        """Count anew from the tracks of all items."""
        held, groups = tracks[: self._known], self.group[: self._known]
        self.tables.counts[:] = 0
        for zone, weight in (("kin_zone", "kin_weight"), ("kin_second", "kin_second_weight")):
            counted = held[weight] > 0
            where = groups[counted], held[zone][counted].astype(np.int64)
            np.add.at(self.tables.counts, where, held[weight][counted].astype(np.int32))

    @property
    def bytes_used(self) -> int:
        """Memory in use, bytes."""
        return self.group.nbytes + self._shares.nbytes + sum(table.nbytes for table in self.tables)


@kernel
def weigh_kin(  # noqa: PLR0917 - kernels take their arrays one by one
    track: Track, group: int, kin: KinTables, area: Floats32, trust: float, factors: Floats32
) -> None:
    """Work out by how much an item's kin make each zone likelier than its area does.

    Args:
        track: The item's; what it counts for itself is left out.
        group: Its group.
        kin: The groups.
        area: Each zone's share of all cells.
        trust: Share of such items that are where their kin are.
        factors: Filled, one a zone; 1 where kin say nothing.
    """
    if group == NO_GROUP:
        factors[:] = np.float32(1.0)
        return
    counts, base, planned = kin.counts[group], kin.base[group], kin.planned[group]
    counts[track.kin_zone] -= np.int32(track.kin_weight)
    counts[track.kin_second] -= np.int32(track.kin_second_weight)
    total = np.int64(0)
    for zone in range(len(area)):
        total += counts[zone]
    scale = min(1.0, KIN_MAX / max(total / UNIT, 1e-6)) / UNIT
    shelved, shelved_base, away, away_base = 0.0, 0.0, 0.0, 0.0
    for zone in range(len(area)):
        units = counts[zone] * scale
        if planned[zone]:
            shelved, shelved_base = shelved + units, shelved_base + base[zone]
        else:
            away, away_base = away + units, away_base + base[zone]
    on_shelf = 0.0
    if shelved_base > 0.0:
        on_shelf = (shelved + kin.share_units[0]) / (shelved + away + kin.share_units[0] + kin.share_units[1])
    on_shelf_each = np.float32(trust * on_shelf / max(shelved + shelved_base, 1e-9))
    away_each = np.float32(trust * (1.0 - on_shelf) / max(away + away_base, 1e-9))
    part, rest = np.float32(scale), np.float32(1.0 - trust)
    for zone in range(len(area)):  # in float32 and without branches, so that eight zones are done at a time
        units = np.float32(counts[zone]) * part + base[zone]
        factors[zone] = rest + units * (on_shelf_each if planned[zone] else away_each) / area[zone]
    if shelved_base > 0.0:
        for zone in range(len(area)):
            factors[zone] = np.sqrt(factors[zone] * np.sqrt(factors[zone]))
    counts[track.kin_zone] += np.int32(track.kin_weight)
    counts[track.kin_second] += np.int32(track.kin_second_weight)


@kernel
def has_shelf(kin: KinTables, group: int) -> bool:
    """Tell whether the site file has a shelf for a group's units."""
    planned = False
    for zone in range(kin.planned.shape[1]):
        planned = planned or kin.planned[group, zone]
    return planned


@kernel
def count_for(track: Track, group: int, counts: Int32s, zone: int, weight: float) -> None:
    """Let an item count for a zone from now on; with weight 0, for none."""
    count_for_both(track, group, counts, zone, weight, zone, 0.0)


@kernel
def count_for_both(  # noqa: PLR0917
    track: Track, group: int, counts: Int32s, zone: int, weight: float, second: int, second_weight: float
) -> None:
    """Let an item count for two zones from now on."""
    if group != NO_GROUP:
        counts[group, track.kin_zone] -= np.int32(track.kin_weight)
        counts[group, track.kin_second] -= np.int32(track.kin_second_weight)
        track.kin_zone, track.kin_weight = zone, np.int32(weight * UNIT)
        track.kin_second, track.kin_second_weight = second, np.int32(second_weight * UNIT)
        counts[group, zone] += np.int32(track.kin_weight)
        counts[group, second] += np.int32(track.kin_second_weight)
