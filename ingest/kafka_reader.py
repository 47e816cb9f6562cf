"""An open Kafka consumer at work: records in, chunks out, a place behind what was handed out.

`ingest.chunk_assembly` puts chunks together, one assembly a partition. `ingest.kafka_brake` says what is to wait while
too much is held, `ingest.kafka_ends` what will never come.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPlace

from devices.chunk import Chunk
from devices.errors import ForwardError
from devices.events import Event, EventLevel, OnEvent
from ingest.chunk_assembly import ChunkAssembly
from ingest.kafka_brake import Brake, Place
from ingest.kafka_cluster import reason_of
from ingest.kafka_ends import PartitionEnds
from ingest.kafka_errors import KafkaRecordError
from ingest.kafka_position import KafkaPosition
from ingest.kafka_records import PROGRESS_TOPIC, TOPICS, decode_piece, decode_progress
from ingest.kafka_source_config import KafkaSourceConfig, KafkaSourceStats

WAIT_SLICE_S = 0.1
"""Longest wait for Kafka before a deadline is looked at again."""
_RECORDS_AT_ONCE = 100  # of up to 900 kB

T = TypeVar("T")


class KafkaReader:
    """An open consumer at work."""

    def __init__(
        self,
        config: KafkaSourceConfig,
        *,
        start: KafkaPosition,
        stats: KafkaSourceStats,
        on_event: OnEvent,
        monotonic: Callable[[], float],
        open_consumer: Callable[[dict[str, Any]], Consumer] | None,
    ) -> None:
        """Open a consumer, and begin at a place.

        Args:
            config: Cluster and limits.
            start: Where to begin; it has a number of partitions.
            stats: Where everything is counted.
            on_event: Told what happens.
            monotonic: Seconds, for deadlines.
            open_consumer: Makes the consumer from librdkafka's settings; librdkafka's own where absent.
        """
        self._config = config
        self._stats = stats
        self._on_event = on_event
        self._monotonic = monotonic
        self._kafka_partitions = start.kafka_partitions or 0
        taken = config.partitions_taken
        self._assemblies = {
            number: ChunkAssembly(
                next_offsets=start.next_offsets.get(number), handed=start.handed_in(number), stats=stats.assembly
            )
            for number in (range(self._kafka_partitions) if taken is None else taken)
        }
        self._names = {config.topic(name): name for name in TOPICS}
        self._brake = Brake(config)
        self._fatal: ForwardError | None = None
        self._told_losses = (0, 0, 0)
        settings = config.consumer(self._on_error, self._on_commit)
        self._consumer = Consumer(settings, logger=_SILENT) if open_consumer is None else open_consumer(settings)
        self._ends = PartitionEnds(self._consumer, config, self._assemblies, stats, monotonic)
        # Asked for by hand, metadata is there at once instead of after a second. Offset 0 stands for the beginning,
        # wherever it is by now (`auto.offset.reset`): asking Kafka for it would take another half second.
        with contextlib.suppress(KafkaException):
            self._consumer.list_topics(timeout=config.request_timeout_s)
        self._consumer.assign(
            [
                KafkaPlace(config.topic(name), number, start.next_offsets.get(number, {}).get(name, 0))
                for number in self._assemblies
                for name in TOPICS
            ]
        )

    def poll(self, max_rows: int, deadline: float) -> list[Chunk]:
        """Hand out chunks, reading as much as that takes."""
        found: list[Chunk] = []
        rows = 0
        while True:
            for chunk in self._ready():
                found.append(chunk)
                rows += chunk.rows
                if rows >= max_rows:
                    break
            if rows >= max_rows:
                break
            left = deadline - self._monotonic()
            if self._read(_RECORDS_AT_ONCE, 0.0) and left > 0:
                continue
            if found or left <= 0:
                break
            if not self._read(1, min(WAIT_SLICE_S, left)):
                self._ends.skip_what_is_gone()
        self._tell_losses()
        self._ends.note_lag()
        return found

    def position(self) -> KafkaPosition:
        """Return the place behind what was handed out."""
        return KafkaPosition(
            kafka_partitions=self._kafka_partitions,
            next_offsets={number: assembly.next_offsets() for number, assembly in self._assemblies.items()},
            handed={log: offset for each in self._assemblies.values() for log, offset in each.handed.items()},
        )

    def progress_ends(self) -> dict[int, int] | None:
        """Return by partition where the progress records end; `None` while Kafka is away."""
        return self._ends.progress_ends()

    def commit(self, position: KafkaPosition) -> None:
        """Commit a place to the consumer group, without waiting."""
        places = [
            KafkaPlace(self._config.topic(name), number, offset)
            for number, offsets in position.next_offsets.items()
            for name, offset in offsets.items()
        ]
        if places:
            try:
                self._consumer.commit(offsets=places, asynchronous=True)
            except KafkaException:
                self._stats.commits_failed += 1

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _ready(self) -> Iterator[Chunk]:
        for assembly in self._assemblies.values():
            while (chunk := assembly.take()) is not None:
                yield chunk

    def _read(self, count: int, timeout_s: float) -> bool:
        """Take in up to so many records; return whether there were any."""
        self._bound()
        records = self._consumer.consume(count, timeout_s)
        for record in records:
            error = record.error()
            if error is None:
                self._take_in(record)
            else:
                self._on_error(error)
        if self._fatal is not None:
            raise self._fatal
        return bool(records)

    def _take_in(self, record: Message) -> None:
        name, number, offset = self._names[_known(record.topic())], _known(record.partition()), _known(record.offset())
        kind, time_ms = record.timestamp()
        appended_ms = time_ms if kind == TIMESTAMP_LOG_APPEND_TIME else None
        assembly = self._assemblies[number]
        self._stats.records += 1
        self._stats.problem = None
        try:
            if name == PROGRESS_TOPIC:
                assembly.add_progress(offset, decode_progress(record.value()), appended_ms=appended_ms)
            else:
                headers = cast("list[tuple[str, bytes]] | None", record.headers())
                assembly.add_piece(name, offset, decode_piece(record.value(), headers), appended_ms=appended_ms)
        except KafkaRecordError as error:
            if self._stats.foreign == 0:
                text = f"{record.topic()} has a record that is not ours, skipped: {error}"
                self._on_event(_warning("kafka_record_foreign", text))
            self._stats.foreign += 1
            assembly.skip(name, offset)

    def _bound(self) -> None:
        pause, resume = self._brake.changes(self._assemblies)
        if pause or resume:
            self._consumer.pause(self._places(pause))
            self._consumer.resume(self._places(resume))

    def _places(self, places: set[Place]) -> list[KafkaPlace]:
        return [KafkaPlace(self._config.topic(name), number) for name, number in places]

    def _tell_losses(self) -> None:
        found = self._stats.assembly
        losses = (found.rows_gone, found.rows_undecodable, found.gaps)
        if losses != self._told_losses:
            gone, undecodable, gaps = (now - before for now, before in zip(losses, self._told_losses, strict=True))
            self._told_losses = losses
            text = (
                f"not in Kafka any more: {gone} rows and {gaps} gaps; damaged: {undecodable} rows."
                " Was this consumer away for longer than the topics' retention?"
            )
            self._on_event(Event(level=EventLevel.ERROR, code="kafka_rows_lost", text=text))

    def _on_error(self, error: KafkaError) -> None:
        """Take note of what librdkafka says; it goes on by itself unless this is fatal."""
        if error.fatal():
            self._fatal = ForwardError(f"the Kafka client cannot go on: {reason_of(error)}")
        if self._stats.problem is None and error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            text = f"Kafka at {self._config.bootstrap_servers} is away; trying again"
            self._on_event(_warning("kafka_away", text))
        self._stats.problem = reason_of(error)

    def _on_commit(self, error: KafkaError | None, _places: list[KafkaPlace]) -> None:
        if error is not None:
            self._stats.commits_failed += 1


_SILENT = logging.getLogger("tagtide.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


def _warning(code: str, text: str) -> Event:
    return Event(level=EventLevel.WARNING, code=code, text=text)


def _known(value: T | None) -> T:
    assert value is not None, "a record without an error has a topic, a partition and an offset"
    return value
