"""Which Kafka, and its topics: created alike, and checked to be alike, since chunks need them co-partitioned."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, though its types do not say so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from devices.errors import ForwardError, UsageError
from ingest.kafka_errors import KafkaTopicsError
from ingest.kafka_records import TOPICS
from ingest.kafka_refusal import refusal_of

_APPEARS_TIMEOUT_S = 15.0  # a new topic is known to every broker of a busy cluster within a second or two
_APPEARS_POLL_S = 0.1
_CLUES_MAX = 100  # a client that tries for seconds says the same a few times for each broker
_BROKER_DEFAULT = -1  # replicas of a topic as the cluster's default.replication.factor says
_TOPIC_SETTINGS = {
    "cleanup.policy": "delete",
    # By the producer's clock, Kafka's default, an edge box whose clock says 1970 has its records deleted at once.
    "message.timestamp.type": "LogAppendTime",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaCluster:
    """A Kafka cluster and the names of our topics in it."""

    bootstrap_servers: str
    """Where to begin, `host:port[,host:port]`."""
    topic_prefix: str = ""
    """Put before each topic's name: several installations in one cluster."""
    kafka_partitions: int = 12
    """Partitions of topics that we create, each; a fleet's jobs can share the work among so many consumers. Where
    topics exist, what they have counts."""
    replication_factor: int | None = None
    """Replicas of topics that we create; `None` leaves it to the cluster."""
    request_timeout_s: float = 5.0
    """How long one question to the cluster may take, seconds; with a cluster that is away, how long it takes."""
    client_settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further settings of librdkafka for every client, such as `security.protocol` and `sasl.*`
    (`ingest.kafka_config`). They hold secrets: never shown."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.bootstrap_servers.strip():
            raise UsageError("no Kafka bootstrap servers were given", hint="--kafka HOST:PORT")
        if self.kafka_partitions < 1 or (self.replication_factor is not None and self.replication_factor < 1):
            raise UsageError("Kafka topics need at least one partition and one replica")

    def topic(self, name: str) -> str:
        """Return the full name of a topic."""
        return self.topic_prefix + name

    def client(self) -> dict[str, str | int | float | bool]:
        """Return the settings that every client of ours has."""
        return {"bootstrap.servers": self.bootstrap_servers, "client.id": "tagtide", **self.client_settings}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyTopics:
    """The topics as they are."""

    kafka_partitions: int
    """Partitions of each of them."""
    warnings: tuple[str, ...] = ()
    """Settings of theirs that will cost data."""


class ClusterAdmin(AdminClient):
    """A client for questions to a cluster, which keeps what librdkafka says meanwhile."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self.clues: deque[KafkaError] = deque(maxlen=_CLUES_MAX)
        """What it has said, in order: why there is no connection stands here alone."""
        settings: dict[str, Any] = {**cluster.client(), "log_level": 0, "error_cb": self.clues.append}
        super().__init__(settings)


def ensure_topics(cluster: KafkaCluster) -> ReadyTopics:
    """Create the topics that are missing and check that all have the same number of partitions.

    Raises:
        ForwardError: The cluster does not answer; try again later.
        KafkaTopicsError: The topics differ, or we may not create them.
    """
    admin = ClusterAdmin(cluster)
    counts = _partition_counts(admin, cluster)
    missing = [name for name in TOPICS if cluster.topic(name) not in counts]
    if missing:
        _create(admin, cluster, missing, next(iter(counts.values()), cluster.kafka_partitions))
        counts = _awaited_counts(admin, cluster)
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{topic} {count}" for topic, count in sorted(counts.items()))
        raise KafkaTopicsError(
            f"the topics differ in their number of partitions: {listed}",
            hint="a site's records must have the same partition number in all topics: choose another topic prefix,"
            " or delete these topics and forward the edge logs again",
        )
    return ReadyTopics(kafka_partitions=next(iter(counts.values())), warnings=_warnings(admin, cluster))


def unavailable(cluster: KafkaCluster, error: KafkaException, clues: Iterable[KafkaError] = ()) -> ForwardError:
    """Turn an error of the client library into one of ours.

    Args:
        cluster: Which Kafka.
        error: What a request has failed with.
        clues: What the client has said meanwhile.
    """
    return refusal_of([*clues, error.args[0]], cluster.bootstrap_servers) or ForwardError(
        f"Kafka at {cluster.bootstrap_servers} does not answer: {reason_of(error.args[0])}",
        hint="is it running and reachable from here, and does that port want TLS (--kafka-config)? what is stored at"
        " the edge waits until it answers",
    )


def reason_of(error: object) -> str:
    """Return what an error of the client library says, without its decoration."""
    return error.str() if isinstance(error, KafkaError) else str(error)


def _partition_counts(admin: ClusterAdmin, cluster: KafkaCluster) -> dict[str, int]:
    """Return the number of partitions of each of our topics that exists."""
    try:
        found = admin.list_topics(timeout=cluster.request_timeout_s).topics
    except KafkaException as error:
        admin.poll(0)
        raise unavailable(cluster, error, admin.clues) from error
    ours = {cluster.topic(name) for name in TOPICS}
    return {name: len(topic.partitions) for name, topic in found.items() if name in ours and topic.error is None}


def _create(admin: ClusterAdmin, cluster: KafkaCluster, names: list[str], kafka_partitions: int) -> None:
    replicas = cluster.replication_factor or _BROKER_DEFAULT
    wanted = [
        NewTopic(
            cluster.topic(name),
            num_partitions=kafka_partitions,
            replication_factor=replicas,
            config=dict(_TOPIC_SETTINGS),
        )
        for name in names
    ]
    futures = admin.create_topics(wanted, request_timeout=cluster.request_timeout_s)
    for topic, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue  # somebody else was faster; the counts are compared below
            if reason.retriable() or reason.code() in _AWAY:
                raise unavailable(cluster, error) from error
            raise KafkaTopicsError(
                f"the topic {topic} cannot be created: {reason_of(reason)}",
                hint=f"let an administrator create it with {kafka_partitions} partitions, like the others, and"
                " message.timestamp.type=LogAppendTime",
            ) from error


def _awaited_counts(admin: ClusterAdmin, cluster: KafkaCluster) -> dict[str, int]:
    deadline = time.monotonic() + _APPEARS_TIMEOUT_S
    while len(counts := _partition_counts(admin, cluster)) < len(TOPICS):
        if time.monotonic() > deadline:
            raise ForwardError(f"Kafka at {cluster.bootstrap_servers} does not show the topics that it has created")
        time.sleep(_APPEARS_POLL_S)
    return counts


def _warnings(admin: AdminClient, cluster: KafkaCluster) -> tuple[str, ...]:
    """Look for settings that cost data; a cluster that does not let us look gets no warnings."""
    resources = [ConfigResource(ResourceType.TOPIC, cluster.topic(name)) for name in TOPICS]
    found = []
    for resource, future in admin.describe_configs(resources, request_timeout=cluster.request_timeout_s).items():
        try:
            settings = future.result()
        except KafkaException:
            continue
        for name, wanted in _TOPIC_SETTINGS.items():
            if name in settings and settings[name].value != wanted:
                found.append(f"{resource.name} has {name}={settings[name].value}, it should be {wanted}")
    return tuple(found)


_AWAY = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}  # noqa: SLF001
