"""Puts chunks together from the records of one partition number: pure, no Kafka in it.

All topics' partitions of one number hold the same sites. Their records arrive in order per topic, in any order
between topics. The progress topic's order is the order in which chunks are handed out, so that every run sees the
same: a progress record waits at the head of the queue until its pieces are there. Then

- what was handed out already, by edge offset, is cut off: a forwarder that crashed sends ranges again, cut differently;
- pieces of sendings that were never concluded are forgotten once a later chunk covers their range, or a day later.

Pieces that Kafka no longer holds (retention, a deleted topic) do not hold up the rest: the other streams of their
chunk are handed out, and the rows that are gone are counted.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.chunk import Chunk
from devices.schemas import STREAMS
from ingest.kafka_errors import KafkaRecordError
from ingest.kafka_records import PROGRESS_TOPIC, ChunkId, Piece, Progress, decode_chunk

LogKey = tuple[str | None, str]
"""A site (or none) and an edge log."""

ABANDONED_AFTER_MS = 24 * 3600 * 1000
"""Pieces are abandoned when the progress topic has gone on this much longer, by the brokers' clock, without naming
them. A forwarder gives up after minutes (`delivery_timeout_s`) and sends them again under another session."""


@dataclass(slots=True, kw_only=True)
class AssemblyStats:
    """What was put together, and what could not be."""

    chunks: int = 0
    """Chunks handed out."""
    repeats: int = 0
    """Progress records of chunks that had been handed out before."""
    abandoned: int = 0
    """Pieces that no progress record ever named."""
    rows_gone: int = 0
    """Rows that a progress record names and Kafka no longer holds."""
    rows_undecodable: int = 0
    """Rows in pieces that are damaged."""
    gaps: int = 0
    """Times that chunks between two that were handed out are gone."""


@dataclass(slots=True, kw_only=True)
class _Sending:
    """The pieces of one sending of a chunk, so far."""

    pieces: dict[str, list[tuple[int, Piece]]] = field(default_factory=dict)
    appended_ms: int | None = None


class ChunkAssembly:
    """The records of one partition number, on their way to chunks."""

    def __init__(
        self,
        *,
        next_offsets: Mapping[str, int] | None = None,
        handed: Mapping[LogKey, int] | None = None,
        stats: AssemblyStats | None = None,
    ) -> None:
        """Begin at a place.

        Args:
            next_offsets: By topic, the Kafka offset of the next record; a topic left out begins where it begins.
            handed: Last edge offset that was handed out, by site and edge log.
            stats: Counters to keep.
        """
        self.handed: dict[LogKey, int] = dict(handed or {})
        """Last edge offset that was handed out, by site and edge log."""
        self.held_bytes: dict[str, int] = dict.fromkeys(STREAMS, 0)
        """Bytes of pieces that wait, by topic."""
        self.stats = stats or AssemblyStats()
        """What was put together."""
        self._next_offsets = dict(next_offsets or {})
        self._queue: deque[tuple[int, Progress]] = deque()
        self._sendings: dict[ChunkId, _Sending] = {}
        self._of_log: dict[LogKey, set[ChunkId]] = {}
        self._looked_for_abandoned_ms = 0

    @property
    def queued(self) -> int:
        """Progress records that wait."""
        return len(self._queue)

    def add_piece(self, topic: str, kafka_offset: int, piece: Piece, *, appended_ms: int | None = None) -> None:
        """Take in a record of a stream's topic.

        Args:
            topic: Topic without prefix.
            kafka_offset: Its place.
            piece: What its headers say.
            appended_ms: When the broker got it, by the broker's clock; `None` where topics keep the producer's time.
        """
        self.skip(topic, kafka_offset)
        chunk = piece.chunk
        log = (chunk.site, chunk.edge_id)
        if chunk.last_offset <= self.handed.get(log, 0):
            return
        sending = self._sendings.get(chunk)
        if sending is None:
            sending = self._sendings[chunk] = _Sending()
            self._of_log.setdefault(log, set()).add(chunk)
        pieces = sending.pieces.setdefault(topic, [])
        if pieces and kafka_offset <= pieces[-1][0]:
            return  # the same record, read again after the client lost its place
        pieces.append((kafka_offset, piece))
        sending.appended_ms = appended_ms
        self.held_bytes[topic] += len(piece.value)

    def add_progress(self, kafka_offset: int, progress: Progress, *, appended_ms: int | None = None) -> None:
        """Take in a record of the progress topic; arguments as for `add_piece`."""
        self.skip(PROGRESS_TOPIC, kafka_offset)
        self._queue.append((kafka_offset, progress))
        if appended_ms is not None and appended_ms - self._looked_for_abandoned_ms > ABANDONED_AFTER_MS // 24:
            self._looked_for_abandoned_ms = appended_ms
            self._forget_abandoned(appended_ms - ABANDONED_AFTER_MS)

    def skip(self, topic: str, kafka_offset: int) -> None:
        """Take note that a topic was read up to and including an offset."""
        self._next_offsets[topic] = kafka_offset + 1

    def take(self) -> Chunk | None:
        """Return the next chunk, or `None` where none is whole yet."""
        while self._queue:
            progress = self._queue[0][1]
            log = (progress.site, progress.edge_id)
            done = self.handed.get(log, 0)
            if progress.last_offset <= done:
                self._queue.popleft()
                self.stats.repeats += 1
                continue
            if self.awaited():
                return None
            self._queue.popleft()
            if log in self.handed and (progress.previous_offset or 0) > done:
                self.stats.gaps += 1
            chunk = self._decoded(progress).after(done)
            self.handed[log] = progress.last_offset
            self._forget_covered(log, progress.last_offset)
            if chunk.rows or chunk.clock:
                self.stats.chunks += 1
                return chunk
        return None

    def awaited(self) -> dict[str, int]:
        """Return, by topic, the Kafka offset up to which the head of the queue still waits for pieces."""
        if not self._queue:
            return {}
        progress = self._queue[0][1]
        return {
            topic: share.last_kafka_offset
            for topic, share in progress.topics.items()
            if not self._is_complete(progress, topic) and self._next_offsets.get(topic, 0) <= share.last_kafka_offset
        }

    def next_offsets(self) -> dict[str, int]:
        """Return, by topic, the Kafka offset from which to read again for everything that was not handed out."""
        offsets = dict(self._next_offsets)
        if self._queue:
            offsets[PROGRESS_TOPIC] = self._queue[0][0]
        for sending in self._sendings.values():
            for topic, pieces in sending.pieces.items():
                offsets[topic] = min(offsets[topic], pieces[0][0])
        return offsets

    def _pieces(self, progress: Progress) -> dict[str, list[tuple[int, Piece]]]:
        sending = self._sendings.get(progress.chunk)
        return {} if sending is None else sending.pieces

    def _is_complete(self, progress: Progress, topic: str) -> bool:
        return len(self._pieces(progress).get(topic, ())) >= progress.topics[topic].records

    def _decoded(self, progress: Progress) -> Chunk:
        """Decode a chunk, without the streams of which something is gone or damaged."""
        found: dict[str, list[Piece]] = {}
        for topic, share in progress.topics.items():
            if self._is_complete(progress, topic):
                found[topic] = [piece for _, piece in self._pieces(progress)[topic]]
            else:
                self.stats.rows_gone += share.rows
        try:
            return decode_chunk(progress, found)
        except KafkaRecordError:
            sound = {topic: pieces for topic, pieces in found.items() if _decodes(progress, topic, pieces)}
            self.stats.rows_undecodable += sum(progress.topics[topic].rows for topic in found.keys() - sound.keys())
            return decode_chunk(progress, sound)

    def _forget_covered(self, log: LogKey, last_offset: int) -> None:
        for chunk in [chunk for chunk in self._of_log.get(log, ()) if chunk.last_offset <= last_offset]:
            self._forget(chunk)

    def _forget_abandoned(self, before_ms: int) -> None:
        promised = {progress.chunk for _, progress in self._queue}
        for chunk, sending in list(self._sendings.items()):
            if sending.appended_ms is not None and sending.appended_ms < before_ms and chunk not in promised:
                self.stats.abandoned += sum(len(pieces) for pieces in sending.pieces.values())
                self._forget(chunk)

    def _forget(self, chunk: ChunkId) -> None:
        sending = self._sendings.pop(chunk)
        log = (chunk.site, chunk.edge_id)
        self._of_log[log].discard(chunk)
        if not self._of_log[log]:
            del self._of_log[log]
        for topic, pieces in sending.pieces.items():
            self.held_bytes[topic] -= sum(len(piece.value) for _, piece in pieces)


def _decodes(progress: Progress, topic: str, pieces: list[Piece]) -> bool:
    try:
        decode_chunk(progress, {topic: pieces})
    except KafkaRecordError:
        return False
    return True
