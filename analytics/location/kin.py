"""What items tell about each other: kin, units of one GTIN, share a fate. They hang on one rail or lie in one carton.

Each item that lies somewhere counts for its likeliest zone, as much as that zone is likely. The counts of an item's
kin, its own left out, say where it may be expected before its own reads are looked at: this is how an item on a zone
border, of which RSSI says little, is told apart from one that was carried over. A zone that no kin lies in stays
possible, `STRAYS` units are taken to lie anywhere; and what has moved is believed to be with its kin by
`KIN_TRUST_MOVED` only, since it was most likely carried off.

Kin err together: they share a shelf and its shadows, and each one's place was found with the help of the others'. So
what they say counts to the power of 3/4 only.

Where kin do not keep together, counts are spread like the floor is, and say nothing. Items whose code names no GTIN
have no kin.
"""

import math

import numpy as np

from analytics.location.cells import Floats32, Int32s, Int64s
from analytics.location.items import ItemTable
from analytics.location.kernel import kernel
from analytics.location.tracks import Track, Tracks
from analytics.steps.sgtin import articles_of

STRAYS = 1.0
"""Units beside the kin of an item that lie anywhere, by area."""
KIN_MAX = 15.0
"""More kin than this say no more: what they have in common, they may have in common by mistake."""
KIN_TRUST_MOVED = 0.5
"""Share of items that, having moved, are where their kin are."""
UNIT = 256
"""Weights are whole numbers of this many parts, so that sums are exact."""
GROUPS_MAX = 65_536
"""GTINs of a site at most, 4 bytes a zone each; items of further ones have no kin."""
NO_GROUP = 0
_FIRST = 256


class Kin:
    """Which items are kin, and how many of each kin lie in each zone."""

    def __init__(self, zones: int) -> None:
        self.group: Int32s = np.zeros(_FIRST, dtype=np.int32)
        """Group of each item, by number; `NO_GROUP` for items without kin."""
        self.counts: Int32s = np.zeros((_FIRST, zones), dtype=np.int32)
        """Groups by zones: weights of the items that lie there, in parts of `UNIT`."""
        self._groups: dict[int, int] = {}
        self._known = 0

    def extend(self, table: ItemTable) -> None:
        """Find the group of each item that is new in the table."""
        count = len(table)
        if count > len(self.group):
            more = np.zeros(max(count - len(self.group), len(self.group) // 4), dtype=np.int32)
            self.group = np.concatenate([self.group, more])
        if count > self._known:
            text, bounds = table.text_from(self._known)
            self.group[self._known : count] = self._groups_of(articles_of(text, bounds))
        self._known = count
        if len(self._groups) >= len(self.counts):
            missing = max(len(self._groups) + 1 - len(self.counts), len(self.counts))
            rows = np.zeros((missing, self.counts.shape[1]), dtype=np.int32)
            self.counts = np.concatenate([self.counts, rows])

    def _groups_of(self, articles: Int64s) -> Int32s:
        """Return the group of each article, new ones numbered in order of appearance."""
        distinct, first, which = np.unique(articles, return_index=True, return_inverse=True)
        groups = np.full(len(distinct), NO_GROUP, dtype=np.int32)
        for place in np.argsort(first).tolist():
            article = int(distinct[place])
            if article >= 0 and (article in self._groups or len(self._groups) < GROUPS_MAX):
                groups[place] = self._groups.setdefault(article, len(self._groups) + 1)
        return np.asarray(groups[which])

    def recount(self, tracks: Tracks) -> None:
        """Count anew from the tracks of all items."""
        held = tracks[: self._known]
        counted = held["kin_weight"] > 0
        self.counts[:] = 0
        where = self.group[: self._known][counted], held["kin_zone"][counted].astype(np.int64)
        np.add.at(self.counts, where, held["kin_weight"][counted].astype(np.int32))

    @property
    def bytes_used(self) -> int:
        """Memory in use, bytes."""
        return self.group.nbytes + self.counts.nbytes


@kernel
def weigh_kin(  # noqa: PLR0917 - kernels take their arrays one by one
    track: Track, group: int, counts: Int32s, area: Floats32, trust: float, factors: Floats32
) -> None:
    """Work out by how much an item's kin make each zone likelier than its area does.

    Args:
        track: The item's; what it counts for itself is left out.
        group: Its group.
        counts: As in `Kin`.
        area: Each zone's share of all cells.
        trust: Share of such items that are where their kin are.
        factors: Filled, one a zone; 1 where kin say nothing.
    """
    if group == NO_GROUP:
        factors[:] = np.float32(1.0)
        return
    total = np.int64(0)
    for zone in range(len(area)):
        total += counts[group, zone]
    own = np.int64(track.kin_weight)
    kin = (total - own) / UNIT
    scale = min(1.0, KIN_MAX / max(kin, 1e-6)) / UNIT
    whole = kin * scale * UNIT + STRAYS
    for zone in range(len(area)):
        count = np.int64(counts[group, zone])
        if zone == track.kin_zone:
            count -= own
        expected = (count * scale + STRAYS * area[zone]) / (whole * area[zone])
        factor = 1.0 - trust + trust * expected
        factors[zone] = np.float32(math.sqrt(factor * math.sqrt(factor)))


@kernel
def count_for(track: Track, group: int, counts: Int32s, zone: int, weight: float) -> None:
    """Let an item count for a zone from now on; with weight 0, for none."""
    parts = np.int32(weight * UNIT)
    if group != NO_GROUP:
        counts[group, track.kin_zone] -= np.int32(track.kin_weight)
        counts[group, zone] += parts
        track.kin_zone, track.kin_weight = zone, parts
