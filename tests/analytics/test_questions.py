"""Every named question answers a small store as worked out by hand, and an empty one without an error."""

import dataclasses
import datetime as dt
import random
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import analytics
from analytics.lake import Lake
from analytics.query import SHARED_VIEWS, SITE_VIEWS, ask, connect, create_views
from analytics.questions import Question, Subject, find_question, load_questions, parse_question
from analytics.schemas import TABLES
from devices.errors import QuestionError
from devices.site.model import Site, Zone, ZoneKind
from tests.analytics.question_store import (
    GLOVES,
    HAT,
    JEANS,
    SHIRT,
    SITES,
    SOCKS,
    STORE,
    at,
    open_store,
    read,
    stays,
)

QUESTIONS = load_questions()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One way of asking, and some columns of the answer, row by row."""

    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    columns: str
    rows: list[tuple[Any, ...]]


AA01 = "urn:epc:id:sgtin:aa01"
CASES: dict[str, list[Case]] = {
    "where-is": [
        Case(
            parameters={"epc": "aa01"},
            columns="epc_hex epc_uri gtin zone zone_name from_time until_time here_now confidence x_m y_m left_for",
            rows=[
                ("AA01", AA01, SHIRT, "floor.a", "FLOOR.A", at("10:00"), None, True, 0.9, 1.5, 2.5, None),
                ("AA01", AA01, SHIRT, "back", "BACK", at("09:10"), at("10:00"), False, 0.9, 1.5, 2.5, "floor.a"),
                ("AA01", AA01, SHIRT, "dock", "DOCK", at("09:00"), at("09:10"), False, 0.9, 1.5, 2.5, "back"),
            ],
        ),
        Case(
            parameters={"epc": "AA02"},
            columns="zone last_read_time last_reader last_antenna",
            rows=[("back", at("10:50"), "r2", 1), ("dock", at("10:50"), "r2", 1)],
        ),
        Case(  # read, but never located
            parameters={"epc": "EE01"},
            columns="site epc_hex zone here_now last_read_time last_reader last_antenna",
            rows=[("s1", "EE01", None, False, at("11:59:30"), "r1", 2)],
        ),
        Case(  # no antenna reported
            parameters={"epc": "FF01"},
            columns="epc_hex last_reader last_antenna",
            rows=[("FF01", "r2", None)],
        ),
        Case(
            parameters={"epc": SOCKS},
            columns="epc_hex zone",
            rows=[("EE07", "dock"), ("EE06", "exit"), ("EE06", "floor.a"), ("EE05", "back"), ("EE05", "dock")],
        ),
        Case(parameters={"epc": "SGTIN:EE05", "rows": "1"}, columns="epc_hex zone", rows=[("EE05", "back")]),
        Case(parameters={"rows": "2"}, columns="epc_hex zone", rows=[("AA06", "floor.b"), ("AA06", "floor.a")]),
        Case(parameters={"site": "s2"}, columns="epc_hex", rows=[]),
    ],
    "zone-contents": [
        Case(
            columns="zone zone_kind gtin items items_sold first_came_time last_came_time minutes_there_median",
            rows=[
                ("back", "back_room", JEANS, 1, 0, at("08:00"), at("08:00"), 240.0),
                ("back", "back_room", SOCKS, 1, 0, at("08:55"), at("08:55"), 185.0),
                ("back", "back_room", SHIRT, 1, 0, at("09:12"), at("09:12"), 168.0),
                ("dock", "receiving", SOCKS, 1, 0, at("11:45"), at("11:45"), 15.0),
                ("floor.a", "sales_floor", SHIRT, 1, 0, at("10:00"), at("10:00"), 120.0),
                ("floor.a", "sales_floor", None, 1, 0, at("10:00"), at("10:00"), 120.0),
                ("floor.b", "sales_floor", SHIRT, 6, 2, at("11:00"), at("11:58"), 45.0),
                ("floor.b", "sales_floor", JEANS, 1, 0, at("08:00"), at("08:00"), 240.0),
                ("till", "point_of_sale", GLOVES, 1, 0, at("10:00"), at("10:00"), 120.0),
                ("till", "point_of_sale", SHIRT, 1, 1, at("11:49"), at("11:49"), 11.0),
                ("shed", None, HAT, 1, 0, at("10:00"), at("10:00"), 120.0),
            ],
        ),
        Case(
            parameters={"zone": "floor.b"},
            columns="site zone_name gtin confidence_mean",
            rows=[("s1", "FLOOR.B", SHIRT, pytest.approx(5 / 6)), ("s1", "FLOOR.B", JEANS, 0.9)],
        ),
    ],
    "replenish": [
        Case(
            columns="shelf zone gtin units_on_shelf minimum_units capacity_units units_to_fill units_in_back"
            " units_to_bring counted_by since_time",
            rows=[
                # Two shelves share the one pair of jeans that is on the floor, so each has less than its minimum of 2.
                ("b1", "floor.b", JEANS, 0, 2, 8, 8, 1, 1, "tags", None),
                ("b2", "floor.b", JEANS, 0, 2, 8, 8, 1, 1, "tags", None),
                ("e1", "floor.a", SOCKS, 0, 1, None, 1, 2, 1, "tags", None),
                ("g1", "floor.b", GLOVES, 0, 1, 4, 4, 0, 0, "tags", None),
                ("a1", "floor.a", SHIRT, 4, 5, 20, 16, 1, 1, "scale", at("10:30")),
                # a2 holds its minimum. c1 is left out: no hat of this store ever had a tag, and it has no scale.
            ],
        ),
        Case(parameters={"zone": "floor.a", "minimum_share": "1"}, columns="shelf", rows=[("e1",), ("a1",)]),
    ],
    "inventory-accuracy": [
        Case(
            columns="trading_day zone gtin as_of_time book_units accuracy accuracy_mean accuracy_min",
            rows=[
                (dt.date(2026, 11, 20), None, None, at("10:00"), 10, 0.7, pytest.approx(0.8), 0.7),
                (dt.date(2026, 11, 20), None, SHIRT, at("10:00"), 10, 0.5, 0.5, 0.5),
                (dt.date(2026, 11, 20), "floor.a", SHIRT, at("10:00"), None, None, None, None),
                (dt.date(2026, 11, 19), None, None, at("-1 22:30"), 10, 0.8, 0.8, 0.8),
                (dt.date(2026, 11, 20), None, None, at("10:00"), 10, 0.6, 0.6, 0.6),  # s3
            ],
        ),
        Case(
            parameters={"zone": "-", "gtin": "-", "day": "2026-11-19"},
            columns="site seen_units on_hand_units on_hand_low_units on_hand_high_units misplaced_units accuracy",
            rows=[("s1", 7, 7.5, 6.0, 9.0, 1, 0.8)],
        ),
        Case(parameters={"gtin": SHIRT}, columns="zone", rows=[(None,), ("floor.a",)]),
    ],
    "misplaced": [
        Case(
            columns="epc_hex gtin zone zone_name belongs_in since_time minutes_there confidence x_m y_m",
            rows=[
                # AA09 is sold and AA11 transferred; AA10 and AA12 were too, but came back.
                ("AA10", SHIRT, "floor.b", "FLOOR.B", "floor.a", at("11:10"), 50.0, 0.9, 1.5, 2.5),
                ("AA12", SHIRT, "floor.b", "FLOOR.B", "floor.a", at("11:20"), 40.0, 0.9, 1.5, 2.5),
                ("AA05", SHIRT, "floor.b", "FLOOR.B", "floor.a", at("11:30"), 30.0, 0.8, 1.5, 2.5),
            ],
        ),
        Case(
            parameters={"minutes": "2"},
            columns="epc_hex minutes_there",
            rows=[("AA10", 50.0), ("AA12", 40.0), ("AA05", 30.0), ("AA06", 2.0)],
        ),
    ],
    "missing": [
        Case(
            columns="epc_hex gtin last_zone last_zone_kind last_seen_time hours_gone sales_without_epc_units",
            rows=[
                ("BB03", JEANS, "exit", "exit", at("10:46"), pytest.approx(74 / 60), 1),
                ("AA04", SHIRT, "exit", "exit", at("10:31"), pytest.approx(89 / 60), 0),
                ("AA13", SHIRT, "exit", "exit", at("10:01"), pytest.approx(119 / 60), 0),
                ("BB04", JEANS, "back", "back_room", at("09:30"), 2.5, 2),
                # Sold, then returned: it should be here.
                ("AA08", SHIRT, "exit", "exit", at("09:01"), pytest.approx(179 / 60), 0),
            ],
        ),
        Case(parameters={"hours": "0.5", "gtin": JEANS}, columns="epc_hex", rows=[("BB05",), ("BB03",), ("BB04",)]),
    ],
    "received-vs-expected": [
        Case(
            columns="document gtin announced_time booked_time expected_units booked_units seen_units"
            " booked_minus_expected_units seen_minus_expected_units verdict",
            rows=[
                ("D-9", HAT, None, at("09:30"), None, 4, None, None, None, "not announced"),
                ("ASN-3", SOCKS, at("08:45"), None, 3, None, 2, None, -1, "short"),
                ("ASN-1", JEANS, at("08:30"), at("09:20"), 4, 5, 0, 1, -4, "not seen"),
                # AA07 and AA08 first turn up after 08:30 as well, but not in the dock, which antennas watch.
                ("ASN-1", SHIRT, at("08:30"), at("09:05"), 2, 2, 2, 0, 0, "as announced"),
                ("ASN-2", HAT, at("07:30"), None, 1, None, 0, None, -1, "not seen"),
                ("ASN-2", SHIRT, at("07:30"), None, 1, None, 1, None, 0, "as announced"),
            ],
        ),
        Case(parameters={"hours": "0.1", "document": "asn-3"}, columns="seen_units", rows=[(1,)]),
        Case(parameters={"hours": "0.01", "document": "asn-3"}, columns="seen_units", rows=[(0,)]),
    ],
    "dwell-time": [
        Case(
            parameters={"gtin": SHIRT},
            columns="zone stays_ended stays_open minutes_median minutes_p90 minutes_mean minutes_max"
            " minutes_open_median",
            rows=[
                # 50, 150, 180, 210 and 238 minutes
                ("floor.a", 5, 1, 180.0, pytest.approx(210 + 0.6 * 28), pytest.approx(165.6), 238.0, 120.0),
                ("back", 1, 1, 50.0, 50.0, 50.0, 50.0, 168.0),
                ("dock", 2, 0, 10.5, pytest.approx(10.9), 10.5, 11.0, None),
                ("till", 1, 1, 5.0, 5.0, 5.0, 5.0, 11.0),
                ("exit", 4, 0, 1.0, 1.0, 1.0, 1.0, None),
                ("floor.b", 0, 6, None, None, None, None, 45.0),
            ],
        )
    ],
    "exits-without-sale": [
        Case(
            columns="exit_time exit_zone came_from_zone epc_hex gtin sales_without_epc_units verdict alerted",
            rows=[
                (at("11:31"), "exit", "floor.a", "EE06", SOCKS, 0, "unsold", False),
                (at("10:31"), "exit", "floor.a", "AA04", SHIRT, 0, "unsold", True),
                (at("10:01"), "exit", "floor.a", "AA13", SHIRT, 0, "unsold", False),
                (at("10:46"), "exit", "floor.b", "BB03", JEANS, 2, "maybe sold", False),
                # AA03 was paid for, and AA08 was too when it left: it came back later. AA13 came back before.
            ],
        ),
        Case(
            parameters={"minutes": "151"},
            columns="epc_hex verdict",
            rows=[("AA04", "unsold"), ("AA13", "unsold"), ("EE06", "maybe sold"), ("BB03", "maybe sold")],
        ),
        Case(parameters={"minutes": "5", "gtin": JEANS}, columns="epc_hex verdict", rows=[("BB03", "unsold")]),
    ],
    "reader-health": [
        Case(
            columns="reader profile state silent_seconds last_sign_time reads_last_hour tags_last_hour reads_total"
            " reads_late antennas_planned antennas_silent_last_hour",
            rows=[
                ("r3", "tagtide", "never heard", None, None, 0, 0, 0, 0, 1, "1"),
                ("r6", None, "disconnected", None, None, 0, 0, 0, 0, None, None),
                ("r2", "tagtide", "disconnected", 3600.0, at("11:00"), 0, 0, 4, 1, 2, "1, 2"),
                ("r4", "tagtide", "silent", 3900.0, at("10:55"), 0, 0, 1, 0, 1, "1"),
                ("r1", "tagtide", "reporting", 30.0, at("11:59:30"), 2, 2, 8, 0, 4, "3, 4"),
                ("r9", None, "reporting", 10.0, at("11:59:50"), 0, 0, 0, 0, None, None),
            ],
        ),
        Case(
            parameters={"silent_seconds": "3900"},
            columns="reader state last_read_time silences connections_lost reports_lost errors_and_warnings rejects",
            rows=[
                ("r3", "never heard", None, 0, 0, 0, 0, 0),
                ("r6", "disconnected", None, 0, 1, 0, 0, 0),
                ("r2", "disconnected", at("10:50"), 1, 1, 0, 0, 0),
                ("r4", "reporting", at("10:55"), 0, 1, 5, 1, 0),
                ("r1", "reporting", at("11:59:30"), 1, 1, 10, 1, 4),
                ("r9", "reporting", None, 0, 0, 0, 0, 0),
            ],
        ),
    ],
    "shelf-availability": [
        Case(
            columns="shelf zone gtin units_now available_share minutes_empty minutes_below_minimum minutes_observed"
            " times_empty since_time",
            rows=[
                ("a1", "floor.a", SHIRT, 4, 0.875, 30.0, 120.0, 240.0, 1, at("08:00")),
                ("a2", "floor.a", SHIRT, 5, 1.0, 0.0, 0.0, 180.0, 0, at("09:00")),
                ("z9", "floor.a", SHIRT, None, None, 0.0, 0.0, 0.0, 0, None),  # mass only
            ],
        )
    ],
    "data-freshness": [
        Case(
            parameters={"site": "s1"},
            columns="table_name row_count newest_time seconds_behind delay_seconds_median delay_seconds_p95",
            rows=[
                ("reads", 13, at("11:59:30"), 30.0, 2.0, pytest.approx(2.9)),
                ("readings", 2, at("12:00"), 0.0, 1.0, 1.0),
                ("device_events", 18, at("11:59:50"), 10.0, 1.0, 1.0),
                ("business_events", 26, at("11:50"), 600.0, 1.0, 1.0),
                ("rejects", 4, at("09:30"), 9000.0, None, None),
                ("locations", 35, at("11:58"), 120.0, None, None),
                ("inventory", 5, at("10:00"), 7200.0, None, None),
                ("shelves", 5, at("10:30"), 5400.0, None, None),
                ("alerts", 1, at("10:31"), 5340.0, None, None),
                ("radio_laws", 6, at("11:00"), 3600.0, None, None),
                ("passages", 12, at("11:44:20"), 940.0, None, None),
                ("aggregations", 4, at("09:50"), 7800.0, None, None),
                ("counts", 3, at("09:40"), 8400.0, None, None),
                ("counted", 6, at("09:40"), 8400.0, None, None),
            ],
        ),
        Case(
            columns="site table_name row_count",
            rows=[
                *[("s1", name, sum(row["site"] == "s1" for row in STORE[name])) for name in TABLES],
                *[("s2", name, 0) for name in TABLES],
                *[("s3", name, 1) for name in ("business_events", "locations", "inventory", "radio_laws")],
                (None, "rejects", 1),
            ],
        ),
    ],
    "seen-at-antennas": [
        Case(
            columns="reader antenna zone epc_hex passage first_time last_time duration_seconds reads air_reads"
            " rssi_dbm_peak",
            rows=[
                ("r2", 1, "back", "FF01", 1, at("09:00"), at("09:00"), 0.0, 1, None, -65.0),
                ("r2", None, None, "FF01", 1, at("09:00"), at("09:00"), 0.0, 1, None, -60.0),
                ("r2", 1, "back", "AA02", 1, at("09:12"), at("09:12"), 0.0, 1, None, -55.0),
                ("r1", 1, "floor.a", "AA01", 1, at("10:00:00"), at("10:00:20"), 20.0, 3, 6, -48.0),
                ("r1", 1, "floor.a", "AA01", 2, at("10:01:00"), at("10:01:00"), 0.0, 1, 1, -51.0),
                # A pause of exactly 20 s does not end a passage.
                ("r1", 4, "exit", "AA04", 1, at("10:30:00"), at("10:30:20"), 20.0, 2, None, None),
                ("r2", 1, "back", "AA02", 2, at("10:50:00"), at("10:50:00"), 0.0, 1, None, -57.0),
                ("r4", 1, "back", "BB02", 1, at("10:55:00"), at("10:55:00"), 0.0, 1, None, -57.0),
                ("r1", 1, "floor.a", "AA01", 3, at("11:59:00"), at("11:59:00"), 0.0, 1, 4, -49.0),
                ("r1", 2, "floor.b", "EE01", 1, at("11:59:30"), at("11:59:30"), 0.0, 1, None, -70.0),
            ],
        ),
        Case(
            parameters={"reader": "r1", "antenna": "1", "epc": "aa", "gap_seconds": "60"},
            columns="passage reads",
            rows=[(1, 4), (2, 1)],
        ),
    ],
    "rejects-by-reason": [
        Case(
            columns="site source topic reason_code rejects publications payload_bytes first_time last_time example",
            rows=[
                ("s1", "r1", "readers/r1", "json_invalid", 3, 2, 2, at("09:00"), at("09:30"), "cut short at 09:30"),
                ("s1", "r1", "readers/r1", "epc_hex_invalid", 1, 1, 1, at("09:10"), at("09:10"), "cut short at 09:10"),
                (None, None, "what/ever", "topic_unknown", 1, 1, 5, at("09:20"), at("09:20"), "cut short at 09:20"),
            ],
        ),
        Case(parameters={"reason": "topic_unknown"}, columns="topic rejects", rows=[("what/ever", 1)]),
    ],
    "device-losses": [
        Case(
            columns="source_kind source event times reports_lost minutes_away first_time last_time last_detail",
            rows=[
                ("reader", "r1", "overflow", 1, 7, None, at("10:10"), at("10:10"), '{"purged":7}'),
                ("reader", "r4", "dropped", 1, 5, None, at("10:07"), at("10:07"), None),
                ("reader", "r1", "gap", 2, 3, None, at("10:20"), at("10:25"), None),
                ("reader", "r6", "disconnected", 1, None, 180.0, at("09:00"), at("09:00"), None),
                ("reader", "r2", "silent", 1, None, 60.0, at("11:00"), at("11:05"), None),
                ("reader", "r2", "lost", 1, None, 40.0, at("11:20"), at("11:20"), None),
                ("reader", "r1", "silent", 1, None, 15.0, at("09:35"), at("09:40"), None),
                ("reader", "r4", "disconnected", 1, None, 12.0, at("10:08"), at("10:08"), None),
                ("reader", "r1", "lost", 1, None, 10.0, at("08:30"), at("08:30"), '{"will":1}'),
            ],
        )
    ],
    "passages-today": [
        Case(
            columns="gate gate_name direction to_zone items gtins loads doubtful first_time last_time",
            rows=[
                ("dock-1", "Dock", "inbound", "dock", 3, 2, 2, 1, at("08:49"), at("08:59:10")),
                ("dock-1", "Dock", "outbound", "off site", 1, 1, 1, 0, at("09:29"), at("09:29:10")),
                ("dock-1", "Dock", "static", None, 1, 1, 1, 0, at("08:59"), at("08:59:10")),
                ("way-out", "way-out", "outbound", "off site", 4, 2, 4, 1, at("10:30"), at("11:44:10")),
            ],
        ),
        Case(parameters={"day": "2026-11-19", "gate": "dock-1"}, columns="direction items", rows=[("inbound", 1)]),
    ],
    "loads": [
        Case(
            parameters={"gate": "dock-1"},
            columns="direction from_time items gtins others confidence_mean documents",
            rows=[
                ("outbound", at("09:29"), 1, 1, 0, 0.95, None),
                ("inbound", at("08:59"), 2, 1, 1, 0.95, "ASN-1"),
                ("inbound", at("08:49"), 2, 1, 0, 0.775, "ASN-3"),
                ("inbound", at("-1 22:30"), 1, 1, 0, 0.95, "ASN-1"),
            ],
        ),
        Case(parameters={"epc": "aa04"}, columns="gate direction items", rows=[("way-out", "outbound", 1)]),
        Case(parameters={"direction": "static"}, columns="gate", rows=[]),
    ],
    "delivery-through-dock": [
        Case(
            columns="business_transaction gtin announced_time expected_units booked_units heard_units missing_units"
            " surplus_units last_came_time",
            rows=[
                ("ASN-3", SOCKS, at("08:45"), 3, 0, 2, 1, 0, at("08:49:10")),
                ("ASN-1", JEANS, at("08:30"), 4, 5, 0, 4, 0, None),
                ("ASN-1", SHIRT, at("08:30"), 2, 2, 2, 0, 0, at("08:59:10")),
                ("ASN-2", HAT, at("07:30"), 1, 0, 0, 1, 0, None),
                ("ASN-2", SHIRT, at("07:30"), 1, 0, 0, 1, 0, None),
            ],
        ),
        Case(parameters={"document": "ASN-3", "confidence": "0.9"}, columns="heard_units", rows=[(1,)]),
    ],
    "gate-exits-without-sale": [
        Case(
            columns="left_time gate gate_kind epc_hex gtin sales_without_epc_units verdict",
            rows=[
                (at("10:30:10"), "way-out", "exit", "AA04", SHIRT, 0, "unsold"),
                (at("10:45:10"), "way-out", "exit", "BB03", JEANS, 2, "maybe sold"),
                (at("09:29:10"), "dock-1", "dock", "BB04", JEANS, 1, "maybe sold"),
            ],
        ),
        Case(
            parameters={"minutes": "10", "gtin": JEANS},
            columns="epc_hex verdict",
            rows=[
                ("BB04", "unsold"),
                ("BB03", "maybe sold"),
            ],
        ),
    ],
    "fitting-room": [Case(columns="epc_hex", rows=[])],  # the store has none; test_fitting_rooms has
    "at-the-till": [
        Case(
            columns="zone epc_hex gtin since_time minutes_there state sales_without_epc_units",
            rows=[
                ("till", "AA07", SHIRT, at("11:49"), 11.0, "sold", 0),
                ("till", "GG01", GLOVES, at("10:00"), 120.0, "left behind", 0),
            ],
        ),
        Case(parameters={"minutes": "180", "gtin": GLOVES}, columns="state", rows=[("waiting",)]),
    ],
    "counting-passes": [
        Case(
            columns="pass from_time passes seen_quantity estimate recall further_quantity missing_quantity",
            rows=[
                ("hand-2", at("09:40"), 2, 9, 11.0, 0.9, 1.5, 1.0),
                ("hand-1", at("09:20"), 1, 8, 10.0, 0.9, 1.5, 1.0),
            ],
        ),
        Case(parameters={"gtin": SHIRT}, columns="pass seen_quantity further_quantity", rows=[("hand-1", 5, None)]),
    ],
    "missing-by-count": [
        Case(
            columns="epc_hex gtin last_zone missing_probability pass", rows=[("AA05", SHIRT, "floor.a", 0.99, "hand-2")]
        ),
        Case(parameters={"probability": "0.3"}, columns="epc_hex", rows=[("AA05",), ("BB04",)]),
        Case(parameters={"probability": "0.3", "gtin": JEANS}, columns="epc_hex", rows=[("BB04",)]),
    ],
    "unit-contents": [
        Case(
            columns="parent_epc_hex unit_zone child_epc_hex child_gtin zone from_time until_time common_trips",
            rows=[
                ("DD01", "floor.a", "AA02", SHIRT, "back", at("09:01"), None, 2),
                ("DD02", None, "DD01", None, "floor.a", at("09:00"), None, 2),
                ("DD02", None, "AA02", SHIRT, "back", at("09:01"), None, 2),
            ],
        ),
        Case(
            parameters={"epc": "sscc:dd01", "past": "yes"},
            columns="child_epc_hex until_time confidence",
            rows=[("AA01", at("09:50"), 0.9), ("AA02", None, 0.9)],
        ),
        Case(parameters={"epc": "aa02"}, columns="parent_epc_hex", rows=[("DD01",), ("DD02",)]),
    ],
    "moved-together": [
        Case(
            parameters={"items_minimum": "2", "gap_seconds": "130"},
            columns="from_zone to_zone first_moved_time last_moved_time items gtins units epcs",
            rows=[("dock", "back", at("09:10"), at("09:12"), 2, 1, 0, ["AA01", "AA02"])],
        ),
        Case(parameters={"items_minimum": "1", "epc": "ee05"}, columns="from_zone items", rows=[("dock", 1)]),
        Case(columns="items", rows=[]),
    ],
    "site-learnt": [
        Case(
            parameters={"site": "s1"},
            columns="antenna parameter value prior_value change spread unit items version laws as_of_time",
            rows=[
                ("r1:1", "offset_db", -4.0, 0.0, -4.0, 1.0, "dB", 7, 2, 2, at("11:00")),
                (None, "path_loss_exponent", 2.5, 2.2, 0.3, 0.1, "1", 7, 2, 2, at("11:00")),
                ("r1:2", "offset_db", 6.0, 0.0, 6.0, None, "dB", 7, 2, 2, at("11:00")),
                ("r2", "level_db", 0.0, 0.0, 0.0, None, "dB", None, 2, 2, at("11:00")),
            ],
        ),
        Case(parameters={"antenna": "q9:1"}, columns="site value laws", rows=[("s3", 1.0, 1)]),
        Case(parameters={"parameter": "level_db"}, columns="antenna", rows=[("r2",)]),
    ],
}
"""Answers worked out by hand from `question_store`."""


@pytest.fixture(scope="module")
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_store(STORE, SITES) as connection:
        yield connection


@pytest.fixture(scope="module")
def shuffled_store() -> Iterator[duckdb.DuckDBPyConnection]:
    rng = random.Random(7)
    with open_store({table: rng.sample(rows, len(rows)) for table, rows in STORE.items()}, SITES) as connection:
        yield connection


@pytest.fixture(scope="module")
def empty_store() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_store({}, []) as connection:
        yield connection


def test_every_question_has_a_case() -> None:
    assert set(CASES) == set(QUESTIONS)
    assert all(cases for cases in CASES.values())


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name, cases in CASES.items() for case in cases],
    ids=lambda value: str(value)[:40],
)
def test_answers(store: duckdb.DuckDBPyConnection, name: str, case: Case) -> None:
    answer = ask(store, name, case.parameters).select(case.columns.split())
    assert [tuple(row.values()) for row in answer.to_pylist()] == case.rows


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_empty_tables_have_no_answers(empty_store: duckdb.DuckDBPyConnection, name: str) -> None:
    assert ask(empty_store, name).num_rows == 0


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_site_restricts(store: duckdb.DuckDBPyConnection, name: str) -> None:
    """Every question can be asked of one site, and then speaks of no other."""
    assert "site" in QUESTIONS[name].parameters
    answer = ask(store, name, {"site": "s2"})
    assert set(answer["site"].to_pylist()) <= {"s2"}
    assert name == "data-freshness" or answer.num_rows == 0


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_is_one_select(name: str) -> None:
    statements = duckdb.extract_statements(QUESTIONS[name].sql)
    assert [statement.type for statement in statements] == [duckdb.StatementType.SELECT]


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_answers_do_not_depend_on_the_order_of_rows(
    store: duckdb.DuckDBPyConnection, shuffled_store: duckdb.DuckDBPyConnection, name: str
) -> None:
    assert ask(shuffled_store, name).to_pylist() == ask(store, name).to_pylist()


@pytest.mark.slow
def test_a_lake_answers_as_the_tables_do(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The views of a real lake - partitions, revisions, a site of null - give the same answers."""
    opened = [row | {"until_time": None, "left_for": None, "revision": 0} for row in STORE["locations"]]
    rows = STORE | {"locations": opened + [row for row in STORE["locations"] if row["revision"] == 1]}
    lake = Lake(tmp_path / "lake", writer="test")
    lake.commit(1, {name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in TABLES.items()})
    with connect(tmp_path) as connection:
        for site_view in SITE_VIEWS:
            connection.execute(f"DROP VIEW {site_view}")
        create_views(connection, SITES)
        for name in QUESTIONS:
            assert ask(connection, name).to_pylist() == ask(store, name).to_pylist(), name


def test_fitting_rooms() -> None:
    """What is tried on, and what was left behind."""
    site = Site(
        id="s1",
        zones=tuple(Zone(id=kind.value, kind=kind, polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))) for kind in ZoneKind),
    )
    tried = [
        *stays("AA01", SHIRT, "10:00", "sales_floor", "10:20", "fitting_room"),
        *stays("AA02", SHIRT, "10:00", "sales_floor", "10:55", "fitting_room"),
        *stays("AA03", SHIRT, "10:00", "sales_floor", "10:30", "fitting_room", "10:40", "sales_floor", "11:00"),
    ]
    with open_store({"locations": tried}, [site]) as connection:
        rows = ask(connection, "fitting-room").select(["epc_hex", "minutes_there", "abandoned", "came_from_zone"])
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        ("AA01", 40.0, True, "sales_floor"),
        ("AA02", 5.0, False, "sales_floor"),
    ]


def test_now_is_the_newest_event() -> None:
    """A replayed day answers as it did, so no question asks the clock."""
    for question in QUESTIONS.values():
        assert "current_" not in question.sql
        assert "now()" not in question.sql


def second_of(second: int) -> str:
    return f"09:{second // 60}:{second % 60}"


def test_passages_against_a_loop() -> None:
    # Seeds and not Hypothesis: with both in one process DuckDB's binding complains of leaks when Python ends.
    with open_store({}, SITES) as connection:
        for seed in range(25):
            rng = random.Random(seed)
            seen = [
                (rng.randrange(400), rng.choice(["r1", "r2"]), rng.choice([1, 2, None]), rng.choice("AB"))
                for _ in range(rng.randrange(60))
            ]
            rows = [read(second_of(second), reader, antenna, tag * 4) for second, reader, antenna, tag in seen]
            connection.register("_reads", pa.Table.from_pylist(rows, schema=TABLES["reads"]))
            answer = ask(connection, "seen-at-antennas").to_pylist()
            found = [(row["first_time"], row["last_time"], row["reads"]) for row in answer]
            assert sorted(found) == sorted(loop_over(seen)), f"seed {seed}"


def loop_over(seen: list[tuple[int, str, int | None, str]]) -> list[tuple[dt.datetime, dt.datetime, int]]:
    passages: list[tuple[dt.datetime, dt.datetime, int]] = []
    last: dict[tuple[str, int | None, str], int] = {}
    for second, reader, antenna, tag in sorted(seen, key=lambda sighting: sighting[0]):
        key, time = (reader, antenna, tag), at(second_of(second))
        if key in last and time - passages[last[key]][1] <= dt.timedelta(seconds=20):
            first, _, count = passages[last[key]]
            passages[last[key]] = (first, time, count + 1)
        else:
            last[key] = len(passages)
            passages.append((time, time, 1))
    return passages


def test_dwell_time_against_the_obvious_sum(store: duckdb.DuckDBPyConnection) -> None:
    minutes: dict[str, list[float]] = {}
    for row in STORE["locations"]:
        if row["until_time"] is not None:
            minutes.setdefault(row["zone"], []).append((row["until_time"] - row["from_time"]).total_seconds() / 60)
    for row in ask(store, "dwell-time").to_pylist():
        ended = minutes.get(row["zone"], [])
        assert row["stays_ended"] == len(ended)
        if not ended:
            continue
        assert row["minutes_median"] == statistics.median(ended)
        assert row["minutes_mean"] == pytest.approx(statistics.fmean(ended))


# --- the files' format -------------------------------------------------------------------------------------------

GOOD = """-- What is it?
-- It is this.
-- subject: stock
-- parameters:
-- $zone: zone identifier (default: all)
-- $minutes: how long (default: 5)

SELECT 1 WHERE $zone::VARCHAR IS NULL OR $minutes::DOUBLE > 1 -- $not_one
"""


def test_header_is_read() -> None:
    question = parse_question("what-is", GOOD)
    assert question == Question(
        name="what-is",
        title="What is it?",
        description="It is this.",
        subject=Subject.STOCK,
        parameters={"zone": None, "minutes": "5"},
        parameter_meanings={"zone": "zone identifier", "minutes": "how long"},
        sql="SELECT 1 WHERE $zone::VARCHAR IS NULL OR $minutes::DOUBLE > 1 -- $not_one",
    )
    renamed = parse_question("what-is", GOOD.replace("-- parameters", "-- formerly: what-was what\n-- parameters"))
    assert renamed == dataclasses.replace(question, formerly=("what-was", "what"))
    bare = parse_question("bare", "-- What?\n-- subject: items\n-- parameters: none\nSELECT '$5; really'")
    assert bare.parameters == {}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("-- What is it?", "-- What it is."), "line 1"),
        (("-- What is it?\n", "\n-- What is it?\n"), "line 1"),
        (("-- parameters:\n", ""), "parameters"),
        (("-- subject: stock\n", ""), "subject"),
        (("subject: stock", "subject: love"), "subject"),
        (("-- parameters:", "-- parameters: none"), "line 4"),
        (("(default: 5)", ""), "line 6"),
        (("$minutes: how", "minutes: how"), "line 6"),
        (("$minutes: how", "$zone: how"), "twice"),
        (("$minutes::DOUBLE", "1"), "does not use"),
        (("$minutes::DOUBLE", "$hours::DOUBLE"), "does not declare"),
        (("SELECT 1 WHERE", "DELETE FROM reads WHERE"), "SELECT"),
        (("> 1 --", "> 1; --"), "semicolon"),
        ((GOOD, ""), "line 1"),
    ],
)
def test_broken_headers_are_refused(change: tuple[str, str], complaint: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(QuestionError, match=complaint) as caught:
        parse_question("what-is", GOOD.replace(*change))
    assert "what-is.sql" in str(caught.value)
    assert caught.value.code == "question_file_invalid"


def test_a_question_answers_to_its_old_names(store: duckdb.DuckDBPyConnection) -> None:
    old = [name for question in QUESTIONS.values() for name in question.formerly]
    assert len(old) == len(set(old))
    assert not set(old) & QUESTIONS.keys()
    assert ask(store, "gate-passages").equals(ask(store, "seen-at-antennas"))
    assert find_question("nothing-like-it") is None


def test_no_question_is_called_like_a_table() -> None:
    assert not QUESTIONS.keys() & {*TABLES, *SITE_VIEWS, *SHARED_VIEWS}


def test_headers_fit_a_screen() -> None:
    folder = Path(analytics.__file__).parent / "sql"
    for name, question in QUESTIONS.items():
        lines = (folder / f"{name}.sql").read_text(encoding="utf-8").splitlines()
        assert all(len(line) < 120 for line in lines if line.startswith("--")), name
        assert len(question.title) <= 80, "the list has it in one line"
        assert question.description, "an answer's columns are explained"


@pytest.mark.parametrize("name", ["What", "what_is", "what-", "", "what is"])
def test_names_are_kebab_case(name: str) -> None:
    with pytest.raises(QuestionError, match="kebab"):
        parse_question(name, GOOD)


def test_a_bad_value_is_a_question_error(store: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QuestionError):
        ask(store, "seen-at-antennas", {"gap_seconds": "twenty"})


@pytest.mark.parametrize(
    ("uri", "missing"),
    [
        ("urn:epc:id:sgtin:9506000.013435.1", 1),
        (None, 1),
        ("urn:epc:id:sscc:9506000.0000000003", 0),
        ("urn:epc:id:grai:9506000.00042.102", 0),
        ("urn:epc:id:giai:9506000.12", 0),
        ("https://id.gs1.org/00/095060001343520000", 0),
        ("https://id.gs1.org/01/09506000134352/21/1", 1),
    ],
)
def test_an_empty_carton_that_was_taken_away_is_not_missing(uri: str | None, missing: int) -> None:
    gone, here = (next(row for row in STORE["locations"] if row["epc_hex"] == epc) for epc in ("BB05", "AA09"))
    rows = {"locations": [gone | {"epc_uri": uri}, here], "alerts": STORE["alerts"]}
    assert ask(open_store(rows, SITES), "missing", {"hours": "0"}).num_rows == missing
