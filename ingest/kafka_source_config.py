"""Settings and counters of Kafka as a source of chunks."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from ingest.chunk_assembly import AssemblyStats
from ingest.kafka_cluster import KafkaCluster


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

    def consumer(self, on_error: Callable[..., None], on_commit: Callable[..., None]) -> dict[str, Any]:
        """Return librdkafka's settings of a consumer, with what it is to call."""
        return {
            "group.id": self.group_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": self.prefetched_kbytes,
            "fetch.queue.backoff.ms": 20,  # by default a full queue stops fetching for a second
            "reconnect.backoff.max.ms": 5_000,
            "error_cb": on_error,
            "on_commit": on_commit,
            **self.client(),
        }


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
