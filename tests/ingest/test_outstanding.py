"""The forwarder's bookkeeping: whatever the order of delivery reports, nothing is promised too early or forgotten."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.kafka_records import ChunkId, EncodedChunk, KafkaRecord
from ingest.outstanding import Outstanding, SentChunk


def encoded(site: str | None, first: int, last: int, pieces: int) -> EncodedChunk:
    chunk = ChunkId(site=site, edge_id="e", session="s", first_offset=first, last_offset=last)
    record = KafkaRecord(topic="reads", key=b"k", value=b"12345", headers=())
    return EncodedChunk(chunk=chunk, pieces=(record,) * pieces, rows={"reads": pieces}, clock=())


def test_the_cursor_waits_for_every_piece_and_the_progress_record() -> None:
    outstanding = Outstanding(10)
    (chunk,) = outstanding.add(20, [encoded("a", 11, 20, 2)])
    outstanding.piece_delivered(chunk, "reads", 105)
    assert outstanding.take_due() == []
    outstanding.piece_delivered(chunk, "reads", 103)
    assert outstanding.take_due() == [chunk]
    assert outstanding.take_due() == []
    share = chunk.progress().topics["reads"]
    assert (share.records, share.rows, share.first_kafka_offset, share.last_kafka_offset) == (2, 2, 103, 105)
    assert outstanding.cursor == 10
    outstanding.concluded(chunk)
    assert (outstanding.cursor, outstanding.value_bytes, outstanding.is_empty) == (20, 0, True)


def test_progress_records_of_a_site_follow_each_other_while_sites_do_not_wait_for_each_other() -> None:
    outstanding = Outstanding(0)
    a1, b1 = outstanding.add(10, [encoded("a", 1, 10, 1), encoded("b", 1, 10, 1)])
    (a2,) = outstanding.add(20, [encoded("a", 11, 20, 0)])
    outstanding.piece_delivered(b1, "reads", 0)
    assert outstanding.take_due() == [b1]
    outstanding.piece_delivered(a1, "reads", 1)
    assert outstanding.take_due() == [a1]
    outstanding.concluded(a1)
    assert outstanding.take_due() == [a2]
    assert (a1.previous_offset, a2.previous_offset, b1.previous_offset) == (None, 10, None)
    outstanding.concluded(a2)
    assert outstanding.cursor == 0  # b's first chunk is not confirmed yet
    outstanding.concluded(b1)
    assert outstanding.cursor == 20


def test_a_range_without_chunks_moves_the_cursor_in_its_turn() -> None:
    outstanding = Outstanding(0)
    (chunk,) = outstanding.add(5, [encoded(None, 1, 5, 0)])
    assert outstanding.add(9, []) == []
    assert outstanding.cursor == 0
    outstanding.concluded(chunk)
    assert outstanding.cursor == 9


def test_a_range_that_does_not_rise_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        Outstanding(5).add(5, [])


@given(st.randoms(use_true_random=False), st.lists(st.lists(st.integers(0, 3), max_size=3), min_size=1, max_size=8))
def test_any_order_of_delivery_reports(generator: random.Random, ranges: Sequence[Sequence[int]]) -> None:
    """Each range is a list of piece counts, the n-th of them for site n; reports come in any order."""
    outstanding = Outstanding(0)
    in_flight: list[SentChunk] = []  # one entry a piece
    concluding: list[SentChunk] = []
    unconfirmed: dict[str, list[SentChunk]] = {}
    waiting = list(enumerate(ranges, 1))
    while waiting or in_flight or concluding:
        choices = [name for name, some in (("add", waiting), ("piece", in_flight), ("end", concluding)) if some]
        match generator.choice(choices):
            case "add":
                number, pieces = waiting.pop(0)
                chunks = [encoded(f"site-{n}", number, number, count) for n, count in enumerate(pieces)]
                for chunk in outstanding.add(number, chunks):
                    in_flight += [chunk] * chunk.pieces_left
                    unconfirmed.setdefault(str(chunk.chunk.site), []).append(chunk)
            case "piece":
                chunk = in_flight.pop(generator.randrange(len(in_flight)))
                outstanding.piece_delivered(chunk, "reads", generator.randrange(100))
            case _:
                chunk = concluding.pop(generator.randrange(len(concluding)))
                lane = unconfirmed[str(chunk.chunk.site)]
                assert lane.pop(0) is chunk
                outstanding.concluded(chunk)
        for chunk in outstanding.take_due():
            assert chunk not in in_flight
            assert chunk not in concluding
            assert unconfirmed[str(chunk.chunk.site)][0] is chunk
            concluding.append(chunk)
        left = [chunk.chunk.first_offset for lane in unconfirmed.values() for chunk in lane]
        assert outstanding.cursor == min([offset - 1 for offset in left] + [outstanding.sent_through])
    assert (outstanding.cursor, outstanding.value_bytes, outstanding.is_empty) == (len(ranges), 0, True)
