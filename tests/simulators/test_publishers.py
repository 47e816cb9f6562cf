"""Payloads: the fields that real devices send, no more and no fewer, with the values that were on the air."""

import json
from typing import Any

import numpy as np
import pytest

from devices.impinj.decoder import decode as decode_impinj
from devices.observations import BusinessEventKind, Source, SourceKind, TagRead
from devices.site.model import Antenna, Reader
from devices.tagtide.decoder import decode as decode_tagtide
from devices.zebra.decoder import decode as decode_zebra
from simulators.book import BusinessRecord
from simulators.publishers.feeds import Feeds
from simulators.publishers.readers import ImpinjPublisher, TagtidePublisher, ZebraPublisher
from simulators.publishers.sensors import Climate
from simulators.publishers.sent import Sent
from simulators.radio_law import AirReads
from simulators.streams import random_stream
from tests.shared_data import shared_path
from tests.simulators.conftest import RunDay

START_US = 1_772_438_400_000_000
EPCS = ["303644334013A800234B3B01", "303644334013A800234B3B02", ""]
CLOCK_OFFSET_US = 123_456


def reader(profile: str) -> Reader:
    return Reader(
        id="r1",
        profile=profile,
        mqtt_topic="r1/data",
        status_mqtt_topics=("r1/status",),
        antennas=(Antenna(port=1, x=0, y=0, tx_power_dbm=30.0), Antenna(port=2, x=4, y=0, tx_power_dbm=31.5)),
    )


def source(profile: str) -> Source:
    return Source(site="s", kind=SourceKind.READER, id="r1", profile=profile)


def on_air(times_us: list[int], antennas: list[int], items: list[int], rssi: list[float]) -> AirReads:
    count = len(times_us)
    return AirReads(
        time_us=np.array(times_us),
        reader=np.zeros(count, dtype=np.int64),
        antenna=np.array(antennas),
        item=np.array(items),
        rssi_dbm=np.array(rssi),
        frequency_khz=np.full(count, 866_300),
        phase_deg=np.full(count, 271.254),
    )


READS = on_air(
    [START_US + 100_000, START_US + 700_000, START_US + 900_000, START_US + 1_200_000],
    [4, 5, 4, 5],
    [0, 1, 0, 0],
    [-60.26, -55.5, -58.0, -71.9],
)
ROWS = np.arange(4)


def clock(_: int) -> int:
    return CLOCK_OFFSET_US


def keys(document: Any) -> Any:
    """Return the shape of a JSON document: its keys, all the way down."""
    if isinstance(document, dict):
        return {key: keys(value) for key, value in document.items()}
    if isinstance(document, list):
        return [keys(document[0])] if document else []
    return type(document).__name__


@pytest.mark.parametrize("all_fields", [False, True])
def test_impinj_publishes_each_read_alone_a_moment_later(*, all_fields: bool) -> None:
    publisher = ImpinjPublisher(
        reader("impinj"),
        epcs=EPCS,
        first_antenna=4,
        all_fields=all_fields,
        clock_offset=clock,
        rng=random_stream(1, "r1"),
    )
    assert publisher.start(START_US) == [Sent(START_US, "r1/status", b"connected")]
    sent = publisher.publish(READS, ROWS, START_US + 2_000_000)
    assert len(sent) == 4
    for row, one in enumerate(sent):
        read = decode_impinj(one.payload, one.topic, source("impinj")).reads[0]
        assert 300 <= one.sent_us - READS.time_us[row] < 3000
        assert read.epc_hex == EPCS[READS.item[row]]
        assert read.antenna == READS.antenna[row] - 3
        assert read.rssi_dbm == pytest.approx(READS.rssi_dbm[row], abs=0.26)
        assert read.frequency_khz == 866_300
        assert read.tx_power_dbm == (30.0, 31.5)[READS.antenna[row] - 4]
        assert read.phase_deg == (271.25 if all_fields else None)
        assert read.event_time_source == ("read" if all_fields else "report")
        expected_us = (READS.time_us[row] if all_fields else one.sent_us) + CLOCK_OFFSET_US
        assert read.reader_time_us == expected_us


def test_impinj_default_fields_are_those_of_a_real_reader() -> None:
    captured = json.loads(shared_path("reference/samples/impinj/r700_mqtt_default_fields_866MHz.json").read_text())
    publisher = ImpinjPublisher(
        reader("impinj"), epcs=EPCS, first_antenna=4, all_fields=False, clock_offset=clock, rng=random_stream(1, "r1")
    )
    ours = json.loads(publisher.publish(READS, ROWS, START_US)[0].payload)
    assert keys(ours) == keys(captured)
    assert list(ours["tagInventoryEvent"]) == list(captured["tagInventoryEvent"])
    assert len(ours["timestamp"]) == len(captured["timestamp"])


def zebra() -> ZebraPublisher:
    return ZebraPublisher(
        reader("zebra"), epcs=EPCS, first_antenna=4, clock_offset=clock, phase_us=250_000, first_event=41
    )


def test_zebra_reports_each_tag_and_antenna_once_an_interval() -> None:
    publisher = zebra()
    publisher.start(START_US)
    sent = [one for one in publisher.publish(READS, ROWS, START_US + 2_000_000) if one.topic == "r1/data"]
    assert [one.sent_us - START_US for one in sent] == [252_000, 1_252_000]
    first, second = (decode_zebra(one.payload, one.topic, source("zebra")).reads for one in sent)
    assert [(read.epc_hex, read.antenna, read.rssi_dbm, read.read_count, read.source_seq) for read in first] == [
        (EPCS[0], 1, -60.0, 1, 42)
    ]
    assert [(read.epc_hex, read.antenna, read.rssi_dbm, read.read_count, read.source_seq) for read in second] == [
        (EPCS[1], 2, -56.0, 1, 43),
        (EPCS[0], 1, -58.0, 1, 44),
        (EPCS[0], 2, -72.0, 1, 45),
    ]
    assert first[0].reader_time_us == (START_US + 100_000 + CLOCK_OFFSET_US) // 1000 * 1000


def test_zebra_merges_reads_of_one_interval_into_their_peak() -> None:
    reads = on_air([START_US + n * 100_000 for n in range(3)], [4, 4, 5], [0, 0, 0], [-60.0, -52.0, -70.0])
    publisher = ZebraPublisher(
        reader("zebra"), epcs=EPCS, first_antenna=4, clock_offset=clock, phase_us=0, first_event=0
    )
    sent = publisher.publish(reads, np.arange(3), START_US + 1_000_000)
    found: list[TagRead] = decode_zebra(sent[0].payload, "r1/data", source("zebra")).reads
    assert [(read.antenna, read.rssi_dbm, read.read_count) for read in found] == [(1, -52.0, 2), (2, -70.0, 1)]


def test_intervals_that_are_cut_by_slices_come_out_whole() -> None:
    whole = [one for one in zebra().publish(READS, ROWS, START_US + 3_000_000) if one.topic == "r1/data"]
    cut, publisher = [], zebra()
    for until_us, rows in ((START_US + 800_000, ROWS[:2]), (START_US + 1_000_000, ROWS[2:3]), (0, ROWS[3:])):
        cut += publisher.publish(READS, rows, until_us or START_US + 3_000_000)
    assert [one.payload for one in cut] == [one.payload for one in whole]


def test_zebra_tag_events_are_those_of_a_real_reader() -> None:
    lines = shared_path("reference/samples/zebra/fxr90_modes_captured.ndjson").read_text().splitlines()
    captured = next(event for event in map(json.loads, lines) if event["type"] == "INVENTORY")
    ours = json.loads(zebra().publish(READS, ROWS, START_US + 3_000_000)[0].payload)[0]
    assert keys(ours) == keys(captured)
    assert list(ours["data"]) == list(captured["data"])
    assert len(ours["timestamp"]) == len(captured["timestamp"])


def test_zebra_heartbeats_have_the_members_of_real_ones() -> None:
    captured = json.loads(shared_path("reference/samples/zebra/fx9600_heartbeat_captured.json").read_text())
    publisher = zebra()
    publisher.start(START_US)
    beats = [one for one in publisher.publish(READS, ROWS, START_US + 61_000_000) if one.topic == "r1/status"]
    assert [one.sent_us - START_US for one in beats] == [250_000, 60_250_000]
    ours = json.loads(beats[1].payload)
    assert keys(ours).keys() == keys(captured).keys()
    for part in ("radio_control", "reader_gateway"):
        assert ours["data"][part].keys() == captured["data"][part].keys()
    assert ours["data"]["radio_control"]["numTagReads"] == 4
    assert [ours["eventNum"] - json.loads(beats[0].payload)["eventNum"], ours["component"]] == [1, "RG"]
    assert set(ours["data"]["system"]) <= set(captured["data"]["system"])


def test_our_own_dialect_says_everything() -> None:
    publisher = TagtidePublisher(reader("tagtide"), epcs=EPCS, first_antenna=4, clock_offset=clock, phase_us=0)
    assert publisher.start(START_US) == []
    sent = publisher.publish(READS, ROWS, START_US + 2_000_000)
    reads = [read for one in sent for read in decode_tagtide(one.payload, one.topic, source("tagtide")).reads]
    assert [read.source_seq for read in reads] == [1, 2, 3, 4]
    assert [read.reader_time_us for read in reads] == [time + CLOCK_OFFSET_US for time in READS.time_us.tolist()]
    assert [read.rssi_dbm for read in reads] == [-60.3, -55.5, -58.0, -71.9]
    assert {(read.phase_deg, read.frequency_khz) for read in reads} == {(271.3, 866_300)}


def test_business_events_decode_to_what_was_booked() -> None:
    record = BusinessRecord(
        feed="till",
        kind=BusinessEventKind.SALE,
        event_id="TILL-1",
        at_us=START_US,
        quantity=1,
        gtin="09506000134352",
        epc_hex=EPCS[0],
        zone="floor",
        transaction="RECEIPT-1",
    )
    feeds = Feeds([], random_stream(1, "feeds"))
    feeds._topics["till"] = "business/till"
    sent = feeds.publish([record])[0]
    event = decode_tagtide(sent.payload, sent.topic, source("tagtide")).business_events[0]
    assert sent.sent_us > START_US
    assert (event.event, event.event_id, event.quantity, event.gtin) == ("sale", "TILL-1", 1, "09506000134352")
    assert (event.epc_hex, event.zone, event.business_transaction) == (EPCS[0], "floor", "RECEIPT-1")
    assert event.reader_time_us == START_US


def test_climate_is_measured_once_a_minute(tiny: RunDay) -> None:
    climate = Climate(tiny.day.site.sensors, START_US, random_stream(1, "climate"))
    sent = [one for second in range(0, 150, 10) for one in climate.measure(START_US + second * 1_000_000)]
    assert len(sent) == 3 * len(tiny.day.site.sensors)
    readings = [decode_tagtide(one.payload, one.topic, source("tagtide")).readings[0] for one in sent]
    assert {reading.quantity for reading in readings} == {"temperature", "illuminance"}
    assert all(15.0 < reading.value < 30.0 for reading in readings if reading.quantity == "temperature")
