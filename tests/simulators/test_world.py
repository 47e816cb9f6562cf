"""The truth: complete, consistent with the floor, and nothing appears or vanishes."""

from collections import Counter
from itertools import pairwise

import pytest

from devices.observations import BusinessEventKind
from simulators.book import Book
from simulators.config import preset
from simulators.day import StoreDay
from simulators.truth import OFF_SITE, TruthLog
from tests.simulators.conftest import RunDay

MINUTE_US = 60_000_000


def world_only(**changes: object) -> StoreDay:
    """Run a store's people for some hours without its radio."""
    day = StoreDay(preset("demo", **{"items": 300, "antennas": 13, **changes}))
    day.world.advance(day.config.end_us - 1)
    return day


@pytest.fixture(scope="module")
def trading_day() -> StoreDay:
    return world_only(hours=6.0, seed=5)


def test_truth_divides_the_day_of_every_item_without_gap_or_overlap(trading_day: StoreDay) -> None:
    config, truth = trading_day.config, trading_day.world.truth
    for item in range(trading_day.goods.count):
        stays = list(truth.stays(item, config.end_us))
        assert stays[0].from_us == config.start_us
        assert stays[-1].until_us == config.end_us
        assert all(a.until_us == b.from_us for a, b in pairwise(stays))
        assert all(stay.from_us < stay.until_us for stay in stays)


def test_every_place_lies_in_the_zone_beside_it(trading_day: StoreDay) -> None:
    rectangles = trading_day.plan.layout.rectangles
    for item in range(trading_day.goods.count):
        for stay in trading_day.world.truth.stays(item, trading_day.config.end_us):
            if stay.zone != OFF_SITE:
                r = rectangles[stay.zone]
                assert r.x0 - 0.01 <= stay.x <= r.x1 + 0.01
                assert r.y0 - 0.01 <= stay.y <= r.y1 + 0.01


def test_items_only_pass_between_zones_that_have_a_passage(trading_day: StoreDay) -> None:
    for item in range(trading_day.goods.count):
        stays = list(trading_day.world.truth.stays(item, trading_day.config.end_us))
        for a, b in pairwise(stays):
            if OFF_SITE not in (a.zone, b.zone) and a.zone != b.zone:
                assert (a.zone, b.zone) in trading_day.plan.layout.passages


def test_what_came_in_is_what_left_and_what_is_there(trading_day: StoreDay) -> None:
    world = trading_day.world
    on_site = sum(trading_day.truth_counts(trading_day.now_us).values())
    assert sum(world.came.values()) - sum(world.left.values()) == on_site
    assert on_site == len(world.resting) + len(world.carriers)
    assert set(world.resting).isdisjoint(world.carriers)
    assert min(world.left["sold"], world.left["transferred"], world.came["delivered"], world.came["returned"]) > 0
    assert world.came["opening"] == trading_day.config.items


def test_shelves_weigh_what_lies_on_them(trading_day: StoreDay) -> None:
    world = trading_day.world
    for shelf, items in enumerate(world.shelf_items):
        grams = sum(trading_day.plan.products[world.product[item]].unit_grams for item in items)
        assert world.shelf_grams[shelf] == pytest.approx(grams, abs=1e-6)


def test_somebody_misplaces_something_and_staff_refill_shelves(trading_day: StoreDay) -> None:
    world = trading_day.world
    misplaced = [item for item in world.strays if world.zone_of(item) != OFF_SITE]
    assert misplaced
    assert all(item in world.resting for item in misplaced)


@pytest.mark.slow
def test_the_book_adds_up_to_its_events_and_drifts_from_the_truth() -> None:
    day = world_only(hours=6.0, seed=6)
    opening = day.book(day.config.start_us)
    sums = Counter(opening)
    sign = {"receipt": 1, "return": 1, "adjustment": 1, "sale": -1, "transfer_out": -1, "transfer_in": 1}
    records = day.world.book.drain()
    for record in records:
        sums[record.gtin] += sign.get(record.kind.value, 0) * record.quantity
    assert dict(sums) == day.book(day.now_us)
    assert len({record.event_id for record in records}) == len(records)
    assert {record.kind for record in records} >= {
        BusinessEventKind.BOOK_STOCK,
        BusinessEventKind.EXPECTED,
        BusinessEventKind.RECEIPT,
        BusinessEventKind.SALE,
        BusinessEventKind.RETURN,
        BusinessEventKind.TRANSFER_OUT,
    }
    assert day.book(day.now_us) != day.truth_counts(day.now_us)


@pytest.mark.slow
def test_theft_leaves_the_book_overstated() -> None:
    config = preset("demo", items=300, antennas=13, hours=4.0)
    thieves = config.shoppers.__class__(per_hour=60.0, theft_share=1.0, till_misscan_share=0.0, returns_per_hour=0.0)
    honest = config.staff.__class__(
        unbooked_theft_mean=0.0, unbooked_receipt_mean=0.0, receipt_error_share=0.0, counts_per_day=0
    )
    day = world_only(hours=4.0, shoppers=thieves, staff=honest, deliveries=0)
    book, truth = day.book(day.now_us), day.truth_counts(day.now_us)
    assert day.world.left["stolen"] > 20
    assert sum(book.values()) - sum(truth.values()) == day.world.left["stolen"]


def test_a_stray_on_a_scale_weighs_too() -> None:
    day = StoreDay(preset("tiny"))
    world = day.world
    world.advance(day.config.start_us)
    scale = next(n for n, shelf in enumerate(day.site.shelves) if shelf.profile == "weight")
    stray = world.back_stock[(day.plan.shelf_products[scale] + 1) % len(day.plan.products)].pop()
    before = world.shelf_grams[scale]
    world.shelve(stray, scale)
    assert world.shelf_grams[scale] - before == day.plan.products[world.product[stray]].unit_grams
    assert stray in world.strays


def test_a_hand_on_a_scale_shows_and_goes(tiny: RunDay) -> None:
    day = StoreDay(tiny.day.config)
    world, scales = day.world, day._scales
    number, shelf = next((n, shelf) for n, shelf in enumerate(day.site.shelves) if shelf.profile == "weight")

    def weighed(at_us: int) -> float:
        return next(float(one.payload) for one in scales.weigh(world, at_us) if one.topic == shelf.mqtt_topic)

    start_us = day.config.start_us
    free = weighed(start_us)
    world.hands[number] = (start_us + 3_000_000, 2_000.0)
    assert weighed(start_us + 1_000_000) - free > 0.9
    assert abs(weighed(start_us + 4_000_000) - free) < 0.03


def test_truth_answers_between_its_rows() -> None:
    log = TruthLog(1, 0)
    log.record(0, 10, 3, 1.0, 2.0)
    log.record(0, 20, OFF_SITE, 0.0, 0.0)
    assert [log.zone_at(0, at) for at in (0, 9, 10, 19, 20, 99)] == [OFF_SITE, OFF_SITE, 3, 3, OFF_SITE, OFF_SITE]


def test_the_book_answers_at_past_times() -> None:
    book = Book(["09506000134352"], [5], 0)
    book.post("till", BusinessEventKind.SALE, 0, 2, 100)
    book.post("erp", BusinessEventKind.BOOK_STOCK, 0, 3, 150)
    assert [book.quantity(0, at) for at in (0, 99, 100, 200)] == [5, 5, 3, 3]
