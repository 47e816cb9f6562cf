"""The EdgeX baseline is the real one: it answers recorded reports of the service as the service did."""

import gzip
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.baselines.edgex import (
    DEFAULT,
    GARMENT,
    EdgeXMobility,
    EventKind,
    MobilityEvent,
    MobilityParameters,
    ReportedTag,
)
from analytics.baselines.edgex_stays import edgex_stays, edgex_stays_plain
from tests.analytics.baselines.reads import Read, intervals, site_of, table_of
from tests.shared_data import shared_path

GARMENT_ALIASES = {"Reader-A_1": "Dock", "Reader-A_2": "Dock", "Reader-B_1": "Shelf-1", "Reader-C_4": "Exit"}


def as_recorded(event: MobilityEvent) -> dict[str, Any]:
    line = {"type": str(event.kind), "epc": event.epc, "ts": event.time_ms}
    if event.kind is EventKind.MOVED:
        return {**line, "old_location": event.old_location, "new_location": event.location}
    return {**line, "location": event.location}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "aliases"), [("default", DEFAULT, {}), ("garment", GARMENT, GARMENT_ALIASES)]
)
def test_recorded_traces_are_reproduced_line_for_line(
    name: str, parameters: MobilityParameters, aliases: dict[str, str]
) -> None:
    mobility = EdgeXMobility(parameters, aliases=aliases)
    lines = 0
    with gzip.open(shared_path(f"data/reference-trace-{name}.jsonl.gz"), "rt") as trace:
        for line in trace:
            recorded = json.loads(line)
            if recorded["op"] == "report":
                tags = [
                    ReportedTag(
                        epc=tag["epc"], antenna=tag["ant"], rssi_dbm=tag["rssi"], last_seen_us=tag["last_seen_us"]
                    )
                    for tag in recorded["tags"]
                ]
                events = mobility.report(recorded["device"], recorded["origin_ns"], tags)
            else:
                events = mobility.depart(recorded["now_ms"])
            assert [as_recorded(event) for event in events] == recorded["events"], f"line {lines + 1}"
            lines += 1
    assert lines == 6000


def test_the_margin_is_whole_during_the_holdoff_and_then_falls() -> None:
    assert DEFAULT.margin_db(1000, 1000) == 6.0
    assert DEFAULT.margin_db(1500, 1000) == 6.0
    assert DEFAULT.margin_db(1750, 1000) == pytest.approx(4.0)
    assert DEFAULT.margin_db(2250, 1000) == pytest.approx(0.0)
    assert GARMENT.margin_db(61_000, 1000) == 6.0
    assert GARMENT.margin_db(73_000, 1000) == pytest.approx(0.0)


def test_a_silent_tag_departs_after_ten_minutes_and_arrives_again_where_it_is_read_next() -> None:
    mobility = EdgeXMobility(DEFAULT)
    read = ReportedTag(epc="A", antenna=1, rssi_dbm=-50, last_seen_us=0)
    mobility.report("r", 1_000_000_000, [read])
    assert mobility.depart(601_000) == []
    (departed,) = mobility.depart(601_001)
    assert (departed.kind, departed.location, departed.time_ms) == (EventKind.DEPARTED, "r_1", 1000)
    assert mobility.depart(700_000) == []
    weaker = ReportedTag(epc="A", antenna=2, rssi_dbm=-80, last_seen_us=0)
    (arrived,) = mobility.report("r", 700_000_000_000, [weaker])
    assert (arrived.kind, arrived.location) == (EventKind.ARRIVED, "r_2")


def test_one_loud_read_elsewhere_is_not_a_move_and_two_are() -> None:
    site = site_of("a", "b")
    reads = [Read(at_s=1), Read(at_s=1.1), Read(at_s=1.2, antenna=2, rssi_dbm=-40)]
    assert intervals(edgex_stays(table_of(reads), site, DEFAULT)) == [("E1", "a", 1.0, 601.2)]
    reads.append(Read(at_s=1.3, antenna=2, rssi_dbm=-40))
    assert intervals(edgex_stays(table_of(reads), site, DEFAULT)) == [("E1", "a", 1.0, 1.3), ("E1", "b", 1.3, 601.3)]


READS = st.lists(
    st.builds(
        Read,
        at_s=st.one_of(st.integers(0, 30_000), st.sampled_from([600_000, 1_200_000, 1_300_001])).map(
            lambda ms: ms / 1000
        ),
        antenna=st.sampled_from([1, 1, 2, 2, 3, 4, None]),
        rssi_dbm=st.one_of(st.none(), st.floats(-80, -50, allow_nan=False)),
        epc=st.sampled_from(["E1", "E2"]),
        reader=st.sampled_from(["r", "r", "other"]),
    ),
    max_size=40,
)


@given(READS, st.lists(st.integers(0, 2000), min_size=40, max_size=40), st.sampled_from([DEFAULT, GARMENT]))
def test_the_fast_form_says_what_the_plain_form_says(
    reads: list[Read], delays_ms: list[int], parameters: MobilityParameters
) -> None:
    received = sorted(
        (read.at_s + delay_ms / 1000, i) for i, (read, delay_ms) in enumerate(zip(reads, delays_ms, strict=False))
    )
    publications: list[Read] = []
    for number, (received_s, i) in enumerate(received):
        read = reads[i]
        before = publications[-1] if publications else None
        joins = before is not None and number % 3 and before.reader == read.reader
        publications.append(
            Read(
                at_s=read.at_s,
                antenna=read.antenna,
                rssi_dbm=read.rssi_dbm,
                epc=read.epc,
                reader=read.reader,
                received_s=before.received_s if before is not None and joins else received_s,
                publication=before.publication if before is not None and joins else number,
            )
        )
    table = table_of(publications)
    site = site_of("a", "b", "c")
    assert intervals(edgex_stays(table, site, parameters)) == intervals(edgex_stays_plain(table, site, parameters))


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [DEFAULT, GARMENT])
def test_the_fast_form_says_what_the_plain_form_says_over_full_windows(parameters: MobilityParameters) -> None:
    rng = random.Random(7)
    reads = [
        Read(
            at_s=number * 0.03 + rng.random(),
            received_s=(number // 5) * 0.15 + 1.5,
            antenna=rng.randint(1, 3),
            rssi_dbm=rng.gauss(-60, 4),
            epc=f"E{rng.randint(1, 20)}",
            publication=number // 5,
        )
        for number in range(10_000)
    ]
    table, site = table_of(reads), site_of("a", "b", "c")
    found = intervals(edgex_stays(table, site, parameters))
    assert len(found) >= 20
    assert found == intervals(edgex_stays_plain(table, site, parameters))
