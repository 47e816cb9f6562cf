"""The rows of the inventory step: what its state says of every GTIN and zone at one time."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from analytics import accuracy, on_hand
from analytics.steps.inventory_state import AT_EXIT, ELSEWHERE, InventoryState
from analytics.steps.silent_items import Chances
from devices.site.model import Site, ZoneKind

UNEXPLAINED_US = 30 * 60 * 1_000_000
"""A departure that no silence has shown for this long is counted as one of a unit never read; a silence that shows up
later takes that back."""
NOTICED_HALF_US = 5 * 60 * 1_000_000
"""A unit that has left is silent from the door on, and noticed after the site's `departed_after_s` and the minutes to
the door; of those that are not, half in each further time of this."""
LEAVING_MIN = 0.02
"""A departure less likely than this to be of a located unit is not thought of."""
NORMAL_90 = 1.645
"""Standard deviations either side of the mean that hold 90 % of a normal distribution."""
NO_TAG_SHARE = 0.03
"""Of departures without EPC, the prior share that no silence will ever show: units never read, wrong articles."""


def homes_of(site: Site) -> dict[str, frozenset[str]]:
    """Return the zones with a shelf for a GTIN, by GTIN."""
    homes: dict[str, frozenset[str]] = {}
    for shelf in site.shelves:
        if shelf.gtin is not None:
            homes[shelf.gtin] = homes.get(shelf.gtin, frozenset()) | {shelf.zone}
    return homes


class InventoryRows:
    """Says what stands where."""

    def __init__(self, state: InventoryState, site: Site) -> None:
        self._state = state
        self._site = site
        self._floor = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.SALES_FLOOR)
        self._homes: Mapping[str, frozenset[str]] = homes_of(site)
        self._shelf_gtin = {shelf.id: shelf.gtin for shelf in site.shelves}
        self._chances: dict[bool, Chances] = {}
        self._belief = state.reads.belief(waiting=0, located=0, now_us=0)

    def rows(self, as_of_us: int) -> list[dict[str, Any]]:
        """Return the site's total, then each GTIN's, each followed by its zones, as they stand at a time."""
        state = self._state
        self._chances = self._weigh_history(as_of_us)
        self._belief = self._believe(as_of_us)
        gtins = sorted((state.book.keys() | state.seen.keys() | state.observed) - {""})
        units = {gtin: self._units(gtin, as_of_us) for gtin in gtins if gtin in state.observed}
        ends = dict(zip(units, on_hand.intervals(list(units.values())), strict=True))
        estimates = {
            gtin: _estimate(units[gtin].mean, *ends[gtin]) if gtin in units else self._unobserved(gtin)
            for gtin in gtins
        }
        rows = [row for gtin in gtins for row in self._gtin_rows(gtin, estimates[gtin], as_of_us)]
        totals = [row for row in rows if row["zone"] is None]
        observed = {row["gtin"]: row["on_hand"] for row in totals if row["gtin"] in state.observed}
        total = {
            "site": self._site.id,
            "as_of_time": as_of_us,
            "book_quantity": sum(state.book.values()) if state.book else None,
            "seen_quantity": sum(row["seen_quantity"] for row in totals) + sum(state.seen.get("", {}).values()),
            "on_hand": sum(row["on_hand"] for row in totals),
            "accuracy": accuracy.unit_accuracy(state.book, observed),
            "misplaced_quantity": sum(row["misplaced_quantity"] for row in totals),
        }
        total |= self._total_interval(total["on_hand"], units, estimates)
        return [total, *rows]

    def _gtin_rows(self, gtin: str, estimate: accuracy.OnHand, as_of_us: int) -> Iterable[dict[str, Any]]:
        state, homes = self._state, self._homes.get(gtin, frozenset())
        zones = state.seen.get(gtin, {})
        seen = sum(zones.values())
        book = state.book.get(gtin)
        both_known = book is not None and gtin in state.observed
        common = {"site": self._site.id, "zone": None, "gtin": gtin, "as_of_time": as_of_us}
        wrong = {zone: count if accuracy.is_misplaced(zone, self._floor, homes) else 0 for zone, count in zones.items()}
        yield {
            **common,
            "book_quantity": book,
            "seen_quantity": seen,
            "on_hand": estimate.units,
            "on_hand_low": estimate.low,
            "on_hand_high": estimate.high,
            "accuracy": accuracy.unit_accuracy({gtin: book}, {gtin: estimate.units})
            if both_known and book is not None
            else None,
            "misplaced_quantity": sum(wrong.values()),
        }
        for zone in sorted(zones.keys() - {""}):
            here = self._in_zone(zones[zone])
            yield {
                **common,
                "zone": zone,
                "seen_quantity": zones[zone],
                "on_hand": here.units,
                "on_hand_low": here.low,
                "on_hand_high": here.high,
                "misplaced_quantity": wrong[zone],
            }

    # --- what is believed ----------------------------------------------------------------------------------------

    def _weigh_history(self, now_us: int) -> dict[bool, Chances]:
        """Return the chances of silent items at a time, by whether they fell silent at an exit."""
        state = self._state
        silences = [silence for of_gtin in state.hidden.values() for silence in of_gtin.values()]
        return {
            at_exit: state.histories[kind].chances(
                (s for s in silences if s.at_exit == at_exit), now_us, at_exit=at_exit
            )
            for at_exit, kind in ((True, AT_EXIT), (False, ELSEWHERE))
        }

    def _believe(self, now_us: int) -> on_hand.ShareBelief:
        """Return what is believed about the share of units never read."""
        state = self._state
        waiting = sum(
            1
            for gtin, times in state.departures.items()
            if gtin in state.observed
            for at_us in times
            if at_us <= now_us - UNEXPLAINED_US
        )
        located = sum(sum(zones.values()) for gtin, zones in state.seen.items() if gtin)
        disturbed = sum(
            sum(state.seen.get(gtin, {}).values()) for gtin, silent in state.hidden.items() if gtin and silent
        )
        first = state.reads.belief(waiting=waiting, located=located, now_us=now_us)
        missing = [
            state.book[gtin] - self._read(gtin, now_us) - self._to_come(gtin, first.mean)
            for gtin in sorted(state.observed & state.book.keys())
        ]
        return state.reads.belief(
            waiting=waiting,
            located=located,
            now_us=now_us,
            missing=missing,
            disturbed=disturbed / max(1, located),
        )

    def _there(self, gtin: str, now_us: int) -> list[float]:
        """Return how likely each silent item of a GTIN is still there."""
        silences = self._state.hidden.get(gtin, {}).values()
        return [self._chances[s.at_exit].still_there(now_us - s.since_us, s.passes) for s in silences]

    def _read(self, gtin: str, now_us: int) -> float:
        """Return the units of a GTIN that are there and were read, as far as is known."""
        leaving = [self._leaving(now_us - at_us) for at_us in self._state.departures.get(gtin, ())]
        return math.fsum([*self._state.seen.get(gtin, {}).values(), *self._there(gtin, now_us)]) - math.fsum(leaving)

    def _to_come(self, gtin: str, never_read: float) -> float:
        """Return the units of a GTIN's deliveries that have not been heard and will be, or were wrongly booked."""
        lines = self._state.deliveries.lines.get(gtin, ())
        return math.fsum(line.booked - line.heard for line in lines if not line.settled) * (1.0 - never_read)

    def _units(self, gtin: str, now_us: int) -> on_hand.Units:
        """Return the distribution of a GTIN's units on hand."""
        state = self._state
        seen = sum(state.seen.get(gtin, {}).values())
        there = self._there(gtin, now_us)
        lines = state.deliveries.unheard(gtin, now_us, self._belief.mean)
        read = max(0, round(math.fsum([seen, *there])) - state.deliveries.heard(gtin))
        leaving = [self._leaving(now_us - at_us) for at_us in state.departures.get(gtin, ())]
        leaving = sorted((p for p in leaving if p > LEAVING_MIN), reverse=True)[: seen + len(there)]
        return on_hand.units_of(seen, [on_hand.coins(there), on_hand.never_read(read, self._belief), *lines], leaving)

    def _leaving(self, age_us: int) -> float:
        """Return how likely a departure that no silence has shown is of a unit that is still counted as located."""
        beyond_us = age_us - round(self._site.departed_after_s * 1e6) - 2 * 60 * 1_000_000
        unnoticed = math.exp2(-max(0, beyond_us) / NOTICED_HALF_US)
        return unnoticed * (1.0 - NO_TAG_SHARE) / (unnoticed * (1.0 - NO_TAG_SHARE) + NO_TAG_SHARE)

    def _unobserved(self, gtin: str) -> accuracy.OnHand:
        """Estimate a GTIN without a tag ever read: scales give a floor and the book stands in."""
        state = self._state
        weighed = sum(units for shelf, units in state.shelf_units.items() if self._shelf_gtin.get(shelf) == gtin)
        booked = max(state.book.get(gtin, 0), weighed)
        return accuracy.OnHand(units=float(booked), low=float(weighed), high=float(max(2 * booked, weighed)))

    def _in_zone(self, located: int) -> accuracy.OnHand:
        units = on_hand.units_of(located, [on_hand.never_read(located, self._belief)])
        return _estimate(units.mean, *on_hand.intervals([units])[0])

    def _total_interval(
        self, total: float, units: Mapping[str, on_hand.Units], estimates: Mapping[str, accuracy.OnHand]
    ) -> dict[str, float]:
        """Return the interval of a sum: what is not known of the share never read is the same for all GTINs."""
        _, ratio_variance = self._belief.ratio
        reads = [max(0.0, one.base) for one in units.values()]
        own = sum(max(0.0, one.variance - ratio_variance * n * n) for one, n in zip(units.values(), reads, strict=True))
        spread = NORMAL_90 * math.sqrt(own + ratio_variance * sum(reads) ** 2)
        rest = [estimate for gtin, estimate in estimates.items() if gtin not in units]
        low = math.hypot(spread, *(one.units - one.low for one in rest))
        high = math.hypot(spread, *(one.high - one.units for one in rest))
        return {"on_hand_low": max(0.0, total - low), "on_hand_high": total + high}


def _estimate(units: float, low: int, high: int) -> accuracy.OnHand:
    """Return an estimate whose interval holds it."""
    return accuracy.OnHand(units=units, low=min(float(low), units), high=max(float(high), units))
