"""What a forwarder has sent and Kafka has not confirmed yet: when a progress record is due, how far the cursor may go.

No I/O. A chunk goes through these states; a *lane* is the chunks of one site (or of no site), in edge order:

```
sending     its pieces are with the producer     -> (every piece is delivered) whole
whole       waits for its lane's earlier chunks  -> (it is the first of its lane) due
due         its progress record is to be sent    -> (`take_due`) concluding
concluding  its progress record is sent          -> (that is delivered: `concluded`) gone; the lane's next is first
```

So a lane's progress records enter Kafka one after the other, each behind everything that it speaks of: no failure,
crash or late request of a dead producer can leave a hole that a later progress record jumps over.

The cursor may move to the end of a range of the edge log once all its chunks, and those of every range before it,
are gone.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from devices.chunk import ClockMark
from ingest.kafka_records import ChunkId, EncodedChunk, Progress, TopicShare


@dataclass(slots=True, kw_only=True)
class Span:
    """Where a chunk's delivered pieces lie on one topic."""

    records: int = 0
    """How many."""
    first_kafka_offset: int = 0
    """Lowest Kafka offset; 0 where there are none."""
    last_kafka_offset: int = 0
    """Highest one."""

    def add(self, kafka_offset: int) -> None:
        """Take a delivered record in."""
        if self.records == 0:
            self.first_kafka_offset = self.last_kafka_offset = kafka_offset
        self.records += 1
        self.first_kafka_offset = min(self.first_kafka_offset, kafka_offset)
        self.last_kafka_offset = max(self.last_kafka_offset, kafka_offset)


@dataclass(slots=True, kw_only=True, eq=False)
class LogRange:
    """A range of the edge log that was read at once."""

    last_offset: int
    """Where it ends."""
    chunks_left: int
    """Its chunks that are not gone."""


@dataclass(slots=True, kw_only=True, eq=False)
class SentChunk:
    """A chunk on its way."""

    chunk: ChunkId
    """Which chunk. Its pieces are not kept: the producer has them."""
    rows: Mapping[str, int]
    """Rows by topic."""
    clock: tuple[ClockMark, ...]
    """Its clock marks."""
    previous_offset: int | None
    """Last edge offset of the chunk before it in its lane."""
    value_bytes: int
    """Bytes of its pieces' values."""
    pieces_left: int
    """Pieces that are not delivered yet."""
    log_range: LogRange
    """The range of the edge log that it was read in."""
    spans: dict[str, Span] = field(default_factory=dict)
    """Where its delivered pieces lie, by topic."""

    def progress(self) -> Progress:
        """Return its progress record; only for a chunk all of whose pieces are delivered."""
        assert self.pieces_left == 0, "a progress record speaks of what is in Kafka"
        chunk = self.chunk
        return Progress(
            edge_id=chunk.edge_id,
            site=chunk.site,
            session=chunk.session,
            first_offset=chunk.first_offset,
            last_offset=chunk.last_offset,
            previous_offset=self.previous_offset,
            topics={
                topic: TopicShare(
                    records=span.records,
                    rows=self.rows[topic],
                    first_kafka_offset=span.first_kafka_offset,
                    last_kafka_offset=span.last_kafka_offset,
                )
                for topic, span in self.spans.items()
            },
            clock=self.clock,
        )


class Outstanding:
    """Everything between reading the edge log and moving its cursor, in one session of a producer."""

    def __init__(self, cursor: int) -> None:
        """Begin behind a cursor.

        Args:
            cursor: Last edge offset that Kafka is known to have.
        """
        self.cursor = cursor
        """Everything up to this edge offset is in Kafka."""
        self.sent_through = cursor
        """Last edge offset that was given to the producer."""
        self.value_bytes = 0
        """Bytes of the pieces of all chunks that are not gone."""
        self._ranges: deque[LogRange] = deque()
        self._lanes: dict[str | None, deque[SentChunk]] = {}
        self._lane_ends: dict[str | None, int] = {}
        self._due: list[SentChunk] = []

    @property
    def is_empty(self) -> bool:
        """Whether everything that was sent is confirmed."""
        return not self._ranges

    @property
    def ranges(self) -> int:
        """Ranges of the edge log that are not confirmed."""
        return len(self._ranges)

    def add(self, last_offset: int, chunks: Sequence[EncodedChunk]) -> list[SentChunk]:
        """Take in the next range of the edge log; its pieces are about to be sent.

        Args:
            last_offset: Where the range ends; it begins behind the one before.
            chunks: What it holds, at most one chunk a site; none for a range without rows and clock marks.

        Returns:
            The chunks on their way, in the order given.
        """
        assert last_offset > self.sent_through, "ranges of the edge log rise"
        log_range = LogRange(last_offset=last_offset, chunks_left=len(chunks))
        self._ranges.append(log_range)
        self.sent_through = last_offset
        sent = [self._enter_lane(encoded, log_range) for encoded in chunks]
        self._advance()
        return sent

    def piece_delivered(self, chunk: SentChunk, topic: str, kafka_offset: int) -> None:
        """Take note that Kafka has a piece."""
        assert chunk.pieces_left > 0, "a piece is delivered once"
        chunk.pieces_left -= 1
        chunk.spans.setdefault(topic, Span()).add(kafka_offset)
        self._consider(chunk)

    def take_due(self) -> list[SentChunk]:
        """Return the chunks whose progress record is to be sent now, each of them once."""
        due, self._due = self._due, []
        return due

    def concluded(self, chunk: SentChunk) -> None:
        """Take note that Kafka has a chunk's progress record."""
        lane = self._lanes[chunk.chunk.site]
        assert lane[0] is chunk, "progress records of a lane are confirmed in order"
        assert chunk.pieces_left == 0, "a progress record comes behind its pieces"
        lane.popleft()
        self.value_bytes -= chunk.value_bytes
        chunk.log_range.chunks_left -= 1
        if lane:
            self._consider(lane[0])
        self._advance()

    def _enter_lane(self, encoded: EncodedChunk, log_range: LogRange) -> SentChunk:
        site = encoded.chunk.site
        value_bytes = sum(len(piece.value) for piece in encoded.pieces)
        sent = SentChunk(
            chunk=encoded.chunk,
            rows=encoded.rows,
            clock=encoded.clock,
            previous_offset=self._lane_ends.get(site),
            value_bytes=value_bytes,
            pieces_left=len(encoded.pieces),
            log_range=log_range,
        )
        self._lane_ends[site] = encoded.chunk.last_offset
        self.value_bytes += value_bytes
        lane = self._lanes.setdefault(site, deque())
        lane.append(sent)
        self._consider(sent)
        return sent

    def _consider(self, chunk: SentChunk) -> None:
        """Put a chunk on the due list if it is whole and first; called when either has just become true."""
        if chunk.pieces_left == 0 and self._lanes[chunk.chunk.site][0] is chunk:
            self._due.append(chunk)

    def _advance(self) -> None:
        while self._ranges and self._ranges[0].chunks_left == 0:
            self.cursor = self._ranges.popleft().last_offset
