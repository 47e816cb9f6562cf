"""What Kafka says of where partitions begin and end: what will never come, how far the progress goes, how much is left.

The head of a queue waits for pieces that were written before it. Where Kafka does not hold them any more (its retention
was shorter than our absence), waiting is in vain, and they are skipped: their rows count as gone.
"""

import contextlib
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPlace

from ingest.chunk_assembly import ChunkAssembly
from ingest.kafka_cluster import reason_of
from ingest.kafka_records import PROGRESS_TOPIC, TOPICS
from ingest.kafka_source_config import KafkaSourceConfig, KafkaSourceStats

_STALL_S = 1.0  # a head without its pieces for so long: look whether Kafka still holds them
_GONE_S = 30.0  # pieces beyond the end of a partition may still be hidden by an election; not for so long
_LAG_EVERY_S = 1.0
_WATERMARKS_TIMEOUT_S = 1.0  # asked while a poll waits


class PartitionEnds:
    """Asks a consumer's cluster for the ends of partitions."""

    def __init__(
        self,
        consumer: Consumer,
        config: KafkaSourceConfig,
        assemblies: Mapping[int, ChunkAssembly],
        stats: KafkaSourceStats,
        monotonic: Callable[[], float],
    ) -> None:
        """Ask nothing yet.

        Args:
            consumer: Whose cluster is asked.
            config: Names of topics.
            assemblies: What has been put together so far, by partition number.
            stats: Where the lag, and what goes wrong, is noted.
            monotonic: Seconds.
        """
        self._consumer = consumer
        self._config = config
        self._assemblies = assemblies
        self._stats = stats
        self._monotonic = monotonic
        self._waiting: dict[int, tuple[dict[str, int], float, float]] = {}  # what for, since when, when looked at
        self._lag_noted = monotonic()

    def progress_ends(self) -> dict[int, int] | None:
        """Return where the progress records end, without partitions that have none; `None` while Kafka is away."""
        ends = {}
        for number in self._assemblies:
            found = self._ask(PROGRESS_TOPIC, number)
            if found is None:
                return None
            low, high = found
            if high > low:
                ends[number] = high
        return ends

    def skip_what_is_gone(self) -> None:
        """Where the head of a queue has waited for long, see whether Kafka still has what it waits for."""
        now = self._monotonic()
        for number, assembly in self._assemblies.items():
            awaited = assembly.awaited()
            head, since, looked = self._waiting.get(number, ({}, now, now))
            if not awaited or awaited != head:
                self._waiting[number] = (awaited, now, now)
            elif now - looked >= _STALL_S:
                for name, last_offset in awaited.items():
                    found = self._ask(name, number)
                    if found is not None and self._is_gone(found, last_offset, is_settled=now - since > _GONE_S):
                        assembly.skip(name, last_offset)
                self._waiting[number] = (awaited, since, self._monotonic())

    @staticmethod
    def _is_gone(found: tuple[int, int], last_offset: int, *, is_settled: bool) -> bool:
        low, high = found
        return low > last_offset or (is_settled and high <= last_offset)

    def note_lag(self) -> None:
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

    def _ask(self, name: str, number: int) -> tuple[int, int] | None:
        """Return the first offset that is kept and the one behind the last; `None` while Kafka is away."""
        place = KafkaPlace(self._config.topic(name), number)
        try:
            return self._consumer.get_watermark_offsets(place, timeout=_WATERMARKS_TIMEOUT_S)
        except KafkaException as error:
            self._stats.problem = reason_of(error.args[0])
            return None
