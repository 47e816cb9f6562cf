"""What the inventory step remembers of scales, and what becomes of it in its rows."""

import dataclasses

from analytics.on_scales import Look
from analytics.pipeline import SitePipeline
from analytics.steps.inventory import InventoryStep
from analytics.steps.scales import JUMP_KEPT_US, STALE_US, Looks, Weighed, lag_of, weigh
from analytics.steps.shelf import ShelfStep
from devices.epc import encode_sgtin96
from devices.site.model import Shelf, Site, Zone, ZoneKind
from tests.analytics.told_stays import Told, ToldStays, rows_of

GTIN = "09506000134352"
MINUTE = 60_000_000
MEN = 0
SITE = Site(
    id="s",
    zones=tuple(
        Zone(id=name, kind=kind, polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
        for name, kind in {"men": ZoneKind.SALES_FLOOR, "back": ZoneKind.BACK_ROOM}.items()
    ),
    shelves=(
        Shelf(id="rail", zone="men", gtin=GTIN, unit_grams=100.0, profile="weight", mqtt_topic="rail"),
        Shelf(id="bin", zone="men", gtin=GTIN, unit_grams=100.0, profile="weight", mqtt_topic="bin"),
    ),
)


def counted(*rows: tuple[float, int], confidence: float = 1.0) -> Weighed:
    """Return a shelf after rows, each a minute and units."""
    found: Weighed | None = None
    for minute, units in rows:
        found = weigh(found, units, round(minute * MINUTE), confidence=confidence, lag_us=lag_of(SITE))
    assert found is not None
    return found


class TestLooks:
    def look(self, minute: float, **shelves: Weighed) -> Look:
        return Looks(shelves, SITE, round(minute * MINUTE)).of(GTIN)["men"]

    def test_shelves_of_a_zone_add_up_and_one_unheard_makes_it_a_part(self) -> None:
        both = self.look(60, rail=counted((1, 5)), bin=counted((1, 7)))
        assert (both.units, both.whole) == (12, True)
        one = self.look(60, rail=counted((1, 5)))
        assert (one.units, one.whole) == (5, False)

    def test_what_changed_lately_is_told_and_forgotten(self) -> None:
        rail = counted((1, 5), (50, 4), (51, 7))
        late = self.look(60, rail=rail)
        assert (late.put_on, late.taken, late.jumps) == (3, 1, (3,))
        later = self.look(90, rail=rail)
        assert (later.put_on, later.taken, later.jumps) == (0, 0, (3,))
        assert self.look(60 + JUMP_KEPT_US / MINUTE, rail=rail).jumps == ()

    def test_a_fall_takes_a_jump_back(self) -> None:
        assert counted((1, 5), (2, 9), (3, 5)).jumps == []
        assert [units for _, units in counted((1, 5), (2, 9), (3, 8)).jumps] == [4]

    def test_a_count_it_is_not_sure_of(self) -> None:
        assert not self.look(60, rail=counted((1, 5), confidence=0.5)).sure

    def test_a_scale_that_has_said_nothing_for_days_is_taken_to_be_dead(self) -> None:
        assert not Looks({"rail": counted((1, 5))}, SITE, STALE_US + 2 * MINUTE).of(GTIN)


def inventory(*, units: int, scales: bool = True, zone: str | None = None) -> dict[str, float]:
    """Return a row after an hour in which ten items were read and both scales said so many units."""
    site = SITE if scales else dataclasses.replace(SITE, shelves=(Shelf(id="rail", zone="men", gtin=GTIN),))
    told = Told()
    for number in range(10):
        told.goes(1, encode_sgtin96(GTIN, number + 1, 7), MEN)
    for second in range(10):
        told.reading(70 + second, 0.3, 70 + second, source="rail")
        told.reading(70 + second, 0.1 * (units - 3), 70 + second, source="bin")
    told.business(50, "book_stock", 10, gtin="09506000134369")
    tables = SitePipeline(site, [ToldStays(), ShelfStep(), InventoryStep()]).process(told.until(61).chunk())
    return [row for row in rows_of(dict(tables), "inventory") if (row["gtin"], row["zone"]) == (GTIN, zone)][-1]


class TestRows:
    def test_dead_tags_under_a_scale_are_on_hand(self) -> None:
        assert inventory(units=12)["on_hand"] > 11.0
        assert inventory(units=12, scales=False)["on_hand"] < 10.5
        assert inventory(units=12, zone="men")["on_hand"] > 11.0

    def test_a_scale_that_agrees_makes_surer(self) -> None:
        assert inventory(units=10)["on_hand"] < inventory(units=10, scales=False)["on_hand"]

    def test_what_is_seen_stays_what_tags_tell(self) -> None:
        assert inventory(units=12)["seen_quantity"] == 10
