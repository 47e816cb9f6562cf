"""Promises of decoding in bulk: chunks as the contract says, nothing lost, nothing twice, columns as decoded."""

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.bridge_record import BRIDGE_TOPIC, AwayRecord, away_payload
from devices.bulk import PUBLICATION_BYTES_MAX, TopicDirectory, decode_publications
from devices.chunk import Chunk, ClockMark
from devices.directory import Route, TopicDirectoryError
from devices.documents import PAYLOAD_BYTES_MAX
from devices.observations import Decoded, Source, TagRead
from devices.oversized import KEPT_BYTES, oversized
from devices.publication import CAPTURE_PROBLEM_TOPIC, CLOCK_TOPIC, LoggedPublication, Publication
from devices.schemas import STREAMS
from devices.site.model import Antenna, Feed, Reader, Sensor, Shelf, Site
from ingest.json_rows import decode_rows
from ingest.kafka_records import encode_chunk
from tests.devices.sources import RECEIVED_US, a_source, logged

A = Site(
    id="a",
    readers=(
        Reader(
            id="r1",
            profile="impinj",
            mqtt_topic="a/r1",
            status_mqtt_topics=("a/r1/will",),
            antennas=(Antenna(port=4, x=0, y=0, name="dock"),),
        ),
        Reader(id="r2", profile="zebra", mqtt_topic="a/r2"),
    ),
    shelves=(Shelf(id="sh", zone="z", profile="weight", mqtt_topic="a/sh/mass", status_mqtt_topics=("a/sh/touched",)),),
)
B = Site(
    id="b",
    readers=(Reader(id="r1", profile="tagtide", mqtt_topic="b/r1"),),
    sensors=(Sensor(id="t", profile="tagtide", mqtt_topic="b/t"),),
    feeds=(Feed(id="erp", profile="tagtide", mqtt_topic="b/erp"),),
)
DIRECTORY = TopicDirectory.of([A, B])

TIME = "2026-03-14T09:26:53.589793238Z"
TIME_US = 1_773_480_413_589_793


def decode(*publications: tuple[str, bytes], first: int = 1) -> dict[str | None, Chunk]:
    chunks = decode_publications(logged(publications, first=first), edge_id="edge-1", directory=DIRECTORY)
    by_site = {chunk.site: chunk for chunk in chunks}
    assert len(by_site) == len(chunks)
    return by_site


def impinj(**tag: object) -> bytes:
    return json.dumps({"timestamp": TIME, "eventType": "tagInventory", "tagInventoryEvent": tag}).encode()


def batch_of(*epcs: str) -> bytes:
    return json.dumps({"type": "reads", "reads": [{"epc": epc} for epc in epcs]}).encode()


def column(chunk: Chunk, stream: str, name: str) -> list[object]:
    values: list[object] = chunk.batch(stream)[name].to_pylist()
    return values


def micros(chunk: Chunk, stream: str, name: str) -> list[object]:
    values: list[object] = chunk.batch(stream)[name].cast(pa.int64()).to_pylist()
    return values


def test_nothing_in_nothing_out() -> None:
    assert decode_publications([], edge_id="e", directory=DIRECTORY) == []


def test_every_column_of_a_read() -> None:
    payload = impinj(
        epc="MDQ", tid="4oAR", antennaName="dock", peakRssiCdbm=-6150, frequency=865_700, phaseAngle=12.5, pc="NAA="
    )
    (row,) = decode(("a/r1", payload))["a"].batch("reads").to_pylist()
    times = {name: value for name, value in row.items() if name.endswith("_time")}
    assert {name: int(value.timestamp() * 1_000_000) for name, value in times.items()} == {
        "event_time": TIME_US,
        "received_time": RECEIVED_US + 1_000,
        "reader_time": TIME_US,
    }
    assert {name: value for name, value in row.items() if name not in times} == {
        "site": "a",
        "reader": "r1",
        "antenna": 4,
        "epc_hex": "3034",
        "event_time_source": "report",
        "late": None,
        "rssi_dbm": -61.5,
        "rssi_linear": None,
        "phase_deg": 12.5,
        "frequency_khz": 865_700,
        "tx_power_dbm": None,
        "read_count": 1,
        "tid_hex": "E28011",
        "source_seq": None,
        "extra": '{"pc":"NAA="}',
        "edge_id": "edge-1",
        "edge_offset": 1,
        "edge_index": 0,
    }


def test_every_stream_has_its_schema() -> None:
    chunks = decode(
        ("a/r1", impinj(epc="MDQ")),
        ("a/sh/mass", b"1.5"),
        ("a/r1/will", b"connection lost"),
        ("a/r2", b"rubbish"),
        ("b/erp", b'{"type":"business","event":"sale","id":"1","gtin":"09506000134352","quantity":1}'),
    )
    batches = {**chunks["a"].batches, **chunks["b"].batches}
    assert batches.keys() == STREAMS.keys()
    for stream, batch in batches.items():
        assert batch.schema == STREAMS[stream]
        batch.validate(full=True)
    assert column(chunks["a"], "readings", "source_kind") == ["shelf"]
    assert column(chunks["a"], "device_events", "source_kind") == ["reader"]
    assert column(chunks["b"], "business_events", "source") == ["erp"]


def test_without_a_time_of_the_device_the_receive_time_stands_in() -> None:
    chunk = decode(("b/r1", batch_of("AB12")))["b"]
    assert micros(chunk, "reads", "reader_time") == [None]
    assert micros(chunk, "reads", "event_time") == micros(chunk, "reads", "received_time") == [RECEIVED_US + 1_000]
    assert column(chunk, "reads", "event_time_source") == ["received"]


def test_sites_are_told_apart_and_cover_the_same_range() -> None:
    chunks = decode(("b/r1", batch_of("AB12")), ("a/r2", b"[]"), ("a/r1", impinj(epc="MDQ")), ("c", b"x"), first=70)
    assert list(chunks) == ["a", "b", None]
    assert {(chunk.first_offset, chunk.last_offset, chunk.edge_id) for chunk in chunks.values()} == {(70, 73, "edge-1")}
    assert column(chunks["a"], "reads", "edge_offset") == [72]
    assert column(chunks["b"], "reads", "edge_offset") == [70]


CLAIMS = {"site": "b", "reader": "r1", "source": "r1", "source_id": "r1", "hostname": "r1", "mqtt_topic": "b/r1"}
"""What a payload may say about who sends it; all of it names another device than the topic does."""


@pytest.mark.parametrize(
    ("topic", "source", "payload"),
    [
        ("a/r1", "r1", {"eventType": "tagInventory", "tagInventoryEvent": {"epcHex": "AB12"}, "timestamp": TIME}),
        ("a/r1", "r1", {"eventType": "antennaDisconnected", "antennaDisconnectedEvent": {"antennaPort": 1}}),
        ("a/r2", "r2", {"type": "SIMPLE", "timestamp": TIME, "data": {"idHex": "AB12", "hostName": "r1"}}),
        ("b/t", "t", {"type": "read", "epc": "AB12"}),
        ("b/t", "t", {"type": "measurement", "quantity": "mass", "value": 1}),
        ("b/t", "t", {"type": "status", "status": "connected"}),
        ("b/erp", "erp", {"type": "sale", "epc": "AB12", "quantity": 1}),
        ("a/sh/mass", "sh", {"mass": 1}),
    ],
)
def test_a_device_cannot_speak_for_another(topic: str, source: str, payload: dict[str, object]) -> None:
    """Identity is the topic's, which the broker's access list guards; a claim in a payload moves nothing."""
    site = topic[0]
    claims = {**CLAIMS, "site": "a" if site == "b" else "b"}
    chunks = decode((topic, json.dumps(payload | claims).encode()))
    assert list(chunks) == [site]
    assert chunks[site].rows > 0
    for name in chunks[site].batches:
        assert set(column(chunks[site], name, "reader" if name == "reads" else "source")) == {source}
        assert set(column(chunks[site], name, "site")) == {site}


def test_a_site_without_rows_has_no_chunk() -> None:
    assert decode(("a/r1", b"[]")) == {}
    assert list(decode(("b/r1", batch_of("AB12")))) == ["b"]


def test_a_topic_that_no_site_names_is_rejected_with_its_bytes() -> None:
    (row,) = decode(("who/knows", b"\x00\xff"))[None].batch("rejects").to_pylist()
    assert (row["site"], row["source"], row["topic"], row["bytes"]) == (None, None, "who/knows", b"\x00\xff")
    assert row["reason_code"] == "topic_unknown"
    assert "status_mqtt_topics" in row["reason"]


def test_a_topic_that_is_not_unicode_costs_nothing_else() -> None:
    chunks = decode(("bad\ud800topic", b"x"), ("b/r1", batch_of("AB12")))
    assert column(chunks[None], "rejects", "topic") == ["bad\\ud800topic"]
    assert chunks["b"].rows == 1


def test_a_line_of_a_capture_that_cannot_be_read_is_rejected_as_it_stands() -> None:
    chunk = decode((CAPTURE_PROBLEM_TOPIC, b'capture_line_truncated\n{"topic":"a\nb'))[None]
    assert column(chunk, "rejects", "reason_code") == ["capture_line_truncated"]
    assert column(chunk, "rejects", "bytes") == [b'{"topic":"a\nb']


def test_clock_records_are_marks_in_every_sites_chunk() -> None:
    chunks = decode((CLOCK_TOPIC, b""), ("b/r1", batch_of("AB12")), ("c", b"?"), (CLOCK_TOPIC, b""))
    marks = tuple(ClockMark(edge_offset=offset, received_us=RECEIVED_US + 1_000 * offset) for offset in (1, 4))
    assert list(chunks) == ["a", "b", None]
    assert chunks["a"].clock == chunks["b"].clock == marks
    assert chunks["a"].rows == 0
    assert chunks[None].clock == ()


def test_rows_of_one_publication_are_numbered_across_streams() -> None:
    documents = [
        {"type": "status", "status": "connected"},
        {"type": "read", "epc": "AB12"},
        {"type": "read", "epc": "odd"},
        {"type": "measurement", "quantity": "mass", "value": 1},
        {"type": "read", "epc": "AB13"},
    ]
    chunk = decode(("b/r1", json.dumps(documents).encode()), ("b/r1", batch_of("AB14")))["b"]
    numbers = {name: column(chunk, name, "edge_index") for name in chunk.batches}
    assert numbers == {"reads": [0, 1, 0], "readings": [2], "device_events": [3], "rejects": [4]}
    assert column(chunk, "reads", "epc_hex") == ["AB12", "AB13", "AB14"]


def test_a_publication_of_which_nothing_decodes_is_one_reject() -> None:
    (row,) = decode(("a/r2", b'{"type":'))["a"].batch("rejects").to_pylist()
    assert (row["site"], row["source"], row["bytes"], row["reason_code"]) == ("a", "r2", b'{"type":', "json_invalid")


def test_a_partly_bad_publication_keeps_its_bytes_once() -> None:
    payload = batch_of("AB12", "odd", "AB13", "?!")
    chunk = decode(("b/r1", payload))["b"]
    assert column(chunk, "reads", "epc_hex") == ["AB12", "AB13"]
    assert column(chunk, "rejects", "bytes") == [payload, b""]


def test_a_payload_over_the_limit_is_rejected() -> None:
    chunk = decode(("b/r1", b"[" * (PAYLOAD_BYTES_MAX + 1)))["b"]
    assert column(chunk, "rejects", "reason_code") == ["payload_too_large"]


@pytest.mark.parametrize(
    ("topic", "site", "source"), [("b/r1", "b", "r1"), ("who/knows/it", None, None), ("/", None, None)]
)
def test_what_the_bridge_kept_of_an_oversized_publication_is_a_reject_where_it_belongs(
    topic: str, site: str | None, source: str | None
) -> None:
    came = Publication(topic=topic, payload=b"x" * 100_000, received_us=RECEIVED_US)
    kept = oversized(came, 123_456_789)
    chunk = decode((kept.topic, kept.payload), ("b/r1", batch_of("AB12")))[site]
    (row,) = chunk.batch("rejects").to_pylist()
    assert (row["site"], row["source"], row["topic"]) == (site, source, topic)
    assert (row["reason_code"], row["bytes"]) == ("payload_too_large", b"x" * KEPT_BYTES)
    assert "123456789 bytes" in row["reason"]


@pytest.mark.parametrize("topic", ["$tagtide/oversized/", "$tagtide/oversized/x/b/r1", "$tagtide/oversized/12"])
def test_a_topic_that_only_looks_like_an_oversized_one_is_unknown(topic: str) -> None:
    assert column(decode((topic, b"x"))[None], "rejects", "reason_code") == ["topic_unknown"]


def test_a_decoders_bug_costs_one_publication() -> None:
    def broken(payload: bytes, topic: str, source: Source) -> Decoded:
        del topic, source
        if payload == b"?":
            raise KeyError("\ud800")
        return Decoded(reads=[TagRead(epc_hex="AB12")])

    directory = TopicDirectory({"t": Route(source=a_source("broken"), decode=broken)}, ("store-042",))
    (chunk,) = decode_publications(logged([("t", b"?"), ("t", b"!")]), edge_id="e", directory=directory)
    assert column(chunk, "reads", "edge_offset") == [2]
    assert column(chunk, "rejects", "reason_code") == ["decoder_bug"]
    assert column(chunk, "rejects", "bytes") == [b"?"]


@pytest.mark.parametrize("offsets", [(2, 1), (1, 1), (0, 1)])
def test_publications_out_of_order_are_a_programmers_error(offsets: tuple[int, int]) -> None:
    publication = Publication(topic="t", payload=b"", received_us=0)
    found = [LoggedPublication(edge_offset=offset, publication=publication) for offset in offsets]
    with pytest.raises(ValueError, match="edge offset"):
        decode_publications(found, edge_id="e", directory=DIRECTORY)


def test_too_many_bytes_for_one_call_are_a_programmers_error() -> None:
    payload = bytes(PAYLOAD_BYTES_MAX + 1)
    count = PUBLICATION_BYTES_MAX // len(payload) + 1
    with pytest.raises(ValueError, match="limit"):
        decode_publications(logged([("t", payload)] * count), edge_id="e", directory=DIRECTORY)


publications = st.lists(
    st.sampled_from(
        [
            ("a/r1", impinj(epc="MDQ")),
            ("a/r1", b"[]"),
            ("a/r2", b"{"),
            ("a/sh/mass", b"2.5"),
            ("a/sh/touched", b"1"),
            ("b/r1", batch_of("AB12", "x", "AB13")),
            ("b/t", b'{"type":"measurement","quantity":"temperature","value":4}'),
            ("c", b"?"),
            (CLOCK_TOPIC, b""),
        ]
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=40)
@given(publications, st.integers(0, 12))
def test_decoding_in_two_parts_is_decoding_and_cutting(found: list[tuple[str, bytes]], cut: int) -> None:
    """Cutting the log before decoding and cutting the chunk behind it give the same rows and marks."""
    whole = decode(*found, first=5)
    last = 4 + min(cut, len(found))
    before, behind = decode(*found[: last - 4], first=5), decode(*found[last - 4 :], first=last + 1)
    for site, chunk in whole.items():
        for part, separate in ((chunk.through(last), before.get(site)), (chunk.after(last), behind.get(site))):
            assert part.rows == (0 if separate is None else separate.rows)
            if separate is not None:
                assert part.clock == separate.clock
                assert dict(part.batches) == dict(separate.batches)


@pytest.mark.slow
@settings(max_examples=40)
@given(publications)
def test_every_row_has_a_key_of_its_own_in_order(found: list[tuple[str, bytes]]) -> None:
    for chunk in decode(*found).values():
        keys = [key for stream in chunk.batches for key in _keys(chunk, stream)]
        assert len(set(keys)) == len(keys)
        for stream in chunk.batches:
            ordered = list(_keys(chunk, stream))
            assert ordered == sorted(ordered)
        per_publication: dict[object, list[object]] = {}
        for offset, index in sorted(keys):
            per_publication.setdefault(offset, []).append(index)
        assert all(indexes == list(range(len(indexes))) for indexes in per_publication.values())


def _keys(chunk: Chunk, stream: str) -> Iterator[tuple[int, int]]:
    batch = chunk.batch(stream)
    return zip(np.asarray(batch["edge_offset"]).tolist(), np.asarray(batch["edge_index"]).tolist(), strict=True)


class TestDirectory:
    def test_routes_are_exact(self) -> None:
        route = DIRECTORY.route("a/r1/will")
        assert route is not None
        assert (route.source.id, route.source.profile, route.source.antenna_ports) == ("r1", "impinj", {"dock": 4})
        assert DIRECTORY.route("a/r1/") is None
        assert DIRECTORY.route("A/r1") is None

    def test_it_knows_its_sites_and_topics(self) -> None:
        assert DIRECTORY.sites == ("a", "b")
        assert DIRECTORY.topics == ("a/r1", "a/r1/will", "a/r2", "a/sh/mass", "a/sh/touched", "b/r1", "b/t", "b/erp")

    def test_every_problem_between_sites_is_told_at_once(self) -> None:
        reader = Reader(id="r9", profile="impinj", mqtt_topic="a/r1")
        sites = [
            A,
            Site(id="c", readers=(reader,)),
            Site(id="c", feeds=(Feed(id="f", profile="morse", mqtt_topic="f"),)),
        ]
        with pytest.raises(TopicDirectoryError) as caught:
            TopicDirectory.of(sites)
        claim = "topic 'a/r1' of reader r9 in site c is also that of reader r1 in site a"
        assert caught.value.problems == [
            "two sites have the id c",
            f"{claim}: give each device a topic of its own",
            "feed f in site c has the unknown profile 'morse': use one of impinj, tagtide, weight, zebra",
        ]

    def test_a_reader_may_name_its_own_topic_twice(self) -> None:
        reader = Reader(id="r", profile="impinj", mqtt_topic="t", status_mqtt_topics=("t",))
        assert TopicDirectory.of([Site(id="s", readers=(reader,))]).topics == ("t",)


def test_what_the_bridge_says_of_itself_is_said_to_every_site_under_a_key_of_its_own() -> None:
    record = away_payload(AwayRecord(from_us=RECEIVED_US - 9_000_000, until_us=RECEIVED_US, reason="stopped"))
    lost = away_payload(AwayRecord(from_us=1, until_us=2, reason="disconnected", session_lost=True))
    chunks = decode((BRIDGE_TOPIC, record), (BRIDGE_TOPIC, lost))
    rows = {site: chunk.batch("device_events").to_pylist() for site, chunk in chunks.items()}
    assert set(rows) == {"a", "b"}
    for site_rows in rows.values():
        assert [row["event"] for row in site_rows] == ["away", "away", "session_lost"]
        assert {(row["source_kind"], row["source"]) for row in site_rows} == {("bridge", "bridge")}
    keys = [(row["edge_offset"], row["edge_index"]) for site_rows in rows.values() for row in site_rows]
    assert len(set(keys)) == len(keys) == 6
    for chunk in chunks.values():
        encoded = encode_chunk(chunk, session="s")
        batch = decode_rows("device_events", [piece.value for piece in encoded.pieces])
        assert batch.equals(chunk.batch("device_events"))
