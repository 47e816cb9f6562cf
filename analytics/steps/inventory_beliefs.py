"""What is believed of a site's stock at one time: GTIN by GTIN, a distribution of the units that are there.

On hand is the sum of what is located, silent items still there, units never read and units of deliveries not heard yet,
less units on their way out (`analytics.on_hand`). The shares behind it are learnt from the whole site. Where scales
stand under a GTIN, they have their say of the units that tags do not tell of (`analytics.on_scales`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analytics import on_hand
from analytics.on_scales import Look, WeighedZone, units_seen_by_scales, unread_chances
from analytics.steps.deliveries import MATCH_BEFORE_US
from analytics.steps.hard_gtins import Signs, hardness
from analytics.steps.inventory_state import InventoryState, gtin_of
from analytics.steps.inventory_zones import SHARED_DOUBT, SHARED_DOUBT_PRIOR, Zones
from analytics.steps.never_read import SCALES_POWER, SHARES, Floats
from analytics.steps.scales import Looks
from analytics.steps.silent_items import AT_EXIT, ELSEWHERE, EXPLAINED, Silence
from devices.site.model import Site

UNEXPLAINED_US = 30 * 60 * 1_000_000
"""A departure that no silence has shown for this long is counted as one of a unit never read; a silence that shows up
later takes that back."""
NOTICED_HALF_US = 5 * 60 * 1_000_000
"""A unit that has left is silent from the door on, and noticed after the site's `departed_after_s` and the minutes to
the door; of those that are not, half in each further time of this."""
THERE_MIN = 0.003
"""A silent item less likely than this to be there is not thought of."""
LEAVING_MIN = 0.02
"""A departure less likely than this to be of a located unit is not thought of."""
NO_TAG_SHARE = 0.03
"""Of departures without EPC, the prior share that no silence will ever show: units never read, wrong articles."""
ZONE_SHARE_UNITS = 0.5
"""Units never read lie where units are read, with so many units added to each zone with a scale."""
UNREAD_IN_ZONE_MAX = 24
"""More units never read in one zone than this are not asked of scales, when the site's share is learnt."""
LOOKS_LIMIT = 200
"""So many looks of scales tell the site's share; of more, some are taken from all over the GTINs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a GTIN's units on hand are the sum of."""

    located: int
    """Units located."""
    silent: list[float]
    """Probabilities of silent items to be there."""
    unread: on_hand.Mass
    """Distribution of units that are not read: never, or not yet."""
    to_come: list[on_hand.Mass]
    """Distributions of units of deliveries that are not heard yet."""
    leaving: list[float]
    """Probabilities of located units to be gone."""


class Beliefs:
    """What is believed of a site's stock at one time."""

    def __init__(self, state: InventoryState, site: Site, now_us: int) -> None:
        self._state = state
        self._site = site
        self._now_us = now_us
        self._dead: dict[int, tuple[on_hand.Mass, on_hand.Mass]] = {}
        self._there = self._weigh_history()
        self.zones = Zones(state, site)
        """Located items, zone by zone."""
        self._looks = Looks(state.weighed, site, now_us)
        self._hardness = self._compare_gtins()
        self.share = self._learn_share()
        """Share of units that are never read."""

    def units(self, gtin: str) -> on_hand.Units:
        """Return the distribution of a GTIN's units on hand."""
        parts, there = self.parts(gtin), self._silent(gtin)
        weighed = self._weighed(gtin, there)
        if not weighed:
            silent = on_hand.coins(parts.silent)
            return on_hand.units_of(parts.located, [silent, parts.unread, *parts.to_come], parts.leaving)
        elsewhere = [probability for zone, probability in there if zone not in weighed]
        both = units_seen_by_scales(parts.unread, on_hand.coins(elsewhere), list(weighed.values()))
        return on_hand.units_of(parts.located, [both, *parts.to_come], parts.leaving)

    def parts(self, gtin: str) -> Parts:
        """Return what a GTIN's units on hand are the sum of, before scales have their say."""
        state = self._state
        located = sum(state.seen.get(gtin, {}).values())
        silent = [probability for _, probability in self._silent(gtin)]
        read = max(0, round(math.fsum([located, *silent])) - state.deliveries.heard(gtin))
        leaving = [self._leaving(self._now_us - at_us) for at_us in state.departures.get(gtin, ())]
        return Parts(
            located=located,
            silent=silent,
            unread=self.never_read(gtin, read),
            to_come=state.deliveries.unheard(gtin, self._now_us, self.share.mean),
            leaving=sorted((p for p in leaving if p > LEAVING_MIN), reverse=True)[: located + len(silent)],
        )

    def in_zones(self, gtin: str) -> dict[str, on_hand.Units]:
        """Return the distribution of a GTIN's units in each zone where it is located."""
        located, there, looks = self.zones.located(gtin), self._silent(gtin), self._looks.of(gtin)
        total = sum(located.values())
        unread = self.never_read(gtin, total)
        found = {}
        for zone, count in located.items():
            stay = on_hand.coins([probability for last_zone, probability in there if last_zone == zone])
            more = [stay, on_hand.thinned(unread, count / total)]
            units = self.zones.read_in(gtin, zone, more, weighed=zone in looks)
            found[zone] = _weighed_by(looks[zone], units) if zone in looks else units
        return found

    def never_read(self, gtin: str, read: int) -> on_hand.Mass:
        """Return the distribution of units of a GTIN that are not read, beside so many that were."""
        if read not in self._dead:  # GTINs of one size share it
            self._dead[read] = on_hand.never_read_by_late(read, self.share)
        return on_hand.with_late(read, *self._dead[read], self._hard(gtin))

    # --- silent items, units on their way out ---------------------------------------------------------------------

    def _weigh_history(self) -> dict[str, list[tuple[str, float]]]:
        """Return silent items by GTIN: where each was heard last, and how likely it is still there."""
        state, now_us = self._state, self._now_us
        silences: dict[str, list[tuple[str, Silence]]] = {AT_EXIT: [], ELSEWHERE: [], EXPLAINED: []}
        for gtin, of_gtin in state.hidden.items():
            for _, silence in sorted(of_gtin.items()):
                silences[silence.kind].append((gtin, silence))
        for epc, explained in sorted(state.explained.items()):
            if not explained.silence.at_exit:
                silences[EXPLAINED].append((gtin_of(epc), explained.silence))
        there: dict[str, list[tuple[str, float]]] = {}
        for kind, of_kind in silences.items():
            chances = state.histories[kind].chances((silence for _, silence in of_kind), now_us, kind)
            for gtin, silence in of_kind:
                chance = chances.still_there(now_us - silence.since_us, silence.passes)
                if chance > THERE_MIN:
                    there.setdefault(gtin, []).append((silence.zone, chance))
        return there

    def _silent(self, gtin: str) -> list[tuple[str, float]]:
        """Return each silent item of a GTIN: where it was heard last, and how likely it is still there."""
        return self._there.get(gtin, [])

    def _leaving(self, age_us: int) -> float:
        """Return how likely a departure that no silence has shown is of a unit that is still counted as located."""
        beyond_us = age_us - round(self._site.departed_after_s * 1e6) - 2 * 60 * 1_000_000
        unnoticed = math.exp2(-max(0, beyond_us) / NOTICED_HALF_US)
        return unnoticed * (1.0 - NO_TAG_SHARE) / (unnoticed * (1.0 - NO_TAG_SHARE) + NO_TAG_SHARE)

    # --- the share never read ---------------------------------------------------------------------------------------

    def _learn_share(self) -> on_hand.ShareBelief:
        """Return what is believed about the share of units never read."""
        state, now_us = self._state, self._now_us
        waiting = sum(
            1
            for gtin, times in state.departures.items()
            if gtin in state.observed
            for at_us in times
            if at_us <= now_us - UNEXPLAINED_US
        )
        units = self._located_units()
        located = sum(units.values())
        announced = sum(count for gtin, count in units.items() if gtin in state.deliveries.announced)
        waiting_share = announced / max(1, located)
        disturbed = sum(
            sum(state.seen.get(gtin, {}).values()) for gtin, silent in state.hidden.items() if gtin and silent
        )
        first = state.reads.belief(waiting=waiting, located=located, now_us=now_us, waiting_share=waiting_share)
        booked = sorted(state.observed & state.book.keys())
        missing = [state.book[gtin] - self._read(gtin) - self._to_come(gtin, first.mean) for gtin in booked]
        late = [first.late_ratio * units.get(gtin, 0) * self._hard(gtin).mean for gtin in booked]
        return state.reads.belief(
            waiting=waiting,
            located=located,
            now_us=now_us,
            missing=missing,
            late=late,
            disturbed=disturbed / max(1, located),
            scales=self._hear_scales(first.at(SHARES)),
            waiting_share=waiting_share,
        )

    def _compare_gtins(self) -> dict[str, on_hand.Hardness]:
        """Return how much harder to read than others each GTIN is: by late finds, and by items silent and there."""
        state, waits_us = self._state, self._now_us - MATCH_BEFORE_US
        late = state.reads.found_late(self._now_us)
        old = {gtin: float(sum(at_us <= waits_us for at_us in found)) for gtin, found in late.items()}
        new = {gtin: len(found) - old[gtin] for gtin, found in late.items()}
        silent = {gtin: math.fsum(chance for _, chance in there) for gtin, there in self._there.items()}
        signs = [Signs(counts=old), Signs(counts=new, unwatched=state.deliveries.announced), Signs(counts=silent)]
        return hardness(signs, self._located_units())

    def _hard(self, gtin: str) -> on_hand.Hardness:
        return self._hardness.get(gtin, on_hand.Hardness())

    def _located_units(self) -> dict[str, int]:
        return {gtin: sum(zones.values()) for gtin, zones in self._state.seen.items() if gtin}

    def _read(self, gtin: str) -> float:
        """Return the units of a GTIN that are there and were read, as far as is known."""
        leaving = [self._leaving(self._now_us - at_us) for at_us in self._state.departures.get(gtin, ())]
        there = [probability for _, probability in self._silent(gtin)]
        return math.fsum([*self._state.seen.get(gtin, {}).values(), *there]) - math.fsum(leaving)

    def _to_come(self, gtin: str, never_read: float) -> float:
        """Return the units of a GTIN's deliveries that have not been heard and will be, or were wrongly booked."""
        lines = self._state.deliveries.lines.get(gtin, ())
        return math.fsum(line.booked - line.heard for line in lines if not line.settled) * (1.0 - never_read)

    # --- scales -----------------------------------------------------------------------------------------------------

    def _weighed(self, gtin: str, silent: Sequence[tuple[str, float]]) -> dict[str, WeighedZone]:
        """Return the zones in which scales stand under a GTIN."""
        looks = self._looks.of(gtin)
        if not looks:
            return {}
        located = self.zones.located(gtin)
        total = math.fsum(located.values()) + ZONE_SHARE_UNITS * len(looks)
        return {
            zone: WeighedZone(
                look=look,
                read=self.zones.read_in(gtin, zone, weighed=True),
                silent=on_hand.coins([probability for last_zone, probability in silent if last_zone == zone]),
                share=(located.get(zone, 0) + ZONE_SHARE_UNITS) / total,
            )
            for zone, look in looks.items()
        }

    def _hear_scales(self, prior: Floats) -> Floats:
        """Learn how doubtful locations are; return the log likelihood of what scales say, for each of `SHARES`.

        Only zones that scales see whole tell of either. `prior` has a probability for each of `SHARES`.
        """
        by_doubt = np.zeros((len(SHARED_DOUBT), len(SHARES)))
        by_read: dict[int, Floats] = {}
        looks = [
            (gtin, zone)
            for gtin in sorted(self._state.observed)
            for zone, look in sorted(self._looks.of(gtin).items())
            if look.whole and self.zones.located(gtin).get(zone, 0) > 0
        ]
        for gtin, zone in looks[:: 1 + len(looks) // LOOKS_LIMIT]:
            weighed = self._weighed(gtin, self._silent(gtin))[zone]
            read = self.zones.located(gtin)[zone]
            if read not in by_read:
                by_read[read] = on_hand.never_read_by_share(read, SHARES, UNREAD_IN_ZONE_MAX)
            for place in range(len(SHARED_DOUBT)):
                units = self.zones.read_by_doubt(gtin, zone, place)
                chances = unread_chances(replace(weighed, read=units), UNREAD_IN_ZONE_MAX)
                by_doubt[place] += SCALES_POWER * np.log(chances @ by_read[read])
        by_doubt += np.log(SHARED_DOUBT_PRIOR)[:, None]
        doubts = np.exp(by_doubt - by_doubt.max()) @ prior
        self.zones.doubts = tuple((doubts / doubts.sum()).tolist())
        return np.asarray(np.logaddexp.reduce(by_doubt, axis=0))


def _weighed_by(look: Look, units: on_hand.Units) -> on_hand.Units:
    """Return a zone's distribution given what its scales say."""
    there = np.maximum(0, units.base + np.arange(len(units.mass)))
    mass = units.mass * look.chances(there, lagging=False)
    return on_hand.Units(base=units.base, mass=mass / mass.sum())
