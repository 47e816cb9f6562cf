"""What a counting pass says: how many of what is there it heard, what one more would add, and what is missing.

The fixed readers are a list of items too: what they locate in the zones where the pass has been. With the passes of the
same count, that makes two or more lists, of which `recapture.total_of_passes` tells the total. A site without fixed
readers has passes only, and its first pass is told by its reads (`total_of_reads`).

**Members of a list may have left.** What fixed readers located may have gone minutes before anybody can notice, and
what a pass heard at its beginning may have been carried off by its end. So each item counts with the probability that
it was there when the pass ended: by when it was last heard, and how surely it would have been heard since
(`hearing.Presence`), and by the pass itself, which would have heard most of what is there. The chances of being heard
and these probabilities need one another, and are worked out in turns (`ROUNDS`). An item may also be in another zone
than it seems to be, where no pass has been: the less sure its place, and the surer it would have been heard at it, the
likelier. What came while a pass went on was not there to be heard, and is not in its total; what came since the count
began is, but says nothing of anybody's recall.

A zone has been *covered* by a pass that heard there at least `COVERED_SHARE` of the items located in it since before
it began, and about as many as in the other zones (`ALIKE_SHARE`). Only items of covered zones were expected; where no
zone is known, as without fixed readers, all items known from before are.

An expected item that a pass did not hear is gone with the probability that follows from its silence and from how likely
the pass, and those of its count before it since it was last heard, were to miss it.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analytics import on_hand
from analytics.counting.hearing import Presence
from analytics.counting.recapture import Total, central, total_of_passes, total_of_reads

COVERED_SHARE = 0.4
"""Share of a zone's located items that a pass hears where it has been in the zone."""
ALIKE_SHARE = 0.7
"""And of what it hears in all such zones together, the share that it hears there: less is heard from next door."""
ZONE_ITEMS_MIN = 8
"""Fewer items than this say nothing of a zone."""
WITHIN_REACH = 0.75
"""Probability that an item which a pass heard is where the pass has been, though it is located elsewhere, since
handhelds hear what is some metres away and no more."""
LEAST_MISSED = 1e-4
"""No item is surer than this to be heard, however many passes there were."""
ITEMS_MIN = 5
"""Fewer items on a list than this say nothing of recall."""
ROUNDS = 4
"""Turns of chances and probabilities; from the third on nothing changes by a tenth of an item."""
DOUBTS_TOGETHER = 3.0
"""So many items in doubt share a fate, as far as the width of the interval goes: a shopper carries some at once, and a
delivery is located late as a whole. From errors of tuning days: their variance beside that of independent doubts."""
SURELY = 1e-6
"""An item that is surer than this to be there, or to be gone, is no doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An item that is on the site when a pass is over, as far as is known."""

    gtin: str
    """GTIN-14; empty where its EPC has none."""
    zone: str
    """Where it was last located when the pass ended; empty where only handhelds have heard it."""
    heard_us: int
    """When it was last known to be there."""
    located: bool
    """Whether fixed readers locate it as of now."""
    from_us: int
    """Since when it is known to be on the site without a break."""
    moved_us: int
    """Since when it is in its zone."""
    confidence: float
    """How sure it is that it is in its zone."""
    presence: Presence
    """Whether it was there when the pass ended, and is now, as its silence says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one pass heard."""

    from_us: int
    """When it began."""
    until_us: int
    """When it ended."""
    reads: Mapping[str, int]
    """Reads by EPC."""
    last_us: Mapping[str, int]
    """Time of the last of them, by EPC."""
    gtins: Mapping[str, str]
    """GTIN of each EPC; empty where it has none."""
    zone_of: Mapping[str, str]
    """Zones of the items known when it began, by EPC; empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What follows from a pass and those of its count before it."""

    total: float
    """Items that are expected to have been in the covered zones from its begin to its end, and can be heard."""
    low: float
    """Lower end of the 90 % interval."""
    high: float
    """Upper end."""
    recall: float
    """Share of the total that the pass heard."""
    chance: float
    """Probability that it heard an item that was there all the time."""
    further: float
    """Items that one more pass, as good as these on average, would hear and none of them has."""
    by_gtin: Mapping[str, tuple[int, on_hand.Units]]
    """For each GTIN: items that the pass heard, and the distribution of units."""
    missing: Mapping[str, float]
    """Expected items that the pass did not hear, each with the probability that it is gone by now."""


def tally(passes: Sequence[Heard], known: Mapping[str, Expected]) -> Tally:
    """Work out what a pass says.

    Args:
        passes: Passes of one count, oldest first; the newest is what the tally is of.
        known: Items known when it was over and not sold, by EPC; of those that it heard also those not known before.
    """
    return _Count(passes, known).tally()


def covered_zones(heard: Heard, known: Mapping[str, Expected]) -> frozenset[str]:
    """Return the zones where a pass has been."""
    there, found = Counter[str](), Counter[str]()
    for epc, item in known.items():
        if item.zone and item.located and item.moved_us <= heard.from_us:
            there[item.zone] += 1
            found[item.zone] += epc in heard.reads
    return covered(there, found)


def covered(there: Mapping[str, int], found: Mapping[str, int]) -> frozenset[str]:
    """Return the zones where a pass has been, by how many items are in each and how many of those it heard there."""
    some = {
        zone for zone, count in there.items() if count >= ZONE_ITEMS_MIN and found.get(zone, 0) >= COVERED_SHARE * count
    }
    together = sum(found[zone] for zone in some) / max(1, sum(there[zone] for zone in some))
    return frozenset(zone for zone in some if found[zone] >= ALIKE_SHARE * together * there[zone])


class _Count:
    """The items of a count, sorted by what they can tell."""

    def __init__(self, passes: Sequence[Heard], known: Mapping[str, Expected]) -> None:
        self._passes = passes
        self._known = known
        newest = passes[-1]
        self._covered = covered_zones(newest, known)
        self._inside = _Inside(newest, known, self._covered)
        heard = set[str]().union(*(one.reads for one in passes))
        due = {epc for epc, item in known.items() if not item.zone or item.zone in self._covered}
        located = {epc for epc in due if known[epc].located}
        self._fixed = len(located) >= ITEMS_MIN
        self._lists = [*([located] if self._fixed else []), *(set(one.reads) for one in passes)]
        came = {epc for epc in known if self._came(epc, passes[0])}
        too_late = {epc for epc in came if self._came(epc, newest)}
        self._members = {epc for epc in known if epc not in came and any(epc in one for one in self._lists)}
        on_site = {epc for epc, item in known.items() if item.located}
        self._besides = ((heard & known.keys()) | on_site) - self._members - (too_late - newest.reads.keys())
        self._too_late = too_late
        self._to_come = too_late & located - heard
        self._missed = sorted(epc for epc in due - too_late if epc not in newest.reads and self._was_due(epc))

    def tally(self) -> Tally:
        """Work everything out."""
        counted = sorted(self._members | self._besides)
        weights = dict.fromkeys(counted, 1.0)
        for _ in range(ROUNDS):
            total = self._total(weights)
            weights = {epc: self._there_then(epc, total) for epc in counted}
        total = self._total(weights)
        sure, doubts = _doubts([weights[epc] for epc in counted])
        units = on_hand.units_of(sure + len(doubts), [total.unheard], [1.0 - share for share in doubts])
        low, high = _ends(units, doubts)
        heard = sum(weights[epc] for epc in counted if epc in self._passes[-1].reads)
        return Tally(
            total=units.mean,
            low=min(float(max(sure, low)), units.mean),
            high=max(float(high), units.mean),
            recall=min(1.0, heard / units.mean) if units.mean > 0 else 0.0,
            chance=total.recalls[-1],
            further=self._further(weights, total),
            by_gtin=self._by_gtin(counted, weights, total),
            missing={epc: self._gone_now(epc, total) for epc in self._missed},
        )

    def _there_then(self, epc: str, total: Total) -> float:
        """Return the probability that an item was in the covered zones when the pass ended."""
        presence, heard = self._known[epc].presence, epc in self._passes[-1].reads
        inside, outside = self._inside.likelihoods(epc, total.recalls[-1] if heard else self._chance_missed(epc, total))
        on_site = presence.now + presence.after
        if epc in self._too_late:  # heard: it may have been there before anybody located it there
            inside, outside = inside * (1.0 - WITHIN_REACH), outside + inside * WITHIN_REACH
        there, gone = on_site * inside, presence.before * (inside + outside if heard else 1.0)
        return there / (there + on_site * outside + gone) if there > 0 else 0.0

    def _gone_now(self, epc: str, total: Total) -> float:
        """Return the probability that an item which the pass did not hear is gone by now."""
        presence = self._known[epc].presence
        missed = sum(self._inside.likelihoods(epc, self._chance_missed(epc, total)))
        gone = presence.before + presence.after * missed
        return gone / (gone + presence.now * missed) if gone > 0 else 0.0

    def _came(self, epc: str, one: Heard) -> bool:
        """Tell whether an item came to the covered zones after a pass had begun."""
        item, zone = self._known[epc], one.zone_of.get(epc)
        if zone is None:
            return bool(item.zone) and item.from_us > one.from_us
        return bool(zone) and zone not in self._covered and item.zone in self._covered

    def _was_due(self, epc: str) -> bool:
        """Tell whether an item was expected by the newest pass: nobody expects what is first heard in it."""
        return self._known[epc].from_us <= self._passes[-1].from_us

    def _total(self, weights: Mapping[str, float]) -> Total:
        if len(self._lists) == 1:
            return total_of_reads(sorted(self._passes[-1].reads.values()))
        histories: dict[tuple[bool, ...], float] = {}
        for epc in sorted(self._members):
            pattern = tuple(epc in one for one in self._lists)
            histories[pattern] = histories.get(pattern, 0.0) + weights[epc]
        return total_of_passes({pattern: items for pattern, items in histories.items() if items > 0})

    def _chance_missed(self, epc: str, total: Total) -> float:
        """Return how likely an item that is there was to be missed by all passes that it may not have been there for.

        An item that passes missed while it was surely there is a hard one, and likelier to be missed again.
        """
        heard_us, first = self._known[epc].heard_us, int(self._fixed)
        missed = [first + at for at, one in enumerate(self._passes) if epc not in one.reads]
        surely = [at for at in missed if self._passes[at - first].until_us <= heard_us and at < len(self._lists) - 1]
        by = 0 if self._fixed and self._known[epc].zone else None
        return max(LEAST_MISSED, total.missed_by(missed, heard_by=by) / total.missed_by(surely, heard_by=by))

    def _further(self, weights: Mapping[str, float], total: Total) -> float:
        """Return what one more pass would add to what the passes have heard."""
        first, by = int(self._fixed), 0 if self._fixed else None
        passes = range(first, len(self._lists))
        heard = set[str]().union(*(one.reads for one in self._passes))
        again = total.found_after(passes, heard_by=by)
        fixed_only = sum(weights[epc] for epc in sorted(self._members - heard))
        came = sum(weights[epc] for epc in sorted(self._besides - heard)) + len(self._to_come)
        return total.further + again * fixed_only + total.recalls[-1] * came

    def _by_gtin(
        self, counted: Sequence[str], weights: Mapping[str, float], total: Total
    ) -> dict[str, tuple[int, on_hand.Units]]:
        gtins: dict[str, list[float]] = {}
        for epc in counted:
            if self._known[epc].gtin:
                gtins.setdefault(self._known[epc].gtin, []).append(weights[epc])
        share = min(0.9, total.missed_by_all)
        belief = on_hand.ShareBelief(shares=np.array([share]), weights=np.ones(1))
        heard = Counter(self._passes[-1].gtins.values())
        found = {}
        for gtin, shares in sorted(gtins.items()):
            sure, doubts = _doubts(shares)
            more = [on_hand.never_read(sure + len(doubts), belief)] if share > 0 else []
            found[gtin] = heard[gtin], on_hand.units_of(sure + len(doubts), more, [1.0 - one for one in doubts])
        return found


class _Inside:
    """Whether items are in zones where a pass has been, by where they are located and whether it heard them there."""

    def __init__(self, newest: Heard, known: Mapping[str, Expected], covered: frozenset[str]) -> None:
        self._newest = newest
        self._known = known
        self._covered = covered
        located = [epc for epc, item in known.items() if item.located and item.zone]
        outside = [epc for epc in located if known[epc].zone not in covered]
        share = len(outside) / max(1, len(located))
        self._elsewhere = {True: share, False: 1.0 - share}
        self._overheard = (sum(epc in newest.reads for epc in outside) + 1.0) / (len(outside) + 4.0)

    def likelihoods(self, epc: str, told: float) -> tuple[float, float]:
        """Return how likely what the pass says of an item is where it is inside, and where it is outside.

        Args:
            epc: Whose.
            told: Probability that an item inside is heard, or missed, as this one was.

        Returns:
            Both, each times the probability to be there by location alone.
        """
        item, heard_us = self._known[epc], self._newest.last_us.get(epc)
        if not item.zone:
            return told, 0.0
        is_covered = item.zone in self._covered
        other = (1.0 - item.confidence) * self._elsewhere[is_covered]
        inside = 1.0 - other if is_covered else other
        if heard_us is None:
            return inside * told, (1.0 - inside) * (1.0 - self._overheard)
        if item.moved_us > heard_us:  # heard before it came to where it is
            inside = min(max(inside, 1.0 - WITHIN_REACH), WITHIN_REACH)
            return inside, 1.0 - inside
        return (told, 0.0) if is_covered else (told * WITHIN_REACH, told * (1.0 - WITHIN_REACH))


def _ends(units: on_hand.Units, doubts: Sequence[float]) -> tuple[int, int]:
    """Return the ends of the interval of a distribution, widened since doubts come together."""
    spread = (DOUBTS_TOGETHER - 1.0) * sum(share * (1.0 - share) for share in doubts)
    reach = math.ceil(2.0 * spread)  # so many coins of a half each way have that variance
    wider = np.convolve(units.mass, on_hand.coins([0.5] * (2 * reach)))
    low, high = central(wider)
    return units.base - reach + low, units.base - reach + high


def _doubts(weights: Sequence[float]) -> tuple[int, list[float]]:
    """Return how many items are there for sure, and the probabilities of those of which it is not sure."""
    sure = sum(weight >= 1.0 - SURELY for weight in weights)
    return sure, [weight for weight in weights if SURELY < weight < 1.0 - SURELY]
