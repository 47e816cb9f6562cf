"""The rows of the inventory step: what its state says of every GTIN and zone at one time."""

from collections.abc import Iterable, Mapping
from typing import Any

from analytics import accuracy
from analytics.steps.inventory_state import AT_EXIT, ELSEWHERE, InventoryState
from analytics.steps.silent_items import Chances
from devices.site.model import Site, ZoneKind

NEVER_READ = accuracy.Coverage(seen=99.0, missed=1.0)
"""Tagged units that no antenna ever hears: 1 in 100, known as well as 100 units would tell. An assumption. Nothing
updates it: what a site tells of EPCs comes from the same tags, and a sale without EPC that no silence follows may as
well be a till's mistake."""

LEAVING_US = 30 * 60 * 1_000_000
"""A departure that no silence has shown takes one located unit off for this long: minutes to the door, and ten until
silence is noticed. Beyond that a till's mistake, or a unit that was never counted, is likelier."""


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

    def rows(self, as_of_us: int) -> list[dict[str, Any]]:
        """Return the site's total, then each GTIN's, each followed by its zones, as they stand at a time."""
        state = self._state
        self._chances = self._weigh_history(as_of_us)
        gtins = sorted((state.book.keys() | state.seen.keys() | state.observed) - {""})
        rows = [row for gtin in gtins for row in self._gtin_rows(gtin, as_of_us)]
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
        spread_low = sum((row["on_hand"] - row["on_hand_low"]) ** 2 for row in totals) ** 0.5
        spread_high = sum((row["on_hand_high"] - row["on_hand"]) ** 2 for row in totals) ** 0.5
        total["on_hand_low"] = total["on_hand"] - spread_low
        total["on_hand_high"] = total["on_hand"] + spread_high
        return [total, *rows]

    def _gtin_rows(self, gtin: str, as_of_us: int) -> Iterable[dict[str, Any]]:
        state, homes = self._state, self._homes.get(gtin, frozenset())
        zones = state.seen.get(gtin, {})
        seen = sum(zones.values())
        estimate = self._estimate(gtin, seen, as_of_us)
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
        for zone in sorted(zones):
            here = accuracy.estimate_on_hand(zones[zone], (), 0, NEVER_READ)
            yield {
                **common,
                "zone": zone,
                "seen_quantity": zones[zone],
                "on_hand": here.units,
                "on_hand_low": here.low,
                "on_hand_high": here.high,
                "misplaced_quantity": wrong[zone],
            }

    def _weigh_history(self, now_us: int) -> dict[bool, Chances]:
        """Return the chances of silent items at a time, by whether they fell silent at an exit."""
        state = self._state
        silences = [silence for of_gtin in state.hidden.values() for silence in of_gtin.values()]
        return {
            at_exit: state.histories[kind].chances((s for s in silences if s.at_exit == at_exit), now_us)
            for at_exit, kind in ((True, AT_EXIT), (False, ELSEWHERE))
        }

    def _estimate(self, gtin: str, seen: int, now_us: int) -> accuracy.OnHand:
        """Estimate a GTIN's units. Without a tag ever read, scales give a floor and the book stands in."""
        state = self._state
        if gtin in state.observed:
            silences = state.hidden.get(gtin, {}).values()
            there = sorted(self._chances[s.at_exit].still_there(now_us - s.since_us) for s in silences)
            leaving = sum(1 for at_us in state.departures.get(gtin, ()) if at_us > now_us - LEAVING_US)
            return accuracy.estimate_on_hand(seen, there, leaving, NEVER_READ)
        weighed = sum(units for shelf, units in state.shelf_units.items() if self._shelf_gtin.get(shelf) == gtin)
        booked = max(state.book.get(gtin, 0), weighed)
        return accuracy.OnHand(units=float(booked), low=float(weighed), high=float(max(2 * booked, weighed)))
