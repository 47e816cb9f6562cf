"""What a Kafka cluster's topics must be like to lose nothing: facts, how they are asked for, and the rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, though its types do not say so
    AdminClient,
    ConfigResource,
    ResourceType,
)

from deploy.doctor.findings import Finding, ok, problem, unknown, warning
from ingest.kafka_cluster import ClusterAdmin, KafkaCluster, reason_of, unavailable
from ingest.kafka_records import RECORD_BYTES_LIMIT, TOPICS

_DAY_MS = 24 * 3600 * 1000
_RETENTION_MS_MIN = 3 * _DAY_MS  # a job that stops on Friday evening is looked after on Monday morning
_HEADROOM_BYTES = 20_000  # what the forwarder adds to a record's value at most: key, headers, framing
_REPLICAS_WANTED = 3
_IN_SYNC_WANTED = 2
_FOREVER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFacts:
    """One Kafka topic of ours as it is."""

    name: str
    """Full name."""
    partitions: int
    """Number of Kafka partitions."""
    replicas: int
    """Fewest replicas of any of its partitions."""
    offline: int
    """Partitions without a leader."""
    settings: Mapping[str, str]
    """Its settings, defaults among them; empty where we may not see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """A Kafka cluster as it is."""

    brokers: int
    """Brokers in it."""
    topics: Sequence[TopicFacts]
    """Those of our topics that exist."""
    missing: Sequence[str]
    """Those that do not."""


def cluster_facts(cluster: KafkaCluster) -> ClusterFacts:
    """Ask a cluster about our topics.

    Raises:
        ForwardError: It does not answer.
    """
    admin = ClusterAdmin(cluster)
    try:
        metadata = admin.list_topics(timeout=cluster.request_timeout_s)
    except KafkaException as error:
        admin.poll(0)
        raise unavailable(cluster, error, admin.clues) from error
    wanted = [cluster.topic(name) for name in TOPICS]
    found = {name: topic for name, topic in metadata.topics.items() if name in wanted and topic.error is None}
    settings = _settings(admin, sorted(found), cluster.request_timeout_s)
    topics = [
        TopicFacts(
            name=name,
            partitions=len(topic.partitions),
            replicas=min((len(partition.replicas) for partition in topic.partitions.values()), default=0),
            offline=sum(partition.leader < 0 for partition in topic.partitions.values()),
            settings=settings.get(name, {}),
        )
        for name, topic in sorted(found.items())
    ]
    return ClusterFacts(
        brokers=len(metadata.brokers), topics=topics, missing=[name for name in wanted if name not in found]
    )


def of_cluster(facts: ClusterFacts) -> list[Finding]:
    """Judge a cluster."""
    findings = [_of_existence(facts)]
    if not facts.topics:
        return findings
    findings.append(_of_partitions(facts))
    wrong = _grouped(facts)
    return [*findings, *(wrong or [ok("kafka.settings", "replication, retention and limits are right")])]


def of_absence(error: Exception) -> Finding:
    """Say that a cluster does not answer."""
    return problem("kafka.reach", reason_of(error), "is it running and reachable from here, with these credentials?")


def _settings(admin: AdminClient, names: Sequence[str], timeout_s: float) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {}
    if not names:
        return settings
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    for resource, future in admin.describe_configs(resources, request_timeout=timeout_s).items():
        try:
            settings[resource.name] = {name: entry.value for name, entry in future.result().items()}
        except KafkaException:
            continue  # we may not look: the finding says so
    return settings


def _of_existence(facts: ClusterFacts) -> Finding:
    if facts.missing:
        return warning(
            "kafka.topics",
            f"{len(facts.missing)} of {len(TOPICS)} topics do not exist: {', '.join(facts.missing)}",
            "tagtide forward creates them if it may; or let an administrator create them, all with the same number of"
            " partitions",
        )
    return ok("kafka.topics", f"{len(facts.topics)} topics on {facts.brokers} brokers")


def _of_partitions(facts: ClusterFacts) -> Finding:
    counts = {topic.partitions for topic in facts.topics}
    if len(counts) > 1:
        listed = ", ".join(f"{topic.name} {topic.partitions}" for topic in facts.topics)
        return problem(
            "kafka.partitions",
            f"the topics differ in their number of partitions: {listed}",
            "a site's records must have the same partition number in all topics: create them anew with one number, or"
            " choose another topic prefix",
        )
    return ok("kafka.partitions", f"{counts.pop()} partitions in each topic")


def _grouped(facts: ClusterFacts) -> list[Finding]:
    """Judge each topic, and say once what is the same of several."""
    names: dict[Finding, list[str]] = {}
    for topic in facts.topics:
        for finding in _of_topic(topic, facts.brokers):
            names.setdefault(finding, []).append(topic.name)
    return [
        replace(finding, found=f"{_these(affected, len(facts.topics))}: {finding.found}")
        for finding, affected in names.items()
    ]


def _these(names: list[str], count: int) -> str:
    return f"all {count} topics" if len(names) == count else ", ".join(names)


def _of_topic(topic: TopicFacts, brokers: int) -> list[Finding]:
    if topic.offline:
        return [problem("kafka.offline", f"{topic.offline} partitions have no leader", "start their brokers")]
    if not topic.settings:
        return [unknown("kafka.settings", "its settings may not be seen", "allow DescribeConfigs for us")]
    return [
        *_of_replicas(topic, brokers),
        *_of_retention(topic),
        *_of_values(topic),
    ]


def _of_replicas(topic: TopicFacts, brokers: int) -> list[Finding]:
    in_sync = _number(topic, "min.insync.replicas", 1)
    if topic.replicas < in_sync:
        return [
            problem(
                "kafka.min_insync_replicas",
                f"min.insync.replicas={in_sync} with {topic.replicas} replicas, so nothing is written",
                f"set min.insync.replicas below {topic.replicas + 1}, or add replicas",
            )
        ]
    if topic.replicas < _REPLICAS_WANTED:
        alone = " (this cluster has a single broker)" if brokers == 1 else ""
        return [
            warning(
                "kafka.replicas",
                f"{topic.replicas} replicas{alone}: what a broker acknowledged is lost with its disk",
                "use three brokers, replication factor 3 and min.insync.replicas=2 for what must not be lost",
            )
        ]
    if in_sync < _IN_SYNC_WANTED:
        return [
            problem(
                "kafka.min_insync_replicas",
                f"min.insync.replicas={in_sync}: a record counts as written with one copy of it",
                "set min.insync.replicas=2",
            )
        ]
    if in_sync == topic.replicas:
        return [
            warning(
                "kafka.min_insync_replicas",
                f"min.insync.replicas={in_sync} of {topic.replicas} replicas: nothing is written with any broker down",
                "set min.insync.replicas=2 with three replicas",
            )
        ]
    return []


def _of_retention(topic: TopicFacts) -> list[Finding]:
    findings = []
    retention_ms = _number(topic, "retention.ms", _FOREVER)
    if retention_ms != _FOREVER and retention_ms < _RETENTION_MS_MIN:
        findings.append(
            problem(
                "kafka.retention",
                f"retention.ms={retention_ms} ({retention_ms / _DAY_MS:.2g} days)",
                "keep records longer than jobs may stand still: three days at least, seven is Kafka's default",
            )
        )
    retention_bytes = _number(topic, "retention.bytes", _FOREVER)
    if retention_bytes != _FOREVER:
        findings.append(
            warning(
                "kafka.retention_bytes",
                f"retention.bytes={retention_bytes} for each partition",
                "records that no job has read yet are deleted at that size: be sure that it holds three days, or set"
                " -1",
            )
        )
    return findings


def _of_values(topic: TopicFacts) -> list[Finding]:
    findings = []
    for name, wanted, why in (
        ("cleanup.policy", "delete", "compaction keeps one record of a site and deletes the others"),
        ("message.timestamp.type", "LogAppendTime", "an edge box with a wrong clock has its records deleted at once"),
        ("unclean.leader.election.enable", "false", "a broker that was behind may take over and forget records"),
    ):
        value = topic.settings.get(name)
        if value is not None and value != wanted:
            findings.append(problem("kafka.settings", f"{name}={value}: {why}", f"set {name}={wanted}"))
    record_bytes = _number(topic, "max.message.bytes", RECORD_BYTES_LIMIT + _HEADROOM_BYTES)
    if record_bytes < RECORD_BYTES_LIMIT + _HEADROOM_BYTES:
        findings.append(
            warning(
                "kafka.max_message_bytes",
                f"max.message.bytes={record_bytes}: the forwarder has to send smaller records",
                f"set max.message.bytes={RECORD_BYTES_LIMIT + _HEADROOM_BYTES} or more",
            )
        )
    return findings


def _number(topic: TopicFacts, name: str, default: int) -> int:
    try:
        return int(topic.settings.get(name, default))
    except ValueError:
        return default
