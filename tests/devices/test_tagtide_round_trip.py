"""Promise: what is written in Tagtide's own JSON as its README says comes out again, field for field."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.observations import BusinessEvent, BusinessEventKind, Decoded, DeviceEvent, Reading, TagRead
from devices.registry import PROFILES
from devices.tagtide.business import QUANTITY_MAX
from devices.timestamps import TIME_US_MAX, TIME_US_MIN
from tests.devices.sources import a_source

pytestmark = pytest.mark.slow

SOURCE = a_source("tagtide")

epcs = st.binary(min_size=1, max_size=62).map(lambda content: content.hex().upper())
times = st.integers(TIME_US_MIN, TIME_US_MAX - 1)
counts = st.integers(0, 2**63 - 1)
quantities = st.sampled_from([("mass", "KGM"), ("temperature", "CEL"), ("battery", "VLT"), ("carbon_dioxide", "59")])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)

tag_reads = st.builds(
    TagRead,
    epc_hex=epcs,
    antenna=st.none() | st.integers(0, 32767),
    reader_time_us=times,
    event_time_source=st.just("read"),
    rssi_dbm=st.none() | st.floats(-150, 30),
    rssi_linear=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    phase_deg=st.none() | st.floats(0, 360),
    frequency_khz=st.none() | st.integers(0, 10_000_000),
    tx_power_dbm=st.none() | st.floats(-150, 100),
    read_count=st.none() | counts,
    tid_hex=st.none() | epcs,
    source_seq=st.none() | counts,
)


def read_document(read: TagRead, *, time_as_text: bool) -> dict[str, object]:
    document: dict[str, object] = {
        "epc": read.epc_hex,
        "antenna": read.antenna,
        "rssi_dbm": read.rssi_dbm,
        "rssi_linear": read.rssi_linear,
        "phase_deg": read.phase_deg,
        "frequency_khz": read.frequency_khz,
        "tx_power_dbm": read.tx_power_dbm,
        "read_count": read.read_count,
        "tid": read.tid_hex,
        "seq": read.source_seq,
    }
    document |= time_fields(read.reader_time_us, time_as_text=time_as_text)
    return document


def time_fields(time_us: int | None, *, time_as_text: bool) -> dict[str, object]:
    if time_us is None or not time_as_text:
        return {"time_us": time_us}
    return {"time": (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).isoformat()}


def decode(document: object) -> Decoded:
    return PROFILES["tagtide"].decode(json.dumps(document).encode(), "any/topic", SOURCE)


@given(read=tag_reads, typed=st.booleans(), time_as_text=st.booleans())
def test_a_read(read: TagRead, *, typed: bool, time_as_text: bool) -> None:
    document = read_document(read, time_as_text=time_as_text)
    assert decode(({"type": "read"} if typed else {}) | document) == Decoded(reads=[read])


@given(reads=st.lists(tag_reads, max_size=5), time_as_text=st.booleans())
def test_a_batch(reads: list[TagRead], *, time_as_text: bool) -> None:
    documents = [read_document(read, time_as_text=time_as_text) for read in reads]
    assert decode({"type": "reads", "reads": documents}) == Decoded(reads=reads)


@given(quantities, st.floats(-1e3, 1e3), times, counts)
def test_a_measurement(quantity: tuple[str, str], value: float, time_us: int, seq: int) -> None:
    name, unit = quantity
    document = {"type": "measurement", "quantity": name, "value": value, "unit": unit, "time_us": time_us, "seq": seq}
    expected = Reading(
        quantity=name, value=value, unit=unit, reader_time_us=time_us, event_time_source="read", source_seq=seq
    )
    assert decode(document) == Decoded(readings=[expected])


@given(st.sampled_from(["connected", "lost", "heartbeat", "overflow", "error"]), times, counts)
def test_a_status(status: str, time_us: int, count: int) -> None:
    document = {"type": "status", "status": status, "time_us": time_us, "count": count}
    expected = DeviceEvent(event=status, reader_time_us=time_us, event_time_source="read", count=count)
    assert decode(document) == Decoded(device_events=[expected])


@given(st.sampled_from(BusinessEventKind), texts, st.integers(1, QUANTITY_MAX), st.none() | texts, times)
def test_a_business_event(
    event: BusinessEventKind, identifier: str, quantity: int, zone: str | None, time_us: int
) -> None:
    document = {
        "type": "business",
        "event": event,
        "id": identifier,
        "gtin": "9506000134352",
        "quantity": quantity,
        "zone": zone,
        "time_us": time_us,
    }
    expected = BusinessEvent(
        event=event.value,
        event_id=identifier,
        quantity=quantity,
        gtin="09506000134352",
        zone=zone,
        reader_time_us=time_us,
        event_time_source="read",
    )
    assert decode(document) == Decoded(business_events=[expected])


@given(st.lists(epcs, min_size=1, max_size=5))
def test_an_announced_delivery_is_one_event_an_epc(announced: list[str]) -> None:
    decoded = decode({"type": "business", "event": "expected", "id": "asn-7", "epcs": announced})
    found = [(event.event_id, event.epc_hex, event.quantity) for event in decoded.business_events]
    assert found == [(f"asn-7/{number}", epc, 1) for number, epc in enumerate(announced, start=1)]
