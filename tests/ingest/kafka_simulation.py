"""A simulated Kafka partition number with forwarders that crash and a consumer that restarts: one seed, one run.

Promises of Kafka that hold here: per producer and topic, records enter in the order they were sent; what was
acknowledged stays. Everything else happens: a crash leaves records in flight that enter later, or never, or entered
without their acknowledgement arriving; topics are read in any order; chunks are cut anew after each crash.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from devices.chunk import Chunk
from devices.schemas import STREAMS
from ingest.chunk_assembly import ChunkAssembly, LogKey
from ingest.kafka_position import KafkaPosition, decode_position, encode_position
from ingest.kafka_records import (
    PROGRESS_TOPIC,
    TOPICS,
    KafkaRecord,
    decode_piece,
    decode_progress,
    encode_chunk,
    encode_progress,
)
from ingest.outstanding import Outstanding, SentChunk


@dataclass
class SimulatedEdge:
    """An edge log that is decoded already: for each site, one chunk over all of it."""

    edge_id: str
    last_offset: int
    sites: Mapping[str | None, Chunk]
    cursor: int = 0

    def chunks(self, first: int, last: int) -> list[Chunk]:
        found = [whole.after(first - 1).through(last) for whole in self.sites.values()]
        return [chunk for chunk in found if chunk.rows or chunk.clock]


@dataclass
class SimulatedKafka:
    """What each topic holds, and what may still enter it."""

    topics: dict[str, list[KafkaRecord]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})
    late: list[deque[KafkaRecord]] = field(default_factory=list)

    def append(self, record: KafkaRecord) -> int:
        self.topics[record.topic].append(record)
        return len(self.topics[record.topic]) - 1

    def append_late(self, generator: random.Random) -> None:
        """Let a record of a dead producer enter."""
        queue = generator.choice(self.late)
        self.append(queue.popleft())
        self.late = [left for left in self.late if left]


class SimulatedForwarder:
    """One session of a forwarder."""

    def __init__(self, edge: SimulatedEdge, kafka: SimulatedKafka, generator: random.Random) -> None:
        self._edge = edge
        self._kafka = kafka
        self._generator = generator
        self._session = f"{generator.randrange(2**32):08x}"
        self._outstanding = Outstanding(edge.cursor)
        self._in_flight: dict[str, deque[tuple[KafkaRecord, Callable[[int], None]]]] = {}

    @property
    def is_done(self) -> bool:
        return self._edge.cursor == self._edge.last_offset

    def step(self) -> None:
        """Read a range, or deliver a record, or move the cursor."""
        choices = [self._move_cursor]
        if self._outstanding.sent_through < self._edge.last_offset:
            choices.append(self._read)
        if self._in_flight:
            choices += [self._deliver] * 4
        self._generator.choice(choices)()
        for chunk in self._outstanding.take_due():
            self._send(encode_progress(chunk.progress()), partial(self._conclude, chunk))

    def crash(self) -> None:
        """End: of what is in flight, some enters later, in order for each topic."""
        for queue in self._in_flight.values():
            late = [record for record, _ in queue][: self._generator.randint(0, len(queue))]
            if late:
                self._kafka.late.append(deque(late))
        self._in_flight.clear()

    def _read(self) -> None:
        first = self._outstanding.sent_through + 1
        last = min(self._edge.last_offset, first + self._generator.choice((0, 1, 3, 9)))
        limit = self._generator.choice((2_000, 900_000))
        encoded = [
            encode_chunk(chunk, session=self._session, record_bytes_limit=limit)
            for chunk in self._edge.chunks(first, last)
        ]
        for sent, each in zip(self._outstanding.add(last, encoded), encoded, strict=True):
            for piece in each.pieces:
                self._send(piece, partial(self._outstanding.piece_delivered, sent, piece.topic))

    def _send(self, record: KafkaRecord, report: Callable[[int], None]) -> None:
        self._in_flight.setdefault(record.topic, deque()).append((record, report))

    def _deliver(self) -> None:
        topic = self._generator.choice(sorted(self._in_flight))
        record, report = self._in_flight[topic].popleft()
        if not self._in_flight[topic]:
            del self._in_flight[topic]
        report(self._kafka.append(record))

    def _conclude(self, chunk: SentChunk, _offset: int) -> None:
        self._outstanding.concluded(chunk)

    def _move_cursor(self) -> None:
        self._edge.cursor = self._outstanding.cursor


class SimulatedConsumer:
    """A consumer that keeps what it was handed beside the position up to which it has kept it."""

    def __init__(self, kafka: SimulatedKafka, generator: random.Random) -> None:
        self._kafka = kafka
        self._generator = generator
        self._kept: tuple[bytes, int] = (encode_position(KafkaPosition(kafka_partitions=1)), 0)
        self.chunks: list[Chunk] = []
        self.restart()

    def restart(self) -> None:
        """Crash, and begin again at what was kept."""
        token, count = self._kept
        del self.chunks[count:]
        position = decode_position(token).for_partitions(1)
        self.assembly = ChunkAssembly(next_offsets=position.next_offsets.get(0), handed=position.handed_in(0))
        self._read_to = {topic: position.next_offsets.get(0, {}).get(topic, 0) for topic in TOPICS}

    def keep(self) -> None:
        position = KafkaPosition(
            kafka_partitions=1, next_offsets={0: self.assembly.next_offsets()}, handed=self.assembly.handed
        )
        self._kept = encode_position(position), len(self.chunks)

    def step(self) -> bool:
        """Read a record of any topic, and take what is whole; return whether there was a record."""
        waiting = [topic for topic in TOPICS if self._read_to[topic] < len(self._kafka.topics[topic])]
        if not waiting:
            return False
        topic = self._generator.choice(waiting)
        offset = self._read_to[topic]
        self._read_to[topic] += 1
        record = self._kafka.topics[topic][offset]
        if topic == PROGRESS_TOPIC:
            self.assembly.add_progress(offset, decode_progress(record.value))
        else:
            self.assembly.add_piece(topic, offset, decode_piece(record.value, record.headers))
        while self._generator.random() < 0.9 and (chunk := self.assembly.take()) is not None:
            self.chunks.append(chunk)
        return True

    def drain(self) -> None:
        while self.step():
            pass
        while (chunk := self.assembly.take()) is not None:
            self.chunks.append(chunk)


def joined(chunks: list[Chunk]) -> dict[LogKey, dict[str, pa.Table]]:
    """Return the rows that were handed out, by site and edge log, in the order handed out."""
    found: dict[LogKey, dict[str, list[pa.RecordBatch]]] = {}
    for chunk in chunks:
        for stream, batch in chunk.batches.items():
            found.setdefault((chunk.site, chunk.edge_id), {}).setdefault(stream, []).append(batch)
    return {
        log: {
            stream: pa.Table.from_batches(batches, STREAMS[stream]).combine_chunks() for stream, batches in each.items()
        }
        for log, each in found.items()
    }
