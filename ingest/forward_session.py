"""One life of an idempotent producer: records of the edge log go out, delivery reports move its cursor.

Every turn of `ForwardSession.turn`:

1. read the next range of the edge log, if there is room, and decode and encode it;
2. give its pieces to the producer, as many as it takes;
3. take in delivery reports; when a chunk's pieces are all in Kafka and it is the first of its site, send its
   progress record (`ingest.outstanding` decides);
4. move the edge log's cursor behind what Kafka has confirmed, without a hole.

A record that cannot be delivered, or a fatal error of the producer, ends the session: `SessionFailedError`. The next
session begins at the cursor and sends everything behind it again; consumers drop the repeats by edge offset.
"""

import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from devices.bulk import TopicDirectory, decode_publications
from devices.errors import ForwardError
from devices.publication import LoggedPublication
from ingest.drain_pace import DrainPace
from ingest.errors import EdgeLogUnavailableError
from ingest.forward_report import ForwarderConfig, ForwarderState, ForwarderStats
from ingest.kafka_cluster import reason_of
from ingest.kafka_records import KafkaRecord, encode_chunk, encode_progress, kafka_partition_of
from ingest.kafka_refusal import refusal_of
from ingest.outstanding import Outstanding, SentChunk

CURSOR = "kafka"
"""Name of the forwarder's cursor in the edge log."""

_HEADERS_ROOM_BYTES = 20_000  # key, headers and framing of a record, far more than they take
_QUEUE_RECORDS = 1_000_000  # JSON rows are records of their own; the bytes in flight are bounded by ourselves
_CLOSE_TIMEOUT_S = 1.0

Report = Callable[[KafkaError | None, Message], None]


class ForwardedLog(Protocol):
    """What the forwarder uses of an edge log."""

    edge_id: str

    def read(self, after: int, limit_rows: int, limit_bytes: int) -> list[LoggedPublication]:
        """Return the publications behind an offset, in order."""
        ...

    def count_after(self, offset: int) -> int:
        """Return how many publications lie behind an offset."""
        ...

    def cursor(self, name: str) -> int:
        """Return the last offset that a consumer is done with."""
        ...

    def move_cursor(self, name: str, offset: int) -> None:
        """Tell that a consumer is done with everything up to an offset."""
        ...


class SessionFailedError(ForwardError):
    """This producer is of no more use: records must be sent again by a new one."""

    code = "kafka_delivery_failed"

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        """Say why.

        Args:
            message: What happened.
            too_large: Whether a record was larger than its topic takes.
        """
        super().__init__(message)
        self.too_large = too_large


class ForwardSession:
    """One producer and what it has in flight."""

    def __init__(
        self,
        *,
        config: ForwarderConfig,
        log: ForwardedLog,
        directory: TopicDirectory,
        stats: ForwarderStats,
        name: str,
        kafka_partitions: int,
        record_bytes_limit: int,
        monotonic: Callable[[], float] = time.monotonic,
        open_producer: Callable[[dict[str, Any]], Producer] | None = None,
    ) -> None:
        """Start a producer behind the edge log's cursor.

        Args:
            config: Limits and the cluster.
            log: The edge log.
            directory: Which topics belong to whom.
            stats: Counters to keep.
            name: Name of the session, in every record's headers.
            kafka_partitions: Partitions of each topic.
            record_bytes_limit: Largest value of a record, bytes.
            monotonic: Seconds, of a clock that never goes back: for the pace of a drain.
            open_producer: Makes the producer from librdkafka's settings; librdkafka's own where absent.
        """
        self._config = config
        self._log = log
        self._directory = directory
        self._stats = stats
        self._name = name
        self._kafka_partitions = kafka_partitions
        self._record_bytes_limit = record_bytes_limit
        self._outstanding = Outstanding(log.cursor(CURSOR))
        self._monotonic = monotonic
        self._pace = DrainPace(config.drain_bytes_per_s, now_s=monotonic())
        self._moved_to = self._outstanding.cursor
        self._unsent: deque[tuple[KafkaRecord, Report]] = deque()
        self._failure: SessionFailedError | None = None
        stats.cursor = self._moved_to
        settings = _producer_settings(config, record_bytes_limit, self._on_client_error)
        self._producer = Producer(settings, logger=_SILENT) if open_producer is None else open_producer(settings)

    @property
    def is_idle(self) -> bool:
        """Whether Kafka has confirmed everything that was read and the cursor stands behind it."""
        return self._outstanding.is_empty and self._moved_to == self._outstanding.cursor

    def turn(self, *, reading: bool = True) -> None:
        """Do one round of the work, waiting a little where there is nothing to do.

        Args:
            reading: Whether to read on; false to only finish what is in flight.

        Raises:
            SessionFailedError: A record cannot be delivered; start a new session.
            EdgeLogError: The edge log cannot be read.
        """
        progressed = reading and self._has_room() and self._read()
        self._produce()
        self._producer.poll(0.0 if progressed else self._config.poll_interval_s)
        if self._failure is not None:
            raise self._failure
        for chunk in self._outstanding.take_due():
            self._unsent.append((encode_progress(chunk.progress()), functools.partial(self._on_progress, chunk)))
        self._produce()
        self._move_cursor()

    def close(self) -> None:
        """Forget what is not delivered and end the producer."""
        self._failure = self._failure or SessionFailedError("the session was closed")
        self._unsent.clear()
        self._producer.purge()
        self._producer.flush(_CLOSE_TIMEOUT_S)
        self._producer.close()

    def _has_room(self) -> bool:
        in_flight = self._outstanding.value_bytes
        ranges = self._outstanding.ranges
        # While Kafka is away what is in flight waits for it; more of it would all go at once when it is back.
        is_waiting = self._stats.state is ForwarderState.AWAY and ranges > 0
        if is_waiting:
            self._pace.stand_still()
        return (
            not self._unsent
            and not is_waiting
            and in_flight < self._config.in_flight_bytes_limit
            and ranges < self._config.in_flight_ranges_limit
        )

    def _read(self) -> bool:
        """Read, decode and encode the next range; return whether there was one."""
        sent_through = self._outstanding.sent_through
        self._stats.behind_rows = self._log.count_after(sent_through)
        limit_bytes = self._pace.may_read(self._monotonic(), self._stats.behind_rows)
        if limit_bytes == 0:
            return False
        limit_bytes = min(self._config.read_bytes, limit_bytes or self._config.read_bytes)
        found = self._log.read(sent_through, self._config.read_rows, limit_bytes)
        if not found:
            return False
        self._pace.read(len(found), sum(len(each.publication.payload) for each in found))
        chunks = decode_publications(found, edge_id=self._log.edge_id, directory=self._directory)
        encoded = [
            encode_chunk(chunk, session=self._name, record_bytes_limit=self._record_bytes_limit) for chunk in chunks
        ]
        for chunk, each in zip(self._outstanding.add(found[-1].edge_offset, encoded), encoded, strict=True):
            for piece in each.pieces:
                self._unsent.append((piece, functools.partial(self._on_piece, chunk, piece.topic)))
        self._count_read(found, [rows for each in encoded for rows in each.rows.items()])
        return True

    def _count_read(self, found: Sequence[LoggedPublication], rows: Sequence[tuple[str, int]]) -> None:
        first, last = found[0].edge_offset, found[-1].edge_offset
        self._stats.publications += len(found)
        self._stats.repeated_publications += max(0, min(last, self._stats.read_through) - first + 1)
        self._stats.read_through = max(self._stats.read_through, last)
        for stream, count in rows:
            self._stats.rows[stream] = self._stats.rows.get(stream, 0) + count

    def _produce(self) -> None:
        """Give the producer what it takes; what its queue has no room for waits for the next turn."""
        while self._unsent:
            record, report = self._unsent[0]
            try:
                self._producer.produce(
                    self._config.cluster.topic(record.topic),
                    value=record.value,
                    key=record.key,
                    partition=kafka_partition_of(record.key, self._kafka_partitions),
                    headers=list(record.headers),
                    on_delivery=report,
                )
            except BufferError:
                return
            except KafkaException as error:
                raise _session_failed(error.args[0]) from error
            self._unsent.popleft()
            self._stats.records_sent += 1
            self._stats.bytes_sent += len(record.value)

    def _on_piece(self, chunk: SentChunk, topic: str, error: KafkaError | None, record: Message) -> None:
        offset = self._delivered_at(error, record)
        if offset is not None:
            self._outstanding.piece_delivered(chunk, topic, offset)

    def _on_progress(self, chunk: SentChunk, error: KafkaError | None, record: Message) -> None:
        if self._delivered_at(error, record) is not None:
            self._stats.chunks += 1
            self._outstanding.concluded(chunk)

    def _delivered_at(self, error: KafkaError | None, record: Message) -> int | None:
        """Return the Kafka offset of a record that was delivered; `None` where it was not, or does not count any more.

        A report without an error and without an offset is no delivery. librdkafka gives one when a later request of
        the same producer succeeded and it takes the earlier one for a repeat. But a partition that was just created
        accepts any sequence number first, so the earlier record may not be there at all (KAFKA-15591).
        """
        offset = record.offset()
        if self._failure is None and error is not None:
            self._failure = _session_failed(error)
        elif self._failure is None and offset is None:
            self._failure = SessionFailedError("a record was reported as delivered without a place in its topic")
        if self._failure is not None:
            return None
        self._stats.records_delivered += 1
        self._stats.state = ForwarderState.FORWARDING
        return offset

    def _on_client_error(self, error: KafkaError) -> None:
        """Take note of what librdkafka says about the connection; it goes on by itself unless this is fatal."""
        if error.fatal() and self._failure is None:
            self._failure = _session_failed(error)
            return
        refusal = refusal_of([error], self._config.cluster.bootstrap_servers)
        if refusal is not None:
            self._stats.state, self._stats.problem = ForwarderState.AWAY, str(refusal)
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and self._stats.state is not ForwarderState.AWAY:  # noqa: SLF001
            self._stats.state, self._stats.problem = ForwarderState.AWAY, reason_of(error)

    def _move_cursor(self) -> None:
        if self._moved_to == self._outstanding.cursor:
            return
        try:
            self._log.move_cursor(CURSOR, self._outstanding.cursor)
        except EdgeLogUnavailableError:
            self._stats.cursor_refusals += 1  # tried again in the next turn
            return
        self._moved_to = self._stats.cursor = self._outstanding.cursor


_SILENT = logging.getLogger("tagtide.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False  # what matters of it comes through error_cb and delivery reports


def _producer_settings(
    config: ForwarderConfig, record_bytes_limit: int, on_error: Callable[[KafkaError], None]
) -> dict[str, Any]:
    return {
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "lz4",
        "linger.ms": config.linger_ms,
        # No end of trying would also work, but a new producer heals what a stuck one does not.
        "delivery.timeout.ms": int(config.delivery_timeout_s * 1000),
        # A topic's max.message.bytes counts for a batch of records, so a batch is no larger than a record may be.
        "message.max.bytes": record_bytes_limit + _HEADERS_ROOM_BYTES,
        "batch.size": record_bytes_limit,
        "queue.buffering.max.messages": _QUEUE_RECORDS,
        "queue.buffering.max.kbytes": max(1024, 2 * config.in_flight_bytes_limit // 1024),
        "reconnect.backoff.max.ms": 5_000,
        "error_cb": on_error,
        **config.cluster.client(),
    }


def _session_failed(error: KafkaError) -> SessionFailedError:
    too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    return SessionFailedError(f"a record was not delivered: {reason_of(error)} ({error.name()})", too_large=too_large)
