"""The rows of the inventory step: what its state says of every GTIN and zone at one time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from analytics import accuracy, on_hand
from analytics.steps.inventory_beliefs import Beliefs
from analytics.steps.inventory_state import InventoryState
from analytics.steps.inventory_zones import estimate, homes_of
from devices.site.model import Site, ZoneKind

BOOK_ERROR_MAX = 60
"""Units that a book is thought to be wrong by at most, where nothing but the book is known."""
BOOK_ERROR_UNITS = 1.0
"""Scale of a Laplace distribution about each error that was seen: they are whole units, and estimates themselves."""
BOOK_ERROR_PRIOR_GTINS = 3.0
"""Books without error that are added to those seen."""
NORMAL_90 = 1.645
"""Standard deviations either side of the mean that hold 90 % of a normal distribution."""


class InventoryRows:
    """Says what stands where."""

    def __init__(self, state: InventoryState, site: Site) -> None:
        self._state = state
        self._site = site
        self._floor = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.SALES_FLOOR)
        self._homes: Mapping[str, frozenset[str]] = homes_of(site)
        self._shelf_gtin = {shelf.id: shelf.gtin for shelf in site.shelves}

    def rows(self, as_of_us: int) -> list[dict[str, Any]]:
        """Return the site's total, then each GTIN's, each followed by its zones, as they stand at a time."""
        state = self._state
        beliefs = Beliefs(state, self._site, as_of_us)
        gtins = sorted((state.book.keys() | state.seen.keys() | state.observed) - {""})
        units = {gtin: beliefs.units(gtin) for gtin in gtins if gtin in state.observed}
        ends = dict(zip(units, on_hand.intervals(list(units.values())), strict=True))
        booked = self._unobserved([gtin for gtin in gtins if gtin not in units], units)
        ends |= dict(zip(booked, on_hand.intervals(list(booked.values())), strict=True))
        estimates = {gtin: estimate(one.mean, *ends[gtin]) for gtin, one in (units | booked).items()}
        rows = [row for gtin in gtins for row in self._gtin_rows(gtin, estimates[gtin], beliefs, as_of_us)]
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
        total |= _total_interval(total["on_hand"], beliefs.share, units, estimates)
        return [total, *rows]

    def _gtin_rows(
        self, gtin: str, whole: accuracy.OnHand, beliefs: Beliefs, as_of_us: int
    ) -> Iterable[dict[str, Any]]:
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
            "on_hand": whole.units,
            "on_hand_low": whole.low,
            "on_hand_high": whole.high,
            "accuracy": accuracy.unit_accuracy({gtin: book}, {gtin: whole.units})
            if both_known and book is not None
            else None,
            "misplaced_quantity": sum(wrong.values()),
        }
        by_zone = beliefs.in_zones(gtin)
        ends = on_hand.intervals(list(by_zone.values()))
        for (zone, units), end in zip(by_zone.items(), ends, strict=True):
            here = estimate(units.mean, *end)
            yield {
                **common,
                "zone": zone,
                "seen_quantity": zones[zone],
                "on_hand": here.units,
                "on_hand_low": here.low,
                "on_hand_high": here.high,
                "misplaced_quantity": wrong[zone],
            }

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
            weighed = sum(one.units for shelf, one in state.weighed.items() if self._shelf_gtin.get(shelf) == gtin)
            book = max(state.book.get(gtin, weighed), weighed)
            there = book - off[::-1]
            mass = np.where(there >= weighed, likely[::-1], 0.0)
            found[gtin] = on_hand.Units(base=book - BOOK_ERROR_MAX, mass=mass / mass.sum())
        return found


def _total_interval(
    total: float,
    share: on_hand.ShareBelief,
    units: Mapping[str, on_hand.Units],
    estimates: Mapping[str, accuracy.OnHand],
) -> dict[str, float]:
    """Return the interval of a sum: what is not known of the share never read is the same for all GTINs."""
    _, ratio_variance = share.ratio
    reads = [max(0.0, one.base) for one in units.values()]
    own = sum(max(0.0, one.variance - ratio_variance * n * n) for one, n in zip(units.values(), reads, strict=True))
    spread = NORMAL_90 * math.sqrt(own + ratio_variance * sum(reads) ** 2)
    rest = [one for gtin, one in estimates.items() if gtin not in units]
    low = math.hypot(spread, *(one.units - one.low for one in rest))
    high = math.hypot(spread, *(one.high - one.units for one in rest))
    return {"on_hand_low": max(0.0, total - low), "on_hand_high": total + high}


def _laplace(off: npt.NDArray[np.float64], middle: float) -> npt.NDArray[np.float64]:
    mass = np.exp(-np.abs(off - middle) / BOOK_ERROR_UNITS)
    return np.asarray(mass / mass.sum())
