"""Worked examples of the aggregation step: what moves together, what parts, who competes; step laws."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.aggregation.levels import PackingLevel, packing_level
from analytics.aggregation.links import MATCH_S, SHARED_RIDE, first_link, probabilities, trip_gain
from analytics.aggregation.state import AggregationState
from analytics.pipeline import SitePipeline
from analytics.steps.aggregation import CLOSE_PROBABILITY, OPEN_PROBABILITY, AggregationStep
from analytics.steps.state_bytes import StateVersionError
from devices.epc import encode_giai96, encode_grai96, encode_sgtin96, encode_sscc96
from devices.site.model import Site, Zone, ZoneKind
from tests.analytics.step_laws import LAWS, check_pipeline, cut_points, run_pipeline
from tests.analytics.told_stays import Told, ToldStays, rows_of

GTIN = "09506000134352"
ITEMS = tuple(encode_sgtin96(GTIN, serial, 7) for serial in range(1, 7))
A, B, C, D, *_ = ITEMS
LOOSE = tuple(encode_sgtin96("09506000134369", serial, 7) for serial in range(1, 10))
CARTON, OTHER = encode_sscc96("095060001343520000", 7), encode_sscc96("195060001343520007", 7)
PALLET = encode_grai96("09506000134376", 5, 7)
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
KINDS = {"dock": ZoneKind.RECEIVING, "back": ZoneKind.BACK_ROOM, "floor": ZoneKind.SALES_FLOOR, "yard": ZoneKind.EXIT}
DOCK, BACK, FLOOR, YARD = range(4)
SITE = Site(id="s", zones=tuple(Zone(id=name, kind=kind, polygon=BOX) for name, kind in KINDS.items()))
STEPS = (ToldStays, AggregationStep)


def run(told: Told) -> list[dict[str, Any]]:
    return rows_of(dict(run_pipeline(SITE, [step() for step in STEPS], [told.chunk()])), "aggregations")


def last(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The last row of each parent and child."""
    return {(row["parent_epc_hex"], row["child_epc_hex"]): row for row in rows}


def settled(*epcs: str, zone: int = DOCK) -> Told:
    """Things that have been in one zone since the site began, and loose goods beside them."""
    told = Told()
    for place, epc in enumerate((*epcs, *LOOSE)):
        told.goes(0.01 * place, epc, zone)
    return told


def together(told: Told, minute: float, zone: int, *epcs: str) -> Told:
    """Move things within seconds of each other."""
    for place, epc in enumerate(epcs):
        told.goes(minute + 0.05 * place, epc, zone)
    return told


class TestLevels:
    @pytest.mark.parametrize(
        ("epc", "level"),
        [
            (A, PackingLevel.ITEM),
            (encode_sgtin96(GTIN, 1, 7, filter_value=4), PackingLevel.INNER_PACK),
            (encode_sgtin96(GTIN, 1, 7, filter_value=2), PackingLevel.CASE),
            (CARTON, PackingLevel.LOGISTIC_UNIT),
            (PALLET, PackingLevel.CARRIER),
            (encode_giai96("950600012", 7), PackingLevel.CARRIER),
            (encode_sgtin96(GTIN, 1, 7, filter_value=6), PackingLevel.CARRIER),
            ("30CC", PackingLevel.ITEM),
            ("E28011700000020F1C8A0C1D", PackingLevel.ITEM),
        ],
    )
    def test_of_a_code(self, epc: str, level: PackingLevel) -> None:
        assert packing_level(epc) == level


class TestLinks:
    def test_a_trip_never_proves_more_than_shared_rides_allow(self) -> None:
        assert trip_gain(0.0, 0.0, same_origin=True) == pytest.approx(-math.log(SHARED_RIDE))

    def test_a_busy_zone_proves_less(self) -> None:
        gains = [trip_gain(2.0, background, same_origin=True) for background in (0.0001, 0.01, 0.2)]
        assert gains == sorted(gains, reverse=True)
        assert gains[-1] < 0

    def test_a_late_comer_proves_less(self) -> None:
        assert trip_gain(MATCH_S, 0.001, same_origin=True) < trip_gain(2.0, 0.001, same_origin=True)

    def test_one_trip_counts_once(self) -> None:
        link = first_link(0, 1.0)
        before = link.log_odds
        link.travel(30_000_000, 0.5)
        assert (link.trips, link.log_odds) == (1, before)
        link.travel(31_000_000, 1.5)
        assert (link.trips, link.log_odds) == (1, before + 0.5)
        link.travel(200_000_000, 2.0)
        assert (link.trips, link.log_odds) == (2, before + 2.5)

    def test_being_apart_wears_a_link_out(self) -> None:
        link = first_link(0, 2.0)
        link.apart_us = 10_000_000
        weights = [link.weight(10_000_000 + seconds * 1_000_000, 0.9) for seconds in (0, 30, 60, 3600)]
        assert weights == sorted(weights, reverse=True)
        assert weights[-1] < 1e-12

    def test_candidates_share_what_is_likely(self) -> None:
        assert probabilities([4.0, 4.0]) == [pytest.approx(4 / 9)] * 2
        assert probabilities([]) == []


class TestContainment:
    def test_what_travels_with_a_carton_is_in_it(self) -> None:
        told = together(settled(CARTON, A, B), 10, BACK, CARTON, A, B).until(12)
        rows = run(told)
        assert [(row["parent_epc_hex"], row["child_epc_hex"], row["revision"]) for row in rows] == [
            (CARTON, A, 0),
            (CARTON, B, 0),
        ]
        assert all(row["confidence"] >= OPEN_PROBABILITY and row["until_time"] is None for row in rows)
        assert rows[0]["child_gtin"] == GTIN
        assert rows[0]["parent_epc_uri"].startswith("urn:epc:id:sscc:")
        assert rows[0]["from_time"] < rows[0]["as_of_time"]
        assert json.loads(rows[0]["evidence"])["trips"] == 1

    def test_lying_beside_it_proves_nothing(self) -> None:
        told = settled(CARTON, A, B).until(300)
        assert run(told) == []

    def test_what_appears_when_the_site_begins_proves_nothing(self) -> None:
        assert run(together(Told(), 0.1, DOCK, CARTON, A, B).until(30)) == []

    def test_a_second_trip_makes_surer(self) -> None:
        told = together(settled(CARTON, A), 10, BACK, CARTON, A)
        rows = run(together(told, 20, FLOOR, A, CARTON).until(22))
        assert [row["revision"] for row in rows] == [0, 1]
        assert rows[1]["confidence"] > rows[0]["confidence"]
        assert rows[1]["from_time"] == rows[0]["from_time"]

    def test_what_stays_behind_was_taken_out(self) -> None:
        told = together(settled(CARTON, A, B), 10, BACK, CARTON, A, B)
        found = last(run(together(told, 20, FLOOR, CARTON, A).until(25)))
        assert found[CARTON, A]["until_time"] is None
        ended = found[CARTON, B]
        assert ended["confidence"] <= CLOSE_PROBABILITY
        assert (ended["until_time"] - ended["from_time"]).total_seconds() == pytest.approx(600, abs=5)
        assert (ended["as_of_time"] - ended["until_time"]).total_seconds() < 180
        assert json.loads(ended["evidence"])["ended"] == "apart"

    def test_what_goes_by_itself_was_taken_out(self) -> None:
        told = together(settled(CARTON, A, B), 10, BACK, CARTON, A, B).goes(20, B, FLOOR).until(25)
        assert [key for key, row in last(run(told)).items() if row["until_time"] is None] == [(CARTON, A)]

    def test_a_short_absence_is_an_error_of_location(self) -> None:
        told = together(settled(CARTON, A, B), 10, BACK, CARTON, A, B).goes(20, B, FLOOR).goes(20.3, B, BACK).until(30)
        assert all(row["until_time"] is None for row in run(told))

    def test_cartons_of_one_load_share_what_is_in_them_until_they_part(self) -> None:
        told = together(settled(CARTON, OTHER, A, B), 10, BACK, CARTON, OTHER, A, B).until(12)
        assert run(told) == []
        together(told, 20, FLOOR, CARTON, A)
        found = last(run(together(told, 30, FLOOR, OTHER, B).until(35)))
        assert sorted(found) == sorted([(CARTON, A), (OTHER, B)])

    def test_on_a_pallet_there_are_cartons_and_what_is_in_them(self) -> None:
        told = together(settled(PALLET, CARTON, OTHER, A, B), 10, BACK, PALLET, CARTON, OTHER, A, B)
        together(told, 20, DOCK, PALLET, CARTON, OTHER, A, B)
        found = last(run(together(told, 40, FLOOR, CARTON, A).until(45)))
        still = {key for key, row in found.items() if row["until_time"] is None}
        assert still == {(CARTON, A), (PALLET, OTHER), (PALLET, B), (OTHER, B)}  # B in the carton that is left
        assert found[PALLET, CARTON]["until_time"] is not None

    def test_what_lies_elsewhere_is_not_in_a_unit_that_has_left(self) -> None:
        told = together(settled(CARTON, A), 10, BACK, CARTON, A).goes(20, CARTON, DOCK).silent(20.5, CARTON).until(40)
        found = last(run(told))[CARTON, A]
        assert json.loads(found["evidence"])["ended"] == "apart"
        assert found["until_time"].minute == 20

    def test_a_unit_that_is_silent_for_long_is_gone(self) -> None:
        told = together(settled(CARTON, A), 10, BACK, CARTON, A).silent(20, CARTON, noticed=1).until(30)
        assert last(run(told))[CARTON, A]["until_time"] is None
        found = last(run(told.until(40)))[CARTON, A]
        assert json.loads(found["evidence"])["ended"] == "departed"
        assert found["until_time"].minute == 20

    def test_silence_of_one_changes_nothing_and_that_of_both_ends_it(self) -> None:
        told = together(settled(CARTON, A), 10, BACK, CARTON, A).silent(20, A, noticed=1).until(30)
        assert last(run(told))[CARTON, A]["until_time"] is None
        found = last(run(told.silent(40, CARTON, noticed=1).until(45)))[CARTON, A]
        assert json.loads(found["evidence"])["ended"] == "departed"
        assert found["until_time"].minute == 40

    def test_a_busy_zone_says_little(self) -> None:
        told = settled(CARTON, A)
        for place, epc in enumerate(LOOSE):
            told.goes(9.4 + 0.03 * place, epc, BACK)
        assert run(together(told, 10, BACK, CARTON, A).until(12)) == []

    def test_nothing_is_kept_of_what_is_gone(self) -> None:
        told = together(settled(CARTON, A), 10, BACK, CARTON, A)
        for epc in (CARTON, A, *LOOSE):
            told.silent(20, epc)
        told.goes(40, D, DOCK).silent(50, D).until(60)
        pipeline = SitePipeline(SITE, [step() for step in STEPS])
        pipeline.process(told.chunk())
        state: AggregationState = pipeline._jobs[1].state
        assert not state.places
        assert not state.links
        assert not state.children
        assert not state.lately
        assert not state.restless
        assert not state.pending


STORY = together(
    together(together(settled(PALLET, CARTON, OTHER, A, B, C), 10, BACK, PALLET, CARTON, A, B, OTHER, C), 20, FLOOR, A),
    30,
    FLOOR,
    CARTON,
    B,
)
STORY.silent(40, C, noticed=2).goes(41, C, BACK).silent(50, PALLET).until(60)


@LAWS
@given(st.data())
def test_laws(data: st.DataObject) -> None:
    offsets = data.draw(cut_points(STORY.chunk()))
    tables = check_pipeline(SITE, [step() for step in STEPS], STORY.chunk(), offsets)
    assert tables["aggregations"].num_rows > 3


def test_a_state_of_another_version_is_refused() -> None:
    step = AggregationStep()
    state = AggregationState(version=99)
    with pytest.raises(StateVersionError, match="99"):
        step.load(step.dump(state), SITE)
