"""Counting passes in the pipeline: recall, totals, what is missing, and what inventory makes of it; step laws."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.steps.counts import CountsStep
from analytics.steps.inventory import InventoryStep
from devices.epc import encode_sgtin96
from devices.site.model import Reader, Site, Zone, ZoneKind
from tests.analytics.step_laws import LAWS, check_pipeline, cut_points, run_pipeline
from tests.analytics.told_stays import Told, ToldStays, rows_of

GTIN = "09506000134352"
EPCS = [encode_sgtin96(GTIN, serial, 7) for serial in range(1, 41)]
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
SITE = Site(
    id="s",
    zones=(
        Zone(id="men", kind=ZoneKind.SALES_FLOOR, polygon=BOX),
        Zone(id="back", kind=ZoneKind.BACK_ROOM, polygon=BOX),
    ),
    readers=(Reader(id="hand", profile="tagtide", mqtt_topic="hand", mobile=True),),
)
MEN, BACK = 0, 1
STEPS = (ToldStays, CountsStep, InventoryStep)


def run(told: Told) -> dict[str, Any]:
    return dict(run_pipeline(SITE, [step() for step in STEPS], [told.chunk()]))


def stocked(zone: int = MEN, count: int = 20) -> Told:
    told = Told()
    for epc in EPCS[:count]:
        told.goes(1, epc, zone)
    return told


def heard(told: Told, minute: float, epcs: list[str], reads: int = 3) -> Told:
    for number, epc in enumerate(epcs):
        at = 60 * minute + number
        told.read(at, at, reader="hand", epc_hex=epc, read_count=reads)
    return told


def whole(told: Told) -> list[dict[str, Any]]:
    return [row for row in rows_of(run(told), "counts") if row["gtin"] is None]


def counted(told: Told) -> dict[str, dict[str, Any]]:
    return {row["epc_hex"]: row for row in rows_of(run(told), "counted")}


def on_hand(told: Told) -> dict[str, Any]:
    return [row for row in rows_of(run(told), "inventory") if row["gtin"] == GTIN and row["zone"] is None][-1]


class TestPasses:
    def test_a_pass_ends_two_minutes_after_its_last_read(self) -> None:
        told = heard(stocked(), 5, EPCS[:10])
        assert whole(told.until(6)) == []
        (row,) = whole(told.until(8))
        assert (row["pass"], row["seen_quantity"], row["passes"]) == (f"hand-{1_763_812_800 + 300}", 10, 1)
        assert (row["as_of_time"] - row["until_time"]).total_seconds() == 120

    def test_fixed_readers_tell_the_recall_of_the_first_pass(self) -> None:
        """15 of 20 located ones are heard, and none besides: nothing else is there."""
        (row,) = whole(heard(stocked(), 5, EPCS[:15]).until(9))
        assert row["recall"] == pytest.approx(0.75, abs=0.02)
        assert row["estimate"] == pytest.approx(20, abs=1)

    def test_what_both_miss_is_estimated(self) -> None:
        """20 located, 30 heard, 15 of them located: at least 20 * 30 / 15 = 40 there."""
        (row,) = whole(heard(stocked(), 5, EPCS[5:35]).until(9))
        assert row["estimate"] == pytest.approx(43, abs=4)
        assert row["estimate_low"] <= 40 <= row["estimate_high"]
        assert row["further_quantity"] > 1

    def test_a_second_pass_of_a_count_counts_with_the_first_and_one_hours_later_does_not(self) -> None:
        told = heard(heard(stocked(), 5, EPCS[:15]), 20, EPCS[3:20])
        assert [row["passes"] for row in whole(told.until(30))] == [1, 2]
        assert [row["passes"] for row in whole(heard(told, 300, EPCS[:10]).until(310))] == [1, 2, 1]

    def test_without_fixed_readers_reads_tell_the_first_pass(self) -> None:
        told = heard(heard(Told(), 5, EPCS[:10], reads=1), 6, EPCS[10:14], reads=2)
        (row,) = whole(told.until(10))
        assert row["estimate"] == pytest.approx(14 + 10 * 9 / (2 * 5))

    def test_no_mobile_reader_no_rows(self) -> None:
        site = Site(id="s", zones=SITE.zones)
        tables = run_pipeline(site, [ToldStays(), CountsStep()], [heard(stocked(), 5, EPCS).until(9).chunk()])
        assert "counts" not in tables


class TestMissing:
    def test_silent_and_not_heard_is_likely_gone_and_located_and_not_heard_is_not(self) -> None:
        told = stocked().silent(2, EPCS[0], 1.0).silent(2, EPCS[1], 1.0)
        found = counted(heard(told, 5, [EPCS[1], *EPCS[3:20]]).until(9))
        assert found[EPCS[0]]["missing_probability"] > 0.6
        assert found[EPCS[2]]["missing_probability"] < 0.2  # its stay is open: fixed readers hear it
        assert found[EPCS[1]]["heard"]

    def test_every_further_pass_makes_it_surer(self) -> None:
        told = heard(stocked().silent(2, EPCS[0], 1.0), 5, EPCS[2:20])
        once = counted(told.until(9))[EPCS[0]]["missing_probability"]
        assert counted(heard(told, 15, EPCS[2:20]).until(20))[EPCS[0]]["missing_probability"] > once

    def test_zones_where_nobody_has_been_miss_nothing(self) -> None:
        told = stocked().goes(1, EPCS[30], BACK).goes(1, EPCS[31], BACK).silent(2, EPCS[30], 1.0)
        assert EPCS[30] not in counted(heard(told, 5, EPCS[:20]).until(9))

    def test_what_was_sold_is_not_missed(self) -> None:
        told = stocked().business(3, "sale", epc_hex=EPCS[0], gtin=GTIN)
        assert EPCS[0] not in counted(heard(told, 5, EPCS[1:20]).until(9))

    def test_what_an_earlier_count_heard_is_expected(self) -> None:
        told = heard(heard(stocked(), 5, EPCS[:25]), 300, EPCS[:24])
        assert counted(told.until(310))[EPCS[24]]["missing_probability"] > 0.5


def listened(told: Told, epcs: list[str], until: float) -> Told:
    """Let a fixed reader hear items every ten seconds, from the second minute on."""
    for at in range(120, round(60 * until), 10):
        for epc in epcs:
            told.read(at, at, epc_hex=epc)
    return told


class TestPresence:
    def test_who_left_before_anybody_has_noticed_is_not_counted(self) -> None:
        told = listened(stocked(), EPCS[:1], 16)
        told = heard(listened(told, EPCS[1:20], 26), 22, EPCS[1:20])
        told.rows["reads"].sort(key=lambda row: row["received_time"])
        for offset, row in enumerate(told.rows["reads"], 1):
            row["edge_offset"] = offset
        assert counted(told.until(28))[EPCS[0]]["missing_probability"] > 0.7
        (row,) = whole(told)
        assert row["estimate"] == pytest.approx(19, abs=0.5)
        assert row["estimate_low"] <= 19 <= row["estimate_high"]

    def test_what_is_sold_after_a_pass_has_heard_it_is_not_counted(self) -> None:
        told = heard(stocked(), 5, EPCS[:20]).business(5.5, "sale", epc_hex=EPCS[0], gtin=GTIN)
        (row,) = whole(told.until(9))
        assert row["estimate"] == pytest.approx(19, abs=0.5)

    def test_what_comes_while_a_pass_goes_on_was_not_there_to_be_heard(self) -> None:
        told = heard(stocked(), 5, EPCS[:20])
        for epc in EPCS[20:30]:
            told.goes(5.2, epc, MEN)
        (row,) = whole(told.until(9))
        assert row["estimate"] == pytest.approx(20, abs=0.5)
        assert row["further_quantity"] == pytest.approx(10, abs=1)


class TestInventory:
    def test_what_only_a_pass_heard_is_there(self) -> None:
        told = heard(stocked(), 5, EPCS[:25])
        row = on_hand(told.until(16))
        assert row["seen_quantity"] == 25
        zones = [row["zone"] for row in rows_of(run(told), "inventory") if row["gtin"] == GTIN]
        assert set(zones) == {None, "men"}
        assert on_hand(told.goes(17, EPCS[24], BACK).until(31))["seen_quantity"] == 25

    def test_a_silent_item_that_a_pass_does_not_hear_counts_for_less(self) -> None:
        silent = stocked().silent(2, EPCS[0], 1.0)
        before = on_hand(silent.until(16))["on_hand"]
        silent = heard(stocked().silent(2, EPCS[0], 1.0), 5, EPCS[1:20])
        assert on_hand(silent.until(16))["on_hand"] < before - 0.3

    def test_what_a_later_pass_does_not_hear_falls_silent(self) -> None:
        told = heard(heard(stocked(), 5, EPCS[:25]), 300, EPCS[:20])
        assert on_hand(told.until(316))["seen_quantity"] == 20


def stories(draw: st.DrawFn) -> Told:
    """Items that come, go, are sold and counted."""
    told, now = stocked(count=8), 2.0
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0.01, 0.2, 1.0, 3.0, 130.0, 1500.0]))
        epc = draw(st.sampled_from(EPCS[:12]))
        what = draw(st.sampled_from(["heard", "heard", "heard", "goes", "silent", "sale", "return"]))
        if what == "heard":
            heard(told, now, [epc])
        elif what == "goes":
            told.goes(now, epc, draw(st.integers(0, 1)))
        elif what == "silent":
            told.silent(now, epc, 0.5)
        else:
            named: dict[str, Any] = draw(st.sampled_from([{"epc_hex": epc, "gtin": GTIN}, {"gtin": GTIN}]))
            told.business(now, what, **named)
    return told.until(now + draw(st.sampled_from([0.0, 20.0])))


@pytest.mark.slow
@LAWS
@given(data=st.data())
def test_laws(data: st.DataObject) -> None:
    chunk = data.draw(st.composite(stories)()).chunk()
    tables = dict(check_pipeline(SITE, [step() for step in STEPS], chunk, data.draw(cut_points(chunk))))
    for row in rows_of(tables, "counts"):
        assert row["estimate_low"] <= row["estimate"] + 1e-6
        assert row["estimate"] <= row["estimate_high"] + 1e-6
    for row in rows_of(tables, "counted"):
        assert 0.0 <= row["missing_probability"] <= 1.0
