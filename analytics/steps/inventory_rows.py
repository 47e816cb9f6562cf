"""The rows of the inventory step: what its state says of every GTIN and zone at one time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

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
SURE = 0.999
"""A location surer than this is taken for certain."""
STRAY_UNITS = 0.5
"""An item that is not where it is thought to be is in another zone in proportion to the units of its GTIN there, with
so many units added to each zone."""
SHARED_DOUBT = (0.4, 1.0, 2.5)
"""Factors of the doubt about all of a GTIN's places at once, equally likely: units that hang together are located
wrongly together."""
BOOK_ERROR_MAX = 60
"""Units that a book is thought to be wrong by at most, where nothing but the book is known."""
BOOK_ERROR_UNITS = 1.0
"""Scale of a Laplace distribution about each error that was seen: they are whole units, and estimates themselves."""
BOOK_ERROR_PRIOR_GTINS = 3.0
"""Books without error that are added to those seen."""
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
        self._confidences: dict[tuple[str, str], list[float]] = {}
        self._unread: dict[int, on_hand.Mass] = {}
        self._belief = state.reads.belief(waiting=0, located=0, now_us=0)

    def rows(self, as_of_us: int) -> list[dict[str, Any]]:
        """Return the site's total, then each GTIN's, each followed by its zones, as they stand at a time."""
        state = self._state
        self._chances = self._weigh_history(as_of_us)
        self._belief = self._believe(as_of_us)
        self._confidences, self._unread = self._gather_confidences(), {}
        gtins = sorted((state.book.keys() | state.seen.keys() | state.observed) - {""})
        units = {gtin: self._units(gtin, as_of_us) for gtin in gtins if gtin in state.observed}
        ends = dict(zip(units, on_hand.intervals(list(units.values())), strict=True))
        booked = self._unobserved([gtin for gtin in gtins if gtin not in units], units)
        ends |= dict(zip(booked, on_hand.intervals(list(booked.values())), strict=True))
        estimates = {gtin: _estimate(one.mean, *ends[gtin]) for gtin, one in (units | booked).items()}
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
        for zone, here in self._in_zones(gtin, as_of_us).items():
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

    def _gather_confidences(self) -> dict[tuple[str, str], list[float]]:
        """Return the confidences of located, unsold items by GTIN and zone."""
        found: dict[tuple[str, str], list[float]] = {}
        for epc, item in self._state.items.items():
            if item.gtin is not None and epc not in self._state.sold:
                found.setdefault((item.gtin, item.zone), []).append(item.confidence)
        return found

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
        return on_hand.units_of(seen, [on_hand.coins(there), self._never_read(read), *lines], leaving)

    def _leaving(self, age_us: int) -> float:
        """Return how likely a departure that no silence has shown is of a unit that is still counted as located."""
        beyond_us = age_us - round(self._site.departed_after_s * 1e6) - 2 * 60 * 1_000_000
        unnoticed = math.exp2(-max(0, beyond_us) / NOTICED_HALF_US)
        return unnoticed * (1.0 - NO_TAG_SHARE) / (unnoticed * (1.0 - NO_TAG_SHARE) + NO_TAG_SHARE)

    def _unobserved(self, gtins: Sequence[str], units: Mapping[str, on_hand.Units]) -> dict[str, on_hand.Units]:
        """Estimate GTINs without a tag ever read: by the book, as wrong as those of other GTINs are, and by scales.

        How wrong books are is seen where tags tell: book less on hand, GTIN by GTIN. What scales count is there,
        whatever the book says; what lies on no scale they do not see. A GTIN without a book has what scales count and
        perhaps more.
        """
        state = self._state
        errors = [state.book[gtin] - one.mean for gtin, one in units.items() if gtin in state.book]
        off = np.arange(-BOOK_ERROR_MAX, BOOK_ERROR_MAX + 1, dtype=np.float64)
        likely = BOOK_ERROR_PRIOR_GTINS * _laplace(off, 0.0)
        for error in errors:
            likely = likely + _laplace(off, error)
        found = {}
        for gtin in gtins:
            weighed = sum(count for shelf, count in state.shelf_units.items() if self._shelf_gtin.get(shelf) == gtin)
            book = max(state.book.get(gtin, weighed), weighed)
            there = book - off[::-1]
            mass = np.where(there >= weighed, likely[::-1], 0.0)
            found[gtin] = on_hand.Units(base=book - BOOK_ERROR_MAX, mass=mass / mass.sum())
        return found

    def _in_zones(self, gtin: str, now_us: int) -> dict[str, accuracy.OnHand]:
        """Estimate a GTIN's units in each zone where it is located."""
        state = self._state
        located = {zone: count for zone, count in sorted(state.seen.get(gtin, {}).items()) if zone}
        silent = [
            (silence.zone, self._chances[silence.at_exit].still_there(now_us - silence.since_us, silence.passes))
            for _, silence in sorted(state.hidden.get(gtin, {}).items())
        ]
        total = sum(located.values())
        unread = self._never_read(total)
        units = []
        for zone, count in located.items():
            stay = on_hand.coins([probability for last_zone, probability in silent if last_zone == zone])
            fixed = [stay, on_hand.thinned(unread, count / total)]
            here = [1.0 - confidence for confidence in self._doubtful(gtin, zone)]
            strays = self._strays(gtin, zone, located)
            units.append(
                on_hand.mixed(
                    [
                        on_hand.units_of(count, [on_hand.coins(_scaled(strays, factor)), *fixed], _scaled(here, factor))
                        for factor in SHARED_DOUBT
                    ]
                )
            )
        ends = on_hand.intervals(units)
        return {zone: _estimate(one.mean, *end) for zone, one, end in zip(located, units, ends, strict=True)}

    def _never_read(self, read: int) -> on_hand.Mass:
        """Return the distribution of units never read beside so many that were; GTINs of one size share it."""
        if read not in self._unread:
            self._unread[read] = on_hand.never_read(read, self._belief)
        return self._unread[read]

    def _strays(self, gtin: str, zone: str, located: Mapping[str, int]) -> list[float]:
        """Return how likely each unit of a GTIN that is located in another zone lies in this one."""
        total, spread = sum(located.values()), STRAY_UNITS * len(self._site.zones)
        return [
            (1.0 - confidence) * (located[zone] + STRAY_UNITS) / (total - located[other] + spread)
            for other in located
            if other != zone
            for confidence in self._doubtful(gtin, other)
        ]

    def _doubtful(self, gtin: str, zone: str) -> list[float]:
        """Return the confidences of located items of which the zone is not sure."""
        return [confidence for confidence in self._confidences.get((gtin, zone), ()) if confidence < SURE]

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


def _laplace(off: npt.NDArray[np.float64], middle: float) -> npt.NDArray[np.float64]:
    mass = np.exp(-np.abs(off - middle) / BOOK_ERROR_UNITS)
    return np.asarray(mass / mass.sum())


def _scaled(probabilities: Sequence[float], factor: float) -> list[float]:
    return [min(0.98, factor * probability) for probability in probabilities]


def _estimate(units: float, low: int, high: int) -> accuracy.OnHand:
    """Return an estimate whose interval holds it."""
    return accuracy.OnHand(units=units, low=min(float(low), units), high=max(float(high), units))
