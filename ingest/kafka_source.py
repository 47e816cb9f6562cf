"""Kafka as a source of chunks for the jobs: the longer of the two ways.

Implements `analytics.source.RecordSource` without importing it. Partitions are assigned by hand, all of them or
those given: which chunks a job has had is kept with its output, as a position, and not in Kafka. What `release`
commits to a consumer group is for people to see the lag with Kafka's tools.

States: `closed` -> (`poll` finds Kafka and its topics) `open` -> (`seek`) `closed` at another place. While Kafka is
away `poll` returns nothing and goes on trying. `ingest.kafka_reader` has the open consumer.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer

from devices.chunk import Chunk
from devices.errors import ForwardError, Recovery
from devices.events import Event, EventLevel, OnEvent, ignore
from ingest.chunk_assembly import AssemblyStats
from ingest.kafka_cluster import KafkaCluster, ReadyTopics, ensure_topics
from ingest.kafka_errors import KafkaRefusedError
from ingest.kafka_position import KafkaPosition, decode_position, encode_position
from ingest.kafka_reader import WAIT_SLICE_S, KafkaReader
from ingest.kafka_records import PROGRESS_TOPIC
from ingest.kafka_refusal import told
from ingest.kafka_source_config import KafkaSourceConfig, KafkaSourceStats

__all__ = ["KafkaSource", "KafkaSourceConfig", "KafkaSourceStats"]


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
        self._reader: KafkaReader | None = None
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

    def _open(self, deadline: float) -> KafkaReader | None:
        """Connect; while Kafka is away, wait until the deadline and return `None`."""
        try:
            topics = self._find_topics(self._config)
        except ForwardError as error:
            if error.recovery is not Recovery.RETRY:
                raise
            refused = isinstance(error, KafkaRefusedError)
            if self.stats.problem is None or (refused and self.stats.problem != str(error)):
                text = f"{told(error)}; trying again"
                self._on_event(Event(level=EventLevel.WARNING, code="kafka_away", text=text))
            self.stats.problem = str(error)
            self._sleep(max(0.0, min(WAIT_SLICE_S, deadline - self._monotonic())))
            return None
        self.stats.problem = None
        text = f"Kafka has our topics, {topics.kafka_partitions} partitions each"
        self._on_event(Event(level=EventLevel.INFO, code="kafka_topics_found", text=text))
        self._reader = KafkaReader(
            self._config,
            start=self._start.for_partitions(topics.kafka_partitions),
            stats=self.stats,
            on_event=self._on_event,
            monotonic=self._monotonic,
            open_consumer=self._open_consumer,
        )
        return self._reader
