"""The format of Tagtide's Kafka records: what goes in comes out, and rubbish is told from records."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.chunk import Chunk
from devices.errors import Recovery
from devices.schemas import STREAMS
from ingest.json_rows import decode_rows
from ingest.kafka_errors import KafkaPositionError, KafkaRecordError, KafkaRecordVersionError
from ingest.kafka_position import decode_position
from ingest.kafka_records import (
    ARROW_STREAMS,
    KafkaRecord,
    Piece,
    Progress,
    TopicShare,
    decode_chunk,
    decode_piece,
    decode_progress,
    encode_chunk,
    encode_progress,
    kafka_partition_of,
)
from tests.ingest.chunk_strategies import chunks, equal_chunks


def sent(chunk: Chunk, *, record_bytes_limit: int = 900_000) -> tuple[list[KafkaRecord], KafkaRecord]:
    """Encode a chunk as a forwarder does; its records get the offsets 0, 1, 2... in each topic."""
    encoded = encode_chunk(chunk, session="s1", record_bytes_limit=record_bytes_limit)
    counts = {stream: sum(piece.topic == stream for piece in encoded.pieces) for stream in encoded.rows}
    progress = Progress(
        edge_id=chunk.edge_id,
        site=chunk.site,
        session="s1",
        first_offset=chunk.first_offset,
        last_offset=chunk.last_offset,
        previous_offset=None,
        topics={
            stream: TopicShare(
                records=count,
                rows=encoded.rows[stream],
                first_kafka_offset=0,
                last_kafka_offset=count - 1,
            )
            for stream, count in counts.items()
        },
        clock=chunk.clock,
    )
    return list(encoded.pieces), encode_progress(progress)


def received(pieces: Sequence[KafkaRecord], progress: KafkaRecord) -> Chunk:
    found: dict[str, list[Piece]] = {}
    for record in pieces:
        found.setdefault(record.topic, []).append(decode_piece(record.value, record.headers))
    return decode_chunk(decode_progress(progress.value), found)


@given(chunks(), st.sampled_from([900_000, 5_000, 100]))
@settings(deadline=None, max_examples=60)
def test_what_is_sent_is_received(chunk: Chunk, record_bytes_limit: int) -> None:
    pieces, progress = sent(chunk, record_bytes_limit=record_bytes_limit)
    assert equal_chunks(received(pieces, progress), chunk)
    assert all(len(piece.value) <= record_bytes_limit for piece in pieces)
    for record in (*pieces, progress):
        piece = decode_piece(record.value, record.headers)
        assert piece.chunk == decode_progress(progress.value).chunk
        assert record.key == (chunk.site or chunk.edge_id).encode()


def test_a_large_batch_is_cut_by_rows() -> None:
    rows = [_read(index) for index in range(2_000)]
    batch = pa.RecordBatch.from_pylist(rows, schema=STREAMS["reads"])
    chunk = Chunk(site="s", edge_id="e", first_offset=1, last_offset=1, batches={"reads": batch})
    pieces, progress = sent(chunk, record_bytes_limit=50_000)
    assert 3 < len(pieces) < 20
    assert not any("fragment" in dict(piece.headers) for piece in pieces)
    assert equal_chunks(received(pieces, progress), chunk)


def test_a_row_too_large_for_a_record_is_cut_into_fragments() -> None:
    reject = _reject(bytes(range(256)) * 40)
    chunk = _chunk("rejects", [reject])
    pieces, progress = sent(chunk, record_bytes_limit=5_000)
    assert [dict(piece.headers)["fragment"] for piece in pieces] == [b"1/3", b"2/3", b"3/3"]
    assert equal_chunks(received(pieces, progress), chunk)


def test_json_rows_are_readable_and_leave_out_what_is_null() -> None:
    pieces, _ = sent(_chunk("rejects", [_reject(b"\xff{")]))
    assert json.loads(pieces[0].value) == {
        "site": "s",
        "topic": "a/b",
        "bytes": "/3s=",
        "reason_code": "json_invalid",
        "reason": "not JSON",
        "received_time": "2026-11-22T15:35:31.485691Z",
        "edge_id": "e",
        "edge_offset": 1,
        "edge_index": 0,
    }


def test_a_site_keeps_its_partition_number() -> None:
    # Once records are in Kafka these may never change; that librdkafka agrees is held against the real one.
    assert [kafka_partition_of(key, 12) for key in (b"store-042", b"store-043", b"")] == [7, 1, 0]


@pytest.mark.parametrize("missing", ["schema_version", "edge_id", "session", "first_offset", "last_offset"])
def test_a_record_without_one_of_our_headers_is_foreign(missing: str) -> None:
    pieces, _ = sent(_chunk("rejects", [_reject(b"x")]))
    headers = [header for header in pieces[0].headers if header[0] != missing]
    with pytest.raises(KafkaRecordError, match=missing) as caught:
        decode_piece(pieces[0].value, headers)
    assert caught.value.code == "kafka_record_invalid"


def test_a_newer_version_stops_the_consumer_rather_than_being_skipped() -> None:
    pieces, progress = sent(_chunk("rejects", [_reject(b"x")]))
    newer = [("schema_version", b"2"), *pieces[0].headers[1:]]
    with pytest.raises(KafkaRecordVersionError) as caught:
        decode_piece(pieces[0].value, newer)
    assert caught.value.recovery is Recovery.HALT
    changed = json.loads(progress.value) | {"schema_version": 2, "topics": "of another kind"}
    with pytest.raises(KafkaRecordVersionError, match="schema version 2"):
        decode_progress(json.dumps(changed).encode())


def test_a_piece_with_fewer_rows_than_were_counted_is_refused() -> None:
    pieces, progress = sent(_chunk("rejects", [_reject(b"x"), _reject(b"y")]))
    with pytest.raises(KafkaRecordError, match="1 rows where 2 were counted"):
        received(pieces[:1], progress)


@pytest.mark.parametrize("kept", [[0, 1], [1, 2], [0, 2, 1], [0]])
def test_fragments_that_do_not_make_a_value_are_refused(kept: list[int]) -> None:
    pieces, progress = sent(_chunk("rejects", [_reject(bytes(9_000))]), record_bytes_limit=5_000)
    assert len(pieces) == 3
    with pytest.raises(KafkaRecordError, match="fragment"):
        received([pieces[index] for index in kept], progress)


@given(
    st.none() | st.binary(max_size=60),
    st.none() | st.lists(st.tuples(st.sampled_from(["schema_version", "edge_id", "x"]), st.binary(max_size=8))),
)
def test_rubbish_is_refused_with_an_error_of_ours(value: bytes | None, headers: list[tuple[str, bytes]] | None) -> None:
    with pytest.raises((KafkaRecordError, KafkaRecordVersionError)):
        decode_piece(value, headers)
    with pytest.raises(KafkaRecordError):
        decode_progress(value)


@given(st.sampled_from(sorted(STREAMS)), st.data())
@settings(deadline=None, max_examples=100)
def test_a_damaged_piece_is_decoded_or_refused_and_nothing_else(stream: str, data: st.DataObject) -> None:
    rows = [_read(0), _read(1)] if stream == "reads" else [_any_row(stream)]
    pieces, progress = sent(_chunk(stream, rows))
    damaged = bytearray(pieces[0].value)
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    value = bytes(damaged[: data.draw(st.integers(0, len(damaged)))]) if data.draw(st.booleans()) else bytes(damaged)
    try:
        found = received([dataclasses.replace(pieces[0], value=value), *pieces[1:]], progress)
    except KafkaRecordError:
        return
    found.batch(stream).validate(full=True)


@given(st.sampled_from(sorted(set(STREAMS) - ARROW_STREAMS)), st.data())
@settings(deadline=None, max_examples=60)
def test_a_json_row_with_a_value_of_another_kind_is_refused_or_kept_whole(stream: str, data: st.DataObject) -> None:
    pieces, progress = sent(_chunk(stream, [_any_row(stream)]))
    row = json.loads(pieces[0].value)
    name = data.draw(st.sampled_from(sorted(field.name for field in STREAMS[stream])))
    row[name] = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers())
    )
    with contextlib.suppress(KafkaRecordError):
        received([dataclasses.replace(pieces[0], value=msgspec.json.encode(row))], progress)


@given(st.data())
@settings(deadline=None, max_examples=60)
@example(data=None)
def test_a_damaged_progress_record_is_decoded_or_refused_and_nothing_else(data: st.DataObject | None) -> None:
    _, progress = sent(_chunk("rejects", [_reject(b"x")]))
    fields = json.loads(progress.value)
    if data is None:
        fields["topics"]["rejects"]["records"] = 0
    else:
        name = data.draw(st.sampled_from(sorted(fields)))
        fields[name] = data.draw(st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.just({"x": {}}))
    try:
        decode_progress(json.dumps(fields).encode())
    except (KafkaRecordError, KafkaRecordVersionError):
        return
    assert data is not None


@pytest.mark.parametrize("stream", ["device_events", "business_events", "rejects"])
def test_a_row_nested_beyond_every_limit_is_an_error_of_ours(stream: str) -> None:
    """It lies on the topic for ever: whatever else it raised would stop every job that comes to it."""
    with pytest.raises(KafkaRecordError):
        decode_rows(stream, [b'{"a":' * 100_000])
    with pytest.raises(KafkaRecordError):
        decode_progress(b'{"a":' * 100_000)
    with pytest.raises(KafkaPositionError):
        decode_position(b'{"a":' * 100_000)


def _changed(row: dict[str, object]) -> Chunk:
    return _chunk("reads", [_read(1), _read(2) | row])


@pytest.mark.parametrize(
    "row",
    [
        {"event_time": 253_402_300_799_000_000},
        {"reader_time": -(2**63)},
        {"received_time": 2**63 - 1},
        {"site": "t"},
        {"edge_id": "other"},
        {"edge_offset": 0},
        {"edge_offset": 10},
        {"edge_index": -1},
        {"edge_index": 2**31 - 1},
        {"edge_index": 1},
        {"rssi_dbm": float("inf")},
        {"phase_deg": float("nan")},
    ],
)
def test_rows_that_no_decoder_would_have_let_through_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(KafkaRecordError):
        received(*sent(_changed(row)))


def _chunk(stream: str, rows: list[dict[str, object]]) -> Chunk:
    batch = pa.RecordBatch.from_pylist(rows, schema=STREAMS[stream])
    return Chunk(site="s", edge_id="e", first_offset=1, last_offset=9, batches={stream: batch})


_NOW = 1_795_361_731_485_691
_TIMES = {"event_time": _NOW, "received_time": _NOW, "event_time_source": "received"}
_PLACE = {"edge_id": "e", "edge_offset": 1, "edge_index": 0}


def _read(index: int) -> dict[str, object]:
    named = {"site": "s", "reader": "r1", "epc_hex": f"3034257BF7194E40{index:08X}", "antenna": 1, "rssi_dbm": -61.5}
    return {**named, **_TIMES, **_PLACE, "edge_index": index}


def _reject(payload: bytes) -> dict[str, object]:
    named = {"site": "s", "topic": "a/b", "bytes": payload, "reason_code": "json_invalid", "reason": "not JSON"}
    return {**named, "received_time": _NOW, **_PLACE}


def _any_row(stream: str) -> dict[str, object]:
    if stream == "rejects":
        return _reject(b"payload")
    texts = {field.name: f"a {field.name}" for field in STREAMS[stream] if pa.types.is_string(field.type)}
    numbers = {"value": 21.5} if stream == "readings" else {"quantity": 3} if stream == "business_events" else {}
    return {**texts, **numbers, **_TIMES, **_PLACE}
