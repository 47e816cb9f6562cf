"""What a counting pass says: how many of what is there it heard, what one more would add, and what is missing.

The fixed readers are a list of items too: what they located before the pass began, in the zones where the pass has
been. With the passes of the same count, that makes two or more lists, of which `recapture.total_of_passes` tells the
total. A site without fixed readers has passes only, and its first pass is told by its reads (`total_of_reads`).

A zone has been *covered* by a pass that heard at least `COVERED_SHARE` of the items located in it. Only items of
covered zones were expected; where no zone is known, as without fixed readers, all items known from before are.

An expected item that a pass did not hear is gone with the probability that follows from the pass's recall, from passes
of the same count before it that did not hear it either, and from what was known before (`*_PRIOR`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from analytics import on_hand
from analytics.counting.recapture import Total, total_of_passes, total_of_reads

COVERED_SHARE = 0.4
"""Share of a zone's located items that a pass hears where it has been in the zone."""
LOCATED_PRIOR = 0.995
"""An item that fixed readers locate at the moment is there with this probability, whatever a pass says;"""
SILENT_PRIOR = 0.75
"""one that has fallen silent, or that an earlier count heard, with this."""
LEAST_MISSED = 1e-4
"""No item is surer than this to be heard, however many passes there were."""
ITEMS_MIN = 5
"""Fewer items on a list than this say nothing of recall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An item that was on the site when a pass began, as far as was known."""

    gtin: str
    """GTIN-14; empty where its EPC has none."""
    zone: str
    """Where it was last located; empty where only handhelds have heard it."""
    heard_us: int
    """When it was last known to be there."""
    located: bool
    """Whether fixed readers locate it at the end of the pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one pass heard."""

    reads: Mapping[str, int]
    """Reads by EPC."""
    gtins: Mapping[str, str]
    """GTIN of each EPC; empty where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What follows from a pass and those of its count before it."""

    total: Total
    """Of everything in the covered zones; the fixed readers are its first list where they locate anything there."""
    recalls: tuple[float, ...]
    """Share of the total that each pass heard, the newest one last."""
    by_gtin: Mapping[str, tuple[int, on_hand.Units]]
    """For each GTIN: items heard by any of the count's passes or located in the zones, and the distribution of
    units."""
    missing: Mapping[str, float]
    """Expected items that the pass did not hear, each with the probability that it is gone."""


def tally(passes: list[Heard], expected: Mapping[str, Expected]) -> Tally:
    """Work out what a pass says.

    Args:
        passes: Passes of one count, oldest first; the newest is what the tally is of.
        expected: Items known before the pass began and not sold since, by EPC.
    """
    newest = passes[-1]
    covered = covered_zones(newest, expected.values(), expected)
    due = {epc: item for epc, item in expected.items() if not item.zone or item.zone in covered}
    located = {epc for epc, item in due.items() if item.located}
    lists = [{epc for epc in one.reads if epc in newest.reads or _still_there(expected.get(epc))} for one in passes]
    fixed = len(located) >= ITEMS_MIN
    total = _total([*([located] if fixed else []), *lists], newest)
    first = int(fixed)  # the passes stand behind the fixed readers
    missing = {
        epc: _gone(
            item,
            total.missed_by(
                [first + at for at, one in enumerate(lists) if epc not in one],
                heard_by=0 if fixed and item.zone else None,
            ),
        )
        for epc, item in sorted(due.items())
        if epc not in lists[-1]
    }
    return Tally(
        total=total, recalls=total.recalls[first:], by_gtin=_by_gtin(passes, due, located, total), missing=missing
    )


def _still_there(item: Expected | None) -> bool:
    """Tell whether an item that only earlier passes heard is still to be counted: not sold, not silent since."""
    return item is not None and (item.located or not item.zone)


def covered_zones(heard: Heard, items: Iterable[Expected], expected: Mapping[str, Expected]) -> frozenset[str]:
    """Return the zones where a pass has been."""
    there = Counter(item.zone for item in items if item.zone and item.located)
    found = Counter(expected[epc].zone for epc in heard.reads if epc in expected and expected[epc].located)
    return frozenset(zone for zone, count in there.items() if found[zone] >= max(1.0, COVERED_SHARE * count))


def _total(lists: list[set[str]], newest: Heard) -> Total:
    if len(lists) == 1:
        return total_of_reads(sorted(newest.reads.values()))
    histories: Counter[tuple[bool, ...]] = Counter()
    for epc in set[str]().union(*lists):
        histories[tuple(epc in one for one in lists)] += 1
    return total_of_passes(dict(histories))


def _gone(item: Expected, missed: float) -> float:
    """Return the probability that an item is gone, where one that is there is missed with some probability."""
    there = LOCATED_PRIOR if item.located else SILENT_PRIOR
    return (1.0 - there) / (1.0 - there + there * max(missed, LEAST_MISSED))


def _by_gtin(
    passes: list[Heard], due: Mapping[str, Expected], located: set[str], total: Total
) -> dict[str, tuple[int, on_hand.Units]]:
    """Return what is known of each GTIN: units heard or located, and those that nothing has heard."""
    gtin_of = {epc: item.gtin for epc, item in due.items() if epc in located}
    for one in passes:
        gtin_of |= one.gtins
    units = Counter(gtin for gtin in gtin_of.values() if gtin)
    share = min(0.9, total.missed_by_all)
    belief = on_hand.ShareBelief(shares=np.array([share]), weights=np.ones(1))
    heard = Counter(passes[-1].gtins.values())
    return {
        gtin: (heard[gtin], on_hand.units_of(count, [on_hand.never_read(count, belief)] if share > 0 else []))
        for gtin, count in sorted(units.items())
    }
