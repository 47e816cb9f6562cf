"""Worked examples of the inventory step: the book, what is seen, what fell silent and why, exceptions; step laws."""

import dataclasses
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.pipeline import SitePipeline
from analytics.steps.inventory import InventoryStep
from analytics.steps.inventory_book import BOOK_LIMIT
from analytics.steps.shelf import ShelfStep
from analytics.steps.silent_items import AT_EXIT, BIN_COUNT, ELSEWHERE, FIRST_BIN_US, Silence, SilenceHistory, bin_of
from analytics.steps.state_bytes import StateVersionError
from devices.epc import encode_grai96, encode_sgtin96, encode_sscc96
from devices.site.model import Shelf, Site, Zone, ZoneKind
from tests.analytics.chunk_building import Sayings
from tests.analytics.step_laws import LAWS, check_pipeline, cut_points, run_pipeline
from tests.analytics.told_stays import Told, ToldStays, rows_of

GTIN, OTHER = "09506000134352", "09506000134369"
A, B, C = (encode_sgtin96(GTIN, serial, 7) for serial in (1, 2, 3))
D = encode_sgtin96(OTHER, 1, 7)
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
KINDS = {"men": ZoneKind.SALES_FLOOR, "kids": ZoneKind.SALES_FLOOR, "till": ZoneKind.POINT_OF_SALE}
KINDS |= {"exit": ZoneKind.EXIT, "back": ZoneKind.BACK_ROOM}
MEN, KIDS, TILL, EXIT, BACK = range(5)
SITE = Site(
    id="s",
    zones=tuple(Zone(id=name, kind=kind, polygon=BOX) for name, kind in KINDS.items()),
    shelves=(Shelf(id="rail", zone="men", gtin=GTIN),),
)
STEPS = (ToldStays, InventoryStep)


def run(told: Told) -> dict[str, Any]:
    return dict(run_pipeline(SITE, [step() for step in STEPS], [told.chunk()]))


def last(told: Told, gtin: str | None = GTIN, zone: str | None = None) -> dict[str, Any]:
    rows = [row for row in rows_of(run(told), "inventory") if (row["gtin"], row["zone"]) == (gtin, zone)]
    return rows[-1]


def alerts(told: Told, alert: str) -> list[str]:
    return [row["subject"] for row in rows_of(run(told), "alerts") if row["alert"] == alert]


def three(minute: float = 1.0) -> Told:
    """Three items on their rail."""
    return Told().goes(minute, A, MEN).goes(minute, B, MEN).goes(minute, C, MEN)


class TestBook:
    def test_arithmetic(self) -> None:
        told = Told().goes(0.5, D, MEN).business(1, "book_stock", 40, gtin=GTIN).business(2, "receipt", 12, gtin=GTIN)
        told.business(3, "sale", 2, gtin=GTIN).business(4, "return", 1, gtin=GTIN).business(
            5, "transfer_in", 3, gtin=GTIN
        )
        told.business(6, "transfer_out", 5, gtin=GTIN).business(7, "adjustment", -4, gtin=GTIN)
        assert last(told.until(16))["book_quantity"] == 40 + 12 - 2 + 1 + 3 - 5 - 4

    def test_an_announced_delivery_does_not_touch_it(self) -> None:
        told = three().business(2, "expected", 99, gtin=GTIN)
        assert last(told.until(16))["book_quantity"] is None
        assert last(told.business(17, "receipt", 3, gtin=GTIN).until(31))["book_quantity"] == 3

    def test_book_stock_sets_it_anew(self) -> None:
        told = Told().goes(0.5, D, MEN).business(1, "receipt", 12, gtin=GTIN).business(2, "book_stock", 7, gtin=GTIN)
        assert last(told.until(16))["book_quantity"] == 7

    def test_an_event_that_names_only_an_epc_counts_for_its_gtin(self) -> None:
        told = three().business(2, "book_stock", 3, gtin=GTIN).business(3, "sale", epc_hex=A)
        assert last(told.until(16))["book_quantity"] == 2

    def test_a_gtin_without_tags_is_estimated_by_its_book_and_has_no_accuracy(self) -> None:
        row = last(Told().goes(0.5, A, MEN).business(1, "book_stock", 8, gtin=OTHER).until(16), OTHER)
        assert row["on_hand"] == pytest.approx(8.0, abs=0.2)
        assert (row["on_hand_low"], row["on_hand_high"], row["accuracy"]) == (6.0, 10.0, None)

    def test_what_scales_count_of_it_is_there_whatever_the_book_says(self) -> None:
        shelf = Shelf(id="bin", zone="men", gtin=OTHER, unit_grams=100.0, profile="weight", mqtt_topic="bin")
        site = dataclasses.replace(SITE, shelves=(shelf,))
        told = Told().goes(0.5, A, MEN).business(1, "book_stock", 3, gtin=OTHER)
        for second in range(60, 70):
            told.reading(second, 0.7, second, source="bin")
        tables = run_pipeline(site, [ToldStays(), ShelfStep(), InventoryStep()], [told.until(16).chunk()])
        row = [row for row in rows_of(dict(tables), "inventory") if row["gtin"] == OTHER][-1]
        assert row["on_hand_low"] >= 7.0
        assert row["on_hand"] >= 7.0


class TestSeen:
    def test_rows_of_site_gtin_and_zone_agree(self) -> None:
        told = three().goes(2, C, BACK).goes(2, D, KIDS).until(16)
        assert last(told)["seen_quantity"] == 3
        assert last(told, zone="men")["seen_quantity"] == 2
        assert last(told, zone="back")["seen_quantity"] == 1
        assert last(told, None)["seen_quantity"] == 4
        assert last(told)["on_hand"] == pytest.approx(3, abs=0.1)
        assert last(told, zone="men")["on_hand"] == pytest.approx(2, abs=0.25)  # each is there with 0.9

    def test_a_carton_is_no_stock(self) -> None:
        carton, pallet = encode_sscc96("095060001343520000", 7), encode_grai96("09506000134376", 5, 7)
        told = three().goes(1, carton, BACK).goes(1, pallet, BACK).until(31)
        assert last(told, None)["seen_quantity"] == 3

    def test_a_sale_that_names_its_epc_takes_the_item_off_and_a_return_brings_it_back(self) -> None:
        told = three().business(2, "sale", epc_hex=A, gtin=GTIN).until(16)
        assert last(told)["seen_quantity"] == 2
        assert last(told.business(17, "return", epc_hex=A, gtin=GTIN).until(31))["seen_quantity"] == 3

    def test_a_sold_item_that_falls_silent_and_comes_back_is_still_sold(self) -> None:
        told = three().business(2, "sale", epc_hex=A, gtin=GTIN).silent(3, A, 10).goes(14, A, EXIT).until(16)
        assert last(told)["seen_quantity"] == 2
        assert last(told)["on_hand"] == pytest.approx(2, abs=0.1)

    def test_no_rows_where_nothing_happened(self) -> None:
        assert len({row["as_of_time"] for row in rows_of(run(three().until(16).until(120)), "inventory")}) == 1


def expected_hidden(told: Told) -> float:
    row = last(told)
    return float(row["on_hand"]) - float(row["seen_quantity"])


def test_what_was_never_here_is_no_stock_and_not_hidden() -> None:
    told = three().goes(1, D, EXIT).taken_back(2, A).taken_back(2, D).until(16)
    assert last(told)["seen_quantity"] == 2
    assert expected_hidden(told) < 0.1
    assert not alerts(told.until(31), "exit_without_sale")


class TestSilent:
    def test_an_item_that_nothing_explains_may_still_be_there(self) -> None:
        told = three().silent(2, A, 10).until(16)
        assert last(told)["seen_quantity"] == 2
        assert 0.4 < expected_hidden(told) < 0.8
        assert (last(told)["on_hand_low"], last(told)["on_hand_high"]) == (2.0, 3.0)

    def test_the_longer_the_less_likely_and_nothing_after_a_day(self) -> None:
        told = three().silent(2, A, 10)
        shares = [expected_hidden(told.goes(minute, D, MEN).until(minute + 15)) for minute in (15, 120, 600, 1500)]
        assert shares == sorted(shares, reverse=True)
        assert shares[-2] > shares[-1] == pytest.approx(0.0, abs=0.1)

    def test_a_sale_explains_an_item_that_fell_silent_before(self) -> None:
        told = three().silent(2, A, 10).business(13, "sale", gtin=GTIN).until(16)
        assert expected_hidden(told) == pytest.approx(0.0, abs=0.1)

    def test_a_sale_explains_one_that_is_found_silent_after(self) -> None:
        told = three().business(2, "sale", gtin=GTIN).silent(3, A, 10).until(16)
        assert expected_hidden(told) == pytest.approx(0.0, abs=0.1)
        assert last(told)["seen_quantity"] == 2

    def test_until_then_one_located_unit_is_on_its_way_out(self) -> None:
        told = three().business(12, "sale", gtin=GTIN).until(16)
        assert last(told)["seen_quantity"] == 3
        assert last(told)["on_hand"] == pytest.approx(2, abs=0.15)

    def test_for_as_long_as_silences_take_to_be_noticed(self) -> None:
        told = three().business(12, "sale", gtin=GTIN).goes(84, A, BACK).until(91)
        assert last(told)["on_hand"] == pytest.approx(3, abs=0.15)

    def test_the_nearest_in_time_is_taken(self) -> None:
        told = three().silent(2, A, 10).silent(30, B, 10).business(41, "sale", gtin=GTIN).until(46)
        once_more = told.goes(47, A, MEN).until(61)  # A was not the one that was sold
        assert last(once_more)["seen_quantity"] == 2
        assert expected_hidden(once_more) == pytest.approx(0.0, abs=0.1)

    def test_a_sale_of_two_explains_two_and_no_third(self) -> None:
        told = three().silent(2, A, 10).silent(2.5, B, 10).business(13, "sale", 2, gtin=GTIN).until(16)
        assert expected_hidden(told) == pytest.approx(0.0, abs=0.1)
        assert expected_hidden(told.silent(16, C, 10).until(31)) > 0.1

    def test_a_sale_of_another_gtin_explains_nothing(self) -> None:
        assert expected_hidden(three().silent(2, A, 10).business(13, "sale", gtin=OTHER).until(16)) > 0.2

    def test_a_sale_beyond_the_window_takes_what_is_hidden_only_when_it_expires(self) -> None:
        told = three().silent(2, A, 10).business(150, "sale", gtin=GTIN).until(166)
        assert last(told)["on_hand"] < 2  # one located unit is taken to be on its way out
        told.until(280)
        assert expected_hidden(told) == pytest.approx(0.0, abs=0.1)

    def test_an_item_that_is_located_again_is_stock_and_its_sale_waits_for_another(self) -> None:
        told = three().silent(2, A, 10).business(13, "sale", gtin=GTIN).goes(14, A, MEN).until(16)
        assert last(told)["seen_quantity"] == 3
        assert last(told)["on_hand"] == pytest.approx(2, abs=0.15)
        assert expected_hidden(told.silent(17, B, 10).until(31)) == pytest.approx(0.0, abs=0.1)

    def test_where_items_come_back_that_a_sale_explained_the_next_one_may_be_there(self) -> None:
        told, sold = three(), 92.0
        before = last(three().silent(sold, C, 10).business(sold + 1, "sale", gtin=GTIN).until(121))["on_hand"]
        for minute in (2, 32, 62):  # each time the sale was of a unit that nobody has missed yet
            told.silent(minute, A, 10).business(minute + 1, "sale", gtin=GTIN).goes(minute + 14, A, MEN)
            told.business(minute + 14.5, "return", epc_hex=A, gtin=GTIN)
        after = last(told.silent(sold, C, 10).business(sold + 1, "sale", gtin=GTIN).until(121))["on_hand"]
        assert after > before + 0.03

    def test_an_item_that_a_return_names_ends_its_own_sale(self) -> None:
        told = three().silent(2, A, 10).business(13, "sale", gtin=GTIN)
        told.business(14, "return", epc_hex=A, gtin=GTIN).goes(14.5, A, MEN).until(16)
        assert last(told)["on_hand"] == pytest.approx(3, abs=0.15)
        never_silent = three().business(13, "sale", gtin=GTIN).business(14, "return", epc_hex=A, gtin=GTIN).until(16)
        assert last(never_silent)["on_hand"] == pytest.approx(3, abs=0.15)

    def test_transfers_out_explain_as_sales_do(self) -> None:
        told = three().silent(2, A, 10).business(3, "transfer_out", 2, gtin=GTIN).silent(4, B, 10).until(16)
        assert last(told)["seen_quantity"] == 1
        assert expected_hidden(told) == pytest.approx(0.0, abs=0.1)

    def test_a_negative_adjustment_explains_the_longest_hidden_and_does_not_wait(self) -> None:
        told = three().silent(2, A, 10).silent(3, B, 10).business(14, "adjustment", -1, gtin=GTIN).until(16)
        assert 0.4 < expected_hidden(told) < 0.8
        told = three().business(2, "adjustment", -1, gtin=GTIN).silent(3, A, 10).until(16)
        assert expected_hidden(told) > 0.2

    def test_returns_of_items_make_the_next_silence_likelier_to_be_nothing(self) -> None:
        told = three()
        before = expected_hidden(three().silent(92, C, 10).until(106))
        for minute in (2, 32, 62):
            told.silent(minute, A, 10).goes(minute + 14, A, MEN)
        assert expected_hidden(told.silent(92, C, 10).until(106)) > before + 0.1


class TestExits:
    def leaving(self) -> Told:
        return three().goes(2, A, EXIT).silent(2.5, A, 0.5)

    def test_an_exit_without_sale_is_told_after_the_grace(self) -> None:
        assert alerts(self.leaving().until(7), "exit_without_sale") == []
        assert alerts(self.leaving().until(8), "exit_without_sale") == [A]

    @pytest.mark.parametrize(
        ("minute", "columns", "told"),
        [
            (2.1, {"gtin": GTIN}, 0),
            (6.0, {"gtin": GTIN}, 0),  # told late, within the grace
            (9.0, {"gtin": GTIN}, 1),  # too late
            (2.1, {"gtin": OTHER}, 1),
            (2.1, {"epc_hex": A}, 0),
            (6.0, {"epc_hex": A}, 0),
            (2.1, {"epc_hex": B}, 1),
        ],
    )
    def test_a_sale_excuses_it(self, minute: float, columns: dict[str, Any], told: int) -> None:
        story = three()
        if minute < 2.5:
            story.business(minute - 0.5, "sale", **columns)
        story.goes(2, A, EXIT).silent(2.5, A, 0.5)
        if minute > 2.5:
            story.business(minute, "sale", **columns)
        assert len(alerts(story.until(20), "exit_without_sale")) == told

    def test_one_sale_excuses_one_item(self) -> None:
        told = three().business(1.5, "sale", gtin=GTIN).goes(2, A, EXIT).goes(2, B, EXIT).silent(2.5, A).silent(2.6, B)
        assert alerts(told.until(20), "exit_without_sale") == [B]

    def test_a_sale_excuses_for_two_hours(self) -> None:
        for minute, found in ((120, []), (122, [A])):
            told = three().business(1.5, "sale", gtin=GTIN).goes(minute, A, EXIT).silent(minute + 1, A)
            assert alerts(told.until(minute + 20), "exit_without_sale") == found

    def test_an_item_that_is_back_has_not_left(self) -> None:
        assert alerts(self.leaving().goes(4, A, MEN).until(20), "exit_without_sale") == []

    def test_going_on_from_an_exit_zone_is_not_leaving(self) -> None:
        assert alerts(three().goes(2, A, EXIT).goes(3, A, MEN).until(20), "exit_without_sale") == []


class TestMisplaced:
    def test_after_five_minutes_on_a_floor_zone_without_its_shelf(self) -> None:
        told = Told().goes(1, A, KIDS)
        assert alerts(told.until(5), "misplaced") == []
        assert alerts(told.until(7), "misplaced") == [A]
        assert last(told.until(16))["misplaced_quantity"] == 1
        assert last(told, zone="kids")["misplaced_quantity"] == 1

    @pytest.mark.parametrize("place", [MEN, TILL, BACK])
    def test_not_at_home_and_not_on_the_way(self, place: int) -> None:
        told = Told().goes(1, A, place).until(16)
        assert alerts(told, "misplaced") == []
        assert last(told)["misplaced_quantity"] == 0

    def test_not_where_it_was_carried_on_or_sold_or_has_no_home(self) -> None:
        assert alerts(Told().goes(1, A, KIDS).goes(4, A, MEN).until(16), "misplaced") == []
        assert alerts(Told().goes(1, A, KIDS).business(3, "sale", epc_hex=A).until(16), "misplaced") == []
        assert alerts(Told().goes(1, D, KIDS).until(16), "misplaced") == []


class TestHistory:
    def test_bins_double(self) -> None:
        assert [bin_of(FIRST_BIN_US * n) for n in (0, 1, 2, 3, 4, 7, 8, 10**9)] == [0, 0, 1, 1, 2, 2, 3, BIN_COUNT - 1]

    def test_many_that_never_come_back_are_gone_and_those_that_do_are_not(self) -> None:
        """Of 300 silences watched for three hours, none returned, or two in three; one hour later."""
        shares = []
        for returned in (0, 2):
            history = SilenceHistory()
            for number in range(300):
                back = number % 3 < returned
                age_us = (FIRST_BIN_US << (5 + number % 4)) if back else 10_800_000_000
                history.end(Silence(0, FIRST_BIN_US, False), age_us, returned=back)
            shares.append(history.chances([], 0, ELSEWHERE).still_there(3_600_000_000))
        assert shares[0] < 0.1
        assert shares[1] > 0.3

    def test_a_dead_corner_is_not_an_empty_one(self) -> None:
        """A share that never comes back among silences that mostly do is more likely gone than a slow return."""
        history = SilenceHistory()
        for number in range(200):
            back = number % 2 == 0
            history.end(Silence(0, FIRST_BIN_US, False), FIRST_BIN_US << (2 if back else 11), returned=back)
        chances = history.chances([], 0, ELSEWHERE)
        assert chances.still_there(FIRST_BIN_US) > 0.4
        assert chances.still_there(FIRST_BIN_US << 11) < 0.2

    def test_a_counting_pass_that_misses_it_speaks_against(self) -> None:
        chances = SilenceHistory().chances([], 0, ELSEWHERE)
        before = chances.still_there(10**9)
        assert chances.still_there(10**9, [0.9]) == pytest.approx(0.1 * before / (0.1 * before + 1 - before))
        assert chances.still_there(10**9, [0.9, 0.9]) < chances.still_there(10**9, [0.9])

    def test_exits_are_for_leaving(self) -> None:
        history = SilenceHistory()
        inside, exits = (history.chances([], 0, kind).still_there(6 * 10**8) for kind in (ELSEWHERE, AT_EXIT))
        assert (exits < 0.2, inside > 0.5) == (True, True)

    def test_silences_that_go_on_count_against(self) -> None:
        ongoing = [Silence(0, FIRST_BIN_US, False)] * 20
        history = SilenceHistory()
        age_us = 20 * FIRST_BIN_US
        alone = history.chances([], age_us, ELSEWHERE).still_there(age_us)
        assert history.chances(ongoing, age_us, ELSEWHERE).still_there(age_us) < alone

    @given(
        st.lists(st.tuples(st.integers(0, 10**11), st.integers(0, 10**11), st.booleans()), max_size=30),
        st.lists(st.integers(0, 2 * 10**11), min_size=2, max_size=10),
    )
    def test_a_probability_that_falls_with_age(self, ended: list[tuple[int, int, bool]], ages: list[int]) -> None:
        history = SilenceHistory()
        for known, more, returned in ended:
            history.end(Silence(0, known, True), known + more, returned=returned)
        found = [history.chances([], 0, AT_EXIT).still_there(age) for age in sorted(ages)]
        assert all(0.0 <= p <= 1.0 for p in found)
        assert all(a >= b - 1e-12 for a, b in itertools.pairwise(found))


def test_a_receipt_is_of_the_announcement_whose_document_it_names() -> None:
    """Two announcements of a GTIN: the second is booked first, as announced; five of its six units are heard."""
    told = three()
    for document, units in (("ASN-1", 9), ("ASN-2", 6)):
        told.business(2, "expected", units, gtin=GTIN, business_transaction=document)
    found = [encode_sgtin96(GTIN, serial, 7) for serial in range(20, 25)]
    for number, epc in enumerate(found):
        told.goes(20 + number / 10, epc, BACK)
    told.business(22, "receipt", 6, gtin=GTIN, business_transaction="ASN-2").until(106)
    assert last(told)["on_hand"] == pytest.approx(3 + 5 + 1, abs=0.35)
    assert last(told)["on_hand_high"] <= 10


def test_a_state_of_another_version_is_refused() -> None:
    old = msgspec.msgpack.encode({"version": 1, "hidden": {A: [GTIN, 5]}})
    with pytest.raises(StateVersionError):
        InventoryStep().load(old, SITE)


def stories(draw: st.DrawFn) -> Told:
    """Items that wander, fall silent and come back; sales, returns, transfers, adjustments, with and without EPC."""
    told, now = Told(), 1.0
    for _ in range(draw(st.integers(1, 50))):
        now += draw(st.sampled_from([0.0, 0.01, 0.5, 6.0, 12.0, 130.0, 1500.0]))
        epc = draw(st.sampled_from([A, B, C, D, "FFFF"]))
        what = draw(
            st.sampled_from(["goes", "goes", "silent", "silent", "sale", "return", "transfer_out", "adjustment"])
        )
        if what == "goes":
            told.goes(now, epc, draw(st.integers(0, len(KINDS) - 1)))
        elif what == "silent":
            told.silent(now, epc, draw(st.sampled_from([0.0, 0.5, 10.0])))
        else:
            named = draw(st.sampled_from([{"epc_hex": epc}, {"gtin": GTIN}, {"gtin": GTIN}]))
            quantity = -1 if what == "adjustment" else 1 if "epc_hex" in named else draw(st.integers(0, 3))
            told.business(now, what, quantity, **named)
    return told.until(now + draw(st.sampled_from([0.0, 20.0, 1500.0])))


@pytest.mark.slow
@LAWS
@given(data=st.data())
def test_laws(data: st.DataObject) -> None:
    chunk = data.draw(st.composite(stories)()).chunk()
    tables = check_pipeline(SITE, [step() for step in STEPS], chunk, data.draw(cut_points(chunk)))
    for row in rows_of(dict(tables), "inventory"):
        assert 0.0 <= row["on_hand_low"] <= row["on_hand"] + 1e-9
        assert row["on_hand"] <= row["on_hand_high"] + 1e-9
        assert row["seen_quantity"] >= 0


def test_a_sale_of_more_units_than_there_are_in_the_world_takes_no_longer_than_any_other() -> None:
    """A bound on what waits, and on the book: before, each unit of it was counted one by one."""
    site = Site(id="s")
    said = Sayings().read(0.0, 0.0)
    for number in range(3):
        said.business_event(1.0 + number, f"{number}", gtin="09506000134352", quantity=2**62)
    pipeline = SitePipeline(site, [InventoryStep()])
    outputs = pipeline.process(said.read(4_000.0, 4_000.0, epc_hex="31").chunk())
    assert outputs["inventory"]["book_quantity"].to_pylist()[-1] == -BOOK_LIMIT


def test_years_without_events_pass_at_once() -> None:
    said = Sayings().business_event(0.0, "a", -50 * 365 * 86_400.0, gtin="09506000134352", event="book_stock")
    outputs = SitePipeline(Site(id="s"), [InventoryStep()]).process(said.read(1.0, 1.0).mark(2_000.0).chunk())
    assert outputs["inventory"].num_rows == 2
