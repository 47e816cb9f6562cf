"""What a forwarder is told and what it tells about itself: configuration, states, counters."""

from dataclasses import dataclass, field
from enum import StrEnum

from ingest.kafka_cluster import KafkaCluster
from ingest.kafka_records import RECORD_BYTES_LIMIT


class ForwarderState(StrEnum):
    """What the forwarder does now."""

    CONNECTING = "connecting"
    """It looks for Kafka and its topics."""
    FORWARDING = "forwarding"
    """Kafka takes what the edge log has."""
    AWAY = "away"
    """Kafka does not answer, or refuses: the edge log keeps everything, and it is tried again and again."""
    STOPPED = "stopped"
    """Not running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwarderConfig:
    """How to forward, and where to."""

    cluster: KafkaCluster
    """The Kafka cluster and its topics."""
    read_rows: int = 5_000
    """Publications that make a chunk at most: at one read each, half a second of the busiest edge."""
    read_bytes: int = 4 * 2**20
    """Payload bytes that make a chunk at most: some 30,000 reads, 6 MB of Arrow, for whoever consumes it."""
    drain_bytes_per_s: float | None = 4e6
    """Payload bytes per second by which a backlog may shrink; what comes in meanwhile is forwarded on top of it. `None`
    for no bound. 4 MB/s are some 50,000 reads/s: a third of a core and about 12 Mbit/s of uplink (a read is 30 bytes in
    Kafka). Eight hours of a store with twenty readers (100 kB/s, 2.9 GB) drain in 12 minutes."""
    in_flight_bytes_limit: int = 32 * 2**20
    """Bytes with the producer at most, give or take a chunk: 0.3 s of a 1 Gbit/s line."""
    in_flight_ranges_limit: int = 64
    """Chunks of a site in flight at most, however small."""
    record_bytes_limit: int = RECORD_BYTES_LIMIT
    """Largest value of a record, bytes. It is halved whenever a topic says that a record is too large."""
    linger_ms: int = 5
    """How long the producer waits for more to send along, milliseconds."""
    delivery_timeout_s: float = 120.0
    """After this long without an acknowledgement a record is taken to be lost, and a new producer sends it again."""
    poll_interval_s: float = 0.05
    """How often the edge log is looked at while nothing comes."""
    drain_timeout_s: float = 5.0
    """How long a forwarder that was told to stop waits for what is in flight."""
    retry_interval_s: float = 0.5
    """First pause after a failure, seconds; it doubles."""
    retry_interval_s_max: float = 30.0
    """Longest pause."""


@dataclass(slots=True, kw_only=True)
class ForwarderStats:
    """What the forwarder has done since it was made."""

    state: ForwarderState = ForwarderState.STOPPED
    """What it does now."""
    problem: str | None = None
    """Why it is away."""
    cursor: int = 0
    """Kafka has everything up to this edge offset."""
    read_through: int = 0
    """Last edge offset that was read."""
    behind_rows: int = 0
    """Publications in the edge log that were not read yet, when it was last looked."""
    publications: int = 0
    """Publications read, repeats counted again."""
    repeated_publications: int = 0
    """Of these, read before, by an earlier session: sent again."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows sent, by stream, repeats counted again."""
    records_sent: int = 0
    """Records given to the producer."""
    records_delivered: int = 0
    """Records that Kafka has acknowledged."""
    bytes_sent: int = 0
    """Bytes of their values, before compression."""
    chunks: int = 0
    """Chunks that are in Kafka, whole."""
    sessions: int = 0
    """Producers started."""
    failures: dict[str, int] = field(default_factory=dict)
    """Sessions that ended early or could not begin, by error code."""
    cursor_refusals: int = 0
    """Times the edge log could not move the cursor; it is tried again."""
