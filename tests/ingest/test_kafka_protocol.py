"""The chunk protocol under crashes, late records, replays and any order of reading: everything once, in edge order."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.chunk import Chunk, ClockMark
from devices.schemas import STREAMS
from ingest.chunk_assembly import ABANDONED_AFTER_MS, ChunkAssembly
from ingest.kafka_records import (
    PROGRESS_TOPIC,
    KafkaRecord,
    Piece,
    Progress,
    TopicShare,
    decode_piece,
    encode_chunk,
)
from tests.ingest.kafka_simulation import SimulatedConsumer, SimulatedEdge, SimulatedForwarder, SimulatedKafka, joined


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_every_row_is_handed_out_once_and_in_order_whatever_fails(seed: int) -> None:
    generator = random.Random(seed)
    kafka = SimulatedKafka()
    edges = [_edge("old", generator), _edge("new", generator)]
    consumer = SimulatedConsumer(kafka, generator)
    crashes_left = generator.randrange(6)
    forwarders = [SimulatedForwarder(edge, kafka, generator) for edge in edges]
    while not all(forwarder.is_done for forwarder in forwarders) or kafka.late:
        number = generator.randrange(len(edges))
        forwarders[number].step()
        if crashes_left and generator.random() < 0.05:
            crashes_left -= 1
            forwarders[number].crash()
            forwarders[number] = SimulatedForwarder(edges[number], kafka, generator)
        if kafka.late and generator.random() < 0.3:
            kafka.append_late(generator)
        for _ in range(generator.randrange(4)):
            consumer.step()
        if generator.random() < 0.05:
            consumer.keep()
        if generator.random() < 0.02:
            consumer.restart()
    consumer.drain()
    _check_whole(consumer, edges)

    again = SimulatedConsumer(kafka, generator)
    again.drain()
    _check_whole(again, edges)
    for site in ("a", "b", None):  # a site's edge logs come in the same order too
        assert _order(again, site) == _order(consumer, site)


def _check_whole(consumer: SimulatedConsumer, edges: list[SimulatedEdge]) -> None:
    found = joined(consumer.chunks)
    for edge in edges:
        for site, whole in edge.sites.items():
            for stream, batch in whole.batches.items():
                assert found[site, edge.edge_id][stream].to_batches()[0].equals(batch)
            marks = [mark for chunk in consumer.chunks for mark in chunk.clock if _is_of(chunk, site, edge)]
            assert marks == list(whole.clock)
    for sending in consumer.assembly._sendings:  # only what no chunk has covered yet
        assert sending.last_offset > consumer.assembly.handed[sending.site, sending.edge_id]
    assert consumer.assembly.stats.gaps == consumer.assembly.stats.rows_gone == 0


def _is_of(chunk: Chunk, site: str | None, edge: SimulatedEdge) -> bool:
    return (chunk.site, chunk.edge_id) == (site, edge.edge_id)


def _order(consumer: SimulatedConsumer, site: str | None) -> list[tuple[str, int]]:
    return [
        (chunk.edge_id, offset)
        for chunk in consumer.chunks
        if chunk.site == site
        for offset in sorted({value for batch in chunk.batches.values() for value in batch["edge_offset"].to_pylist()})
    ]


def _edge(edge_id: str, generator: random.Random) -> SimulatedEdge:
    last = generator.randint(1, 14)
    return SimulatedEdge(
        edge_id=edge_id,
        last_offset=last,
        sites={site: _whole(site, edge_id, last, generator) for site in ("a", "b", None)},
    )


def _whole(site: str | None, edge_id: str, last: int, generator: random.Random) -> Chunk:
    streams = ("rejects",) if site is None else ("reads", "rejects")
    batches = {}
    for stream in streams:
        offsets = [offset for offset in range(1, last + 1) if generator.random() < 0.6]
        rows = [
            _row(stream, site, edge_id, offset, index) for offset in offsets for index in range(generator.randrange(3))
        ]
        if rows:
            batches[stream] = pa.RecordBatch.from_pylist(rows, schema=STREAMS[stream])
    marks = [offset for offset in range(1, last + 1) if site is not None and generator.random() < 0.1]
    clock = tuple(ClockMark(edge_offset=offset, received_us=offset) for offset in marks)
    return Chunk(site=site, edge_id=edge_id, first_offset=1, last_offset=last, batches=batches, clock=clock)


def _row(stream: str, site: str | None, edge_id: str, offset: int, index: int) -> dict[str, object]:
    texts = {field.name: "x" for field in STREAMS[stream] if pa.types.is_string(field.type) and not field.nullable}
    times = {
        field.name: offset for field in STREAMS[stream] if pa.types.is_timestamp(field.type) and not field.nullable
    }
    place = {"site": site, "edge_id": edge_id, "edge_offset": offset, "edge_index": index}
    return {**texts, **times, "bytes": b"\x00\xff", **place}


class TestOnePartition:
    """Worked examples: site `s`, edge log `e`, one reject a publication."""

    def test_a_chunk_waits_for_its_last_piece(self) -> None:
        assembly = ChunkAssembly()
        pieces, progress = _sent(1, 2)
        _give(assembly, pieces[0], 0)
        assembly.add_progress(0, progress)
        assert assembly.take() is None
        assert assembly.awaited() == {"rejects": 1}
        _give(assembly, pieces[1], 1)
        assert _offsets(assembly.take()) == [1, 2]
        assert assembly.held_bytes["rejects"] == 0

    def test_the_position_stays_at_what_was_not_handed_out(self) -> None:
        assembly = ChunkAssembly(next_offsets={"rejects": 7})
        pieces, progress = _sent(1, 2, at=7)
        assembly.add_progress(4, progress)
        _give(assembly, pieces[0], 7)
        assert assembly.next_offsets() == {"rejects": 7, PROGRESS_TOPIC: 4}
        _give(assembly, pieces[1], 8)
        assembly.take()
        assert assembly.next_offsets() == {"rejects": 9, PROGRESS_TOPIC: 5}

    def test_a_range_sent_again_with_other_borders_is_cut(self) -> None:
        assembly = ChunkAssembly()
        taken = []
        at = 0
        for number, (first, last) in enumerate([(1, 4), (1, 2), (3, 6), (5, 6)]):
            pieces, progress = _sent(first, last, at=at, session=f"s{number}")
            for piece in pieces:
                _give(assembly, piece, at)
                at += 1
            assembly.add_progress(number, progress)
            while (chunk := assembly.take()) is not None:
                taken.append(_offsets(chunk))
        assert taken == [[1, 2, 3, 4], [5, 6]]
        assert assembly.stats.repeats == 2

    def test_pieces_of_a_sending_that_never_ended_are_forgotten_when_their_range_is_covered(self) -> None:
        assembly = ChunkAssembly()
        orphan, _ = _sent(1, 2, session="crashed")
        _give(assembly, orphan[0], 0)
        pieces, progress = _sent(1, 2, at=1, session="next")
        for offset, piece in enumerate(pieces, 1):
            _give(assembly, piece, offset)
        assert assembly.next_offsets()["rejects"] == 0
        assembly.add_progress(0, progress)
        assert _offsets(assembly.take()) == [1, 2]
        assert assembly.held_bytes["rejects"] == 0
        assert assembly.next_offsets()["rejects"] == 3

    def test_pieces_that_nobody_names_for_a_day_are_abandoned_but_not_those_that_were_named(self) -> None:
        assembly = ChunkAssembly()
        orphan, _ = _sent(1, 2, session="crashed-for-good")
        _give(assembly, orphan[0], 0, appended_ms=1_000)
        named, progress = _sent(1, 1, at=1, edge_id="other")
        _give(assembly, named[0], 1, appended_ms=1_000)
        late, late_progress = _sent(1, 1, at=2, edge_id="late")
        assembly.add_progress(0, late_progress, appended_ms=2_000)
        assembly.add_progress(1, progress, appended_ms=1_500 + ABANDONED_AFTER_MS)
        assert assembly.stats.abandoned == 1
        assert assembly.next_offsets()["rejects"] == 1
        _give(assembly, late[0], 2)
        assert [_offsets(assembly.take()), _offsets(assembly.take())] == [[1], [1]]

    def test_a_record_read_twice_counts_once(self) -> None:
        assembly = ChunkAssembly()
        pieces, progress = _sent(1, 2)
        for offset in (0, 0, 1, 0, 1):
            _give(assembly, pieces[offset], offset)
        assembly.add_progress(0, progress)
        assembly.add_progress(0, progress)
        assert _offsets(assembly.take()) == [1, 2]
        assert assembly.take() is None

    def test_rows_that_kafka_no_longer_holds_are_counted_and_hold_up_nothing(self) -> None:
        assembly = ChunkAssembly()
        pieces, progress = _sent(1, 2)
        assembly.add_progress(0, progress)
        assembly.skip("rejects", 0)  # the topic now begins at offset 1
        _give(assembly, pieces[1], 1)
        assert assembly.take() is None
        assert assembly.stats.rows_gone == 2
        later, later_progress = _sent(3, 3, at=2, previous_offset=2)
        _give(assembly, later[0], 2)
        assembly.add_progress(1, later_progress)
        assert _offsets(assembly.take()) == [3]
        assert assembly.stats.gaps == 0

    def test_a_hole_between_chunks_is_counted(self) -> None:
        assembly = ChunkAssembly(handed={("s", "e"): 2})
        pieces, progress = _sent(9, 9, previous_offset=8)
        _give(assembly, pieces[0], 0)
        assembly.add_progress(0, progress)
        assert _offsets(assembly.take()) == [9]
        assert assembly.stats.gaps == 1

    def test_a_damaged_piece_costs_its_stream_of_the_chunk_and_no_more(self) -> None:
        assembly = ChunkAssembly()
        pieces, progress = _sent(1, 1)
        assembly.add_piece("rejects", 0, _changed(pieces[0], b"{}"))
        assembly.add_progress(0, progress)
        assert assembly.take() is None
        assert assembly.stats.rows_undecodable == 1

    @pytest.mark.parametrize("site", [None, "s", "e"])
    def test_sites_are_told_apart_even_where_one_is_named_like_an_edge_log(self, site: str | None) -> None:
        assembly = ChunkAssembly()
        others = [other for other in (None, "s", "e") if other != site]
        for offset, other in enumerate(others):
            pieces, _ = _sent(1, 1, at=offset, site=other)
            _give(assembly, pieces[0], offset)
        pieces, progress = _sent(1, 1, at=2, site=site)
        assembly.add_progress(0, progress)
        assert assembly.take() is None
        _give(assembly, pieces[0], 2)
        chunk = assembly.take()
        assert chunk is not None
        assert chunk.batch("rejects")["site"].to_pylist() == [site]


def _sent(
    first: int,
    last: int,
    *,
    at: int = 0,
    session: str = "s1",
    site: str | None = "s",
    edge_id: str = "e",
    previous_offset: int | None = None,
) -> tuple[list[KafkaRecord], Progress]:
    rows = [_row("rejects", site, edge_id, offset, 0) for offset in range(first, last + 1)]
    batch = pa.RecordBatch.from_pylist(rows, schema=STREAMS["rejects"])
    chunk = Chunk(site=site, edge_id=edge_id, first_offset=first, last_offset=last, batches={"rejects": batch})
    encoded = encode_chunk(chunk, session=session)
    count = len(encoded.pieces)
    share = TopicShare(records=count, rows=count, first_kafka_offset=at, last_kafka_offset=at + count - 1)
    progress = Progress(
        edge_id=edge_id,
        site=site,
        session=session,
        first_offset=first,
        last_offset=last,
        previous_offset=previous_offset,
        topics={"rejects": share},
    )
    return list(encoded.pieces), progress


def _give(assembly: ChunkAssembly, record: KafkaRecord, kafka_offset: int, appended_ms: int | None = None) -> None:
    piece = decode_piece(record.value, record.headers)
    assembly.add_piece(record.topic, kafka_offset, piece, appended_ms=appended_ms)


def _changed(record: KafkaRecord, value: bytes) -> Piece:
    return decode_piece(value, record.headers)


def _offsets(chunk: Chunk | None) -> list[int]:
    assert chunk is not None
    found: list[int] = chunk.batch("rejects")["edge_offset"].to_pylist()
    return found
