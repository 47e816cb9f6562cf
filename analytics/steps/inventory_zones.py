"""Units of a GTIN zone by zone: where items are located, where they may lie instead, and who fell silent where."""

from collections.abc import Sequence

from analytics import accuracy, on_hand
from analytics.steps.inventory_state import InventoryState
from devices.site.model import Site, ZoneKind

WRONG_MAX = 0.98
"""No location is doubted more than this."""
SURE = 0.999
"""A location surer than this is taken for certain."""
STRAY_UNITS = 0.5
"""An item that is not where it is thought to be is in another zone in proportion to the units of its GTIN there, with
so many units added to each zone."""
SHARED_DOUBT = (0.1, 0.4, 1.0, 2.5)
"""Factors of the doubt about all of a GTIN's places at once: units that hang together are located wrongly together."""
AWAY_ODDS = (1.0, 2.0, 6.0, 16.0)
"""By which the odds of being elsewhere are multiplied with each of these factors, for an item that is located on a part
of the sales floor that has no shelf for it: goods are misplaced less often than they are located wrongly."""
SHARED_DOUBT_PRIOR = (0.04, 0.32, 0.32, 0.32)
"""Their probabilities in zones with scales, before any has told which of them this site's locations deserve,"""
SHARED_DOUBT_ELSEWHERE = (0.0, 1 / 3, 1 / 3, 1 / 3)
"""and where nothing tells of it."""


class Zones:
    """Located items of a site, by GTIN and zone, with how sure each is."""

    def __init__(self, state: InventoryState, site: Site) -> None:
        self._state = state
        self._zone_count = len(site.zones)
        self.doubts: tuple[float, ...] = SHARED_DOUBT_PRIOR
        """Probabilities of the factors of `SHARED_DOUBT` in zones with scales; elsewhere nothing tells of them."""
        self._floor = frozenset(zone.id for zone in site.zones if zone.kind is ZoneKind.SALES_FLOOR)
        self._homes = homes_of(site)
        self._confidences: dict[tuple[str, str], list[float]] = {}
        for epc, item in state.items.items():
            if item.gtin is not None and epc not in state.sold:
                self._confidences.setdefault((item.gtin, item.zone), []).append(item.confidence)

    def located(self, gtin: str) -> dict[str, int]:
        """Return the units of a GTIN that are located in each zone."""
        return {zone: count for zone, count in sorted(self._state.seen.get(gtin, {}).items()) if zone}

    def read_in(
        self, gtin: str, zone: str, more: Sequence[on_hand.Mass] = (), *, weighed: bool = False
    ) -> on_hand.Units:
        """Return the distribution of located units that really are in a zone, and of others that add to them.

        Args:
            gtin: GTIN.
            zone: Zone; none of it need be located there.
            more: Distributions of what is there besides.
            weighed: Whether scales stand under it there.
        """
        doubts = self.doubts if weighed else SHARED_DOUBT_ELSEWHERE
        places = [place for place, weight in enumerate(doubts) if weight > 0.0]
        units = [self.read_by_doubt(gtin, zone, place, more) for place in places]
        return on_hand.mixed(units, [doubts[place] for place in places])

    def read_by_doubt(self, gtin: str, zone: str, place: int, more: Sequence[on_hand.Mass] = ()) -> on_hand.Units:
        """Return the same for one factor of `SHARED_DOUBT`."""
        located = self.located(gtin)
        total, spread = sum(located.values()), STRAY_UNITS * self._zone_count
        here = self._wrong(gtin, zone, place)
        strays = [
            wrong * (located.get(zone, 0) + STRAY_UNITS) / (total - located[other] + spread)
            for other in located
            if other != zone
            for wrong in self._wrong(gtin, other, place)
        ]
        return on_hand.units_of(located.get(zone, 0), [on_hand.coins(strays), *more], here)

    def _wrong(self, gtin: str, zone: str, place: int) -> list[float]:
        """Return how likely each doubtful item of a GTIN is not in the zone that it is located in."""
        away = accuracy.is_misplaced(zone, self._floor, self._homes.get(gtin, frozenset()))
        odds = AWAY_ODDS[place] if away else 1.0
        found = []
        for confidence in self._doubtful(gtin, zone):
            wrong = (1.0 - confidence) * odds / ((1.0 - confidence) * odds + confidence)
            found.append(min(WRONG_MAX, wrong if away else SHARED_DOUBT[place] * wrong))
        return found

    def _doubtful(self, gtin: str, zone: str) -> list[float]:
        """Return the confidences of located items of which the zone is not sure."""
        return [confidence for confidence in self._confidences.get((gtin, zone), ()) if confidence < SURE]


def homes_of(site: Site) -> dict[str, frozenset[str]]:
    """Return the zones with a shelf for a GTIN, by GTIN."""
    homes: dict[str, frozenset[str]] = {}
    for shelf in site.shelves:
        if shelf.gtin is not None:
            homes[shelf.gtin] = homes.get(shelf.gtin, frozenset()) | {shelf.zone}
    return homes


def estimate(units: float, low: int, high: int) -> accuracy.OnHand:
    """Return an estimate whose interval holds it."""
    return accuracy.OnHand(units=units, low=min(float(low), units), high=max(float(high), units))
