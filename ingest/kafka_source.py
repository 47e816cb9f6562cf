"""Kafka as a source of chunks for the jobs: the longer of the two ways.

Implements `analytics.source.RecordSource` without importing it. Partitions are assigned by hand, all of them or
those given: which chunks a job has had is kept with its output, as a position, and not in Kafka. What `release`
commits to a consumer group is for people to see the lag with Kafka's tools.

States: `closed` -> (`poll` finds Kafka and its topics) `open` -> (`seek`) `closed` at another place. While Kafka is
away `poll` returns nothing and goes on trying.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPlace

from devices.chunk import Chunk
from devices.errors import ForwardError, Recovery
from devices.events import Event, EventLevel, OnEvent, ignore
from ingest.chunk_assembly import AssemblyStats, ChunkAssembly
from ingest.kafka_cluster import KafkaCluster, ReadyTopics, ensure_topics, reason_of
from ingest.kafka_errors import KafkaRecordError, KafkaRefusedError
from ingest.kafka_position import KafkaPosition, decode_position, encode_position
from ingest.kafka_records import PROGRESS_TOPIC, TOPICS, decode_piece, decode_progress
from ingest.kafka_refusal import told

_RECORDS_AT_ONCE = 100  # of up to 900 kB
_WAIT_SLICE_S = 0.1
_STALL_S = 1.0  # a head without its pieces for so long: look whether Kafka still holds them
_GONE_S = 30.0  # pieces beyond the end of a partition may still be hidden by an election; not for so long
_LAG_EVERY_S = 1.0
_WATERMARKS_TIMEOUT_S = 1.0  # asked while a poll waits

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSourceConfig(KafkaCluster):
    """Which Kafka to read, and how much of it to hold."""

    group_id: str = "tagtide-jobs"
    """Consumer group under which Kafka's tools show the lag."""
    partitions_taken: tuple[int, ...] | None = None
    """Partition numbers to read; `None` for all."""
    held_bytes_limit: int = 128 * 2**20
    """Pieces that wait for their chunk, bytes. Above it, topics that run ahead are paused: those of four edges that
    come back from an outage together, each with 32 MB in flight. They go on when half of it is left."""
    queued_progress_limit: int = 2_000
    """Progress records that wait, in each partition; above it the progress topic is paused."""
    prefetched_kbytes: int = 32_768
    """What the client library may fetch ahead, kB."""

    @classmethod
    def of(cls, cluster: KafkaCluster) -> "KafkaSourceConfig":
        """Return the defaults for a cluster."""
        return cls(**{each.name: getattr(cluster, each.name) for each in fields(KafkaCluster)})


@dataclass(slots=True, kw_only=True)
class KafkaSourceStats:
    """What a source has read since it was made."""

    records: int = 0
    """Records read."""
    foreign: int = 0
    """Of these, not ours: skipped."""
    assembly: AssemblyStats
    """What was put together from them."""
    problem: str | None = None
    """Why nothing comes, where that is known."""
    commits_failed: int = 0
    """Releases that the consumer group did not take; only the lag that Kafka's tools show suffers."""
    lag_records: int = 0
    """Records that Kafka holds behind what was handed out, as far as it has told."""


class KafkaSource:
    """Chunks from a Kafka cluster."""

    def __init__(
        self,
        config: KafkaSourceConfig,
        *,
        on_event: OnEvent = ignore,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        open_consumer: Callable[[dict[str, Any]], Consumer] | None = None,
        find_topics: Callable[[KafkaCluster], ReadyTopics] = ensure_topics,
    ) -> None:
        """Begin at the oldest records that are kept; nothing is opened yet.

        Args:
            config: Cluster and limits.
            on_event: Told what happens.
            sleep: Waits some seconds.
            monotonic: Seconds, for deadlines.
            open_consumer: Makes the consumer from librdkafka's settings; librdkafka's own where absent.
            find_topics: Makes sure that the cluster's topics are there.
        """
        self._open_consumer = open_consumer
        self._find_topics = find_topics
        self._config = config
        self._on_event = on_event
        self._sleep = sleep
        self._monotonic = monotonic
        self._start = KafkaPosition()
        self._reader: _Reader | None = None
        self.stats = KafkaSourceStats(assembly=AssemblyStats())
        """Counters."""

    def poll(self, *, max_rows: int, timeout_s: float) -> list[Chunk]:
        """Return the next chunks, about `max_rows` rows at most; an empty list if none came within `timeout_s`.

        Raises:
            KafkaTopicsError: The topics cannot carry chunks, or may not be created.
            KafkaPositionError: The position is of topics with another number of partitions.
            KafkaRecordVersionError: A record was written by a newer Tagtide.
        """
        deadline = self._monotonic() + timeout_s
        reader = self._reader or self._open(deadline)
        return [] if reader is None else reader.poll(max_rows, deadline)

    def progress_ends(self) -> dict[int, int] | None:
        """Return by partition where the progress records end now; `None` while Kafka is away."""
        return None if self._reader is None else self._reader.progress_ends()

    def has_reached(self, progress_ends: Mapping[int, int]) -> bool:
        """Whether `poll` has handed out everything that progress records before some ends speak of."""
        if self._reader is None:
            return False
        reached = self._reader.position().next_offsets
        return all(reached.get(number, {}).get(PROGRESS_TOPIC, 0) >= end for number, end in progress_ends.items())

    def position(self) -> bytes:
        """Return a token for the place behind everything that `poll` has handed out."""
        return encode_position(self._start if self._reader is None else self._reader.position())

    def seek(self, position: bytes | None) -> None:
        """Go to a place that `position` named; `None` is the beginning of what is kept.

        Raises:
            KafkaPositionError: The token is not one of ours.
        """
        start = KafkaPosition() if position is None else decode_position(position)
        self.close()
        self._start = start

    @property
    def is_away(self) -> bool:
        """Whether Kafka does not answer."""
        return self.stats.problem is not None

    def release(self, position: bytes) -> None:
        """Tell the consumer group that nothing before a place will be asked for again."""
        if self._reader is not None:
            self._reader.commit(decode_position(position))

    def close(self) -> None:
        """Let go of connections."""
        if self._reader is not None:
            self._start = self._reader.position()
            self._reader.close()
            self._reader = None

    def _open(self, deadline: float) -> "_Reader | None":
        """Connect; while Kafka is away, wait until the deadline and return `None`."""
        try:
            topics = self._find_topics(self._config)
        except ForwardError as error:
            if error.recovery is not Recovery.RETRY:
                raise
            refused = isinstance(error, KafkaRefusedError)
            if self.stats.problem is None or (refused and self.stats.problem != str(error)):
                self._on_event(_warning("kafka_away", f"{told(error)}; trying again"))
            self.stats.problem = str(error)
            self._sleep(max(0.0, min(_WAIT_SLICE_S, deadline - self._monotonic())))
            return None
        self.stats.problem = None
        text = f"Kafka has our topics, {topics.kafka_partitions} partitions each"
        self._on_event(Event(level=EventLevel.INFO, code="kafka_topics_found", text=text))
        self._reader = _Reader(
            self._config,
            start=self._start.for_partitions(topics.kafka_partitions),
            stats=self.stats,
            on_event=self._on_event,
            monotonic=self._monotonic,
            open_consumer=self._open_consumer,
        )
        return self._reader


class _Reader:
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
        self._paused: set[tuple[str, int]] = set()
        self._is_over_limit = False
        self._fatal: ForwardError | None = None
        self._waiting: dict[int, tuple[dict[str, int], float, float]] = {}  # what for, since when, when looked at
        self._told_losses = (0, 0, 0)
        self._lag_noted = monotonic()
        settings = _consumer_settings(config, self._on_error, self._on_commit)
        self._consumer = Consumer(settings, logger=_SILENT) if open_consumer is None else open_consumer(settings)
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
            if not self._read(1, min(_WAIT_SLICE_S, left)):
                self._look_for_gone_pieces()
        self._tell_losses()
        self._note_lag()
        return found

    def position(self) -> KafkaPosition:
        """Return the place behind what was handed out."""
        return KafkaPosition(
            kafka_partitions=self._kafka_partitions,
            next_offsets={number: assembly.next_offsets() for number, assembly in self._assemblies.items()},
            handed={log: offset for each in self._assemblies.values() for log, offset in each.handed.items()},
        )

    def progress_ends(self) -> dict[int, int] | None:
        """Ask Kafka where the progress records end; partitions without any are left out."""
        ends = {}
        for number in self._assemblies:
            place = KafkaPlace(self._config.topic(PROGRESS_TOPIC), number)
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=_WATERMARKS_TIMEOUT_S)
            except KafkaException as error:
                self._stats.problem = reason_of(error.args[0])
                return None
            if high > low:
                ends[number] = high
        return ends

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
        """Pause what runs ahead. What the head of a queue waits for is never paused, so that it always goes on."""
        held = sum(sum(assembly.held_bytes.values()) for assembly in self._assemblies.values())
        limit = self._config.held_bytes_limit
        self._is_over_limit = held > (limit // 2 if self._is_over_limit else limit)
        wanted = set()
        for number, assembly in self._assemblies.items():
            if assembly.queued > self._config.queued_progress_limit:
                wanted.add((PROGRESS_TOPIC, number))
            if self._is_over_limit:
                awaited = assembly.awaited()
                wanted |= {(name, number) for name, size in assembly.held_bytes.items() if size and name not in awaited}
        if wanted != self._paused:
            self._consumer.pause(self._places(wanted - self._paused))
            self._consumer.resume(self._places(self._paused - wanted))
            self._paused = wanted

    def _places(self, names: set[tuple[str, int]]) -> list[KafkaPlace]:
        return [KafkaPlace(self._config.topic(name), number) for name, number in names]

    def _look_for_gone_pieces(self) -> None:
        """Where the head of a queue has waited for long, see whether Kafka still has what it waits for."""
        now = self._monotonic()
        for number, assembly in self._assemblies.items():
            awaited = assembly.awaited()
            head, since, looked = self._waiting.get(number, ({}, now, now))
            if not awaited or awaited != head:
                self._waiting[number] = (awaited, now, now)
            elif now - looked >= _STALL_S:
                for name, last_offset in awaited.items():
                    self._skip_if_gone(assembly, name, number, last_offset, is_settled=now - since > _GONE_S)
                self._waiting[number] = (awaited, since, self._monotonic())

    def _skip_if_gone(
        self, assembly: ChunkAssembly, name: str, number: int, last_offset: int, *, is_settled: bool
    ) -> None:
        place = KafkaPlace(self._config.topic(name), number)
        try:
            low, high = self._consumer.get_watermark_offsets(place, timeout=_WATERMARKS_TIMEOUT_S)
        except KafkaException as error:
            self._stats.problem = reason_of(error.args[0])
            return
        if low > last_offset or (is_settled and high <= last_offset):
            assembly.skip(name, last_offset)

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

    def _note_lag(self) -> None:
        """Count what Kafka holds for us, by the ends of partitions that it told with the last records."""
        now = self._monotonic()
        if now - self._lag_noted < _LAG_EVERY_S:
            return
        self._lag_noted = now
        lag = 0
        for number, assembly in self._assemblies.items():
            next_offsets = assembly.next_offsets()
            for name in TOPICS:
                place = KafkaPlace(self._config.topic(name), number)
                with contextlib.suppress(KafkaException):
                    low, high = self._consumer.get_watermark_offsets(place, cached=True)
                    lag += max(0, high - max(low, next_offsets.get(name, 0)))  # an unknown end is negative
        self._stats.lag_records = lag

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


def _consumer_settings(config: KafkaSourceConfig, on_error: Callable[..., None], on_commit: Callable[..., None]) -> Any:
    return {
        "group.id": config.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": config.prefetched_kbytes,
        "fetch.queue.backoff.ms": 20,  # by default a full queue stops fetching for a second
        "reconnect.backoff.max.ms": 5_000,
        "error_cb": on_error,
        "on_commit": on_commit,
        **config.client(),
    }


def _warning(code: str, text: str) -> Event:
    return Event(level=EventLevel.WARNING, code=code, text=text)


def _known(value: T | None) -> T:
    assert value is not None, "a record without an error has a topic, a partition and an offset"
    return value
