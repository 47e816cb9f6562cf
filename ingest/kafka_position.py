"""Position tokens of the Kafka source: where to read again, and what was handed out already. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ingest.chunk_assembly import LogKey
from ingest.kafka_errors import KafkaPositionError
from ingest.kafka_records import TOPICS, kafka_partition_of

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaPosition:
    """A place in all topics."""

    kafka_partitions: int | None = None
    """Partitions of each topic; `None` for the beginning of whatever there is."""
    next_offsets: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """By partition number and topic, the Kafka offset of the next record; what is left out begins where it begins."""
    handed: Mapping[LogKey, int] = field(default_factory=dict)
    """Last edge offset that was handed out, by site and edge log."""

    def for_partitions(self, kafka_partitions: int) -> "KafkaPosition":
        """Return this position for topics with so many partitions.

        Raises:
            KafkaPositionError: It belongs to topics with another number of partitions.
        """
        if self.kafka_partitions not in (None, kafka_partitions):
            raise KafkaPositionError(
                f"the position is of topics with {self.kafka_partitions} partitions, these have {kafka_partitions}",
                hint="topics were made anew: give the jobs a fresh --data directory",
            )
        return KafkaPosition(kafka_partitions=kafka_partitions, next_offsets=self.next_offsets, handed=self.handed)

    def handed_in(self, number: int) -> dict[LogKey, int]:
        """Return what was handed out of one partition number."""
        assert self.kafka_partitions is not None, "a place in partitions that are not known"
        return {
            (site, edge_id): offset
            for (site, edge_id), offset in self.handed.items()
            if kafka_partition_of((edge_id if site is None else site).encode(), self.kafka_partitions) == number
        }


class _Handed(msgspec.Struct, kw_only=True):
    site: str | None
    edge_id: str
    edge_offset: int


class _Token(msgspec.Struct, kw_only=True):
    version: int
    kafka_partitions: int | None
    next_offsets: dict[str, dict[int, int]]
    handed: list[_Handed]


def encode_position(position: KafkaPosition) -> bytes:
    """Encode a position as JSON: by topic, then by partition number."""
    by_topic: dict[str, dict[int, int]] = {}
    for number, offsets in sorted(position.next_offsets.items()):
        for topic, offset in offsets.items():
            by_topic.setdefault(topic, {})[number] = offset
    handed = [
        _Handed(site=site, edge_id=edge_id, edge_offset=offset) for (site, edge_id), offset in position.handed.items()
    ]
    return msgspec.json.encode(
        _Token(version=_VERSION, kafka_partitions=position.kafka_partitions, next_offsets=by_topic, handed=handed)
    )


def decode_position(token: bytes) -> KafkaPosition:
    """Decode a position.

    Raises:
        KafkaPositionError: The token is not one of ours.
    """
    try:
        found = msgspec.json.decode(token, type=_Token)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise KafkaPositionError(f"not a position in Kafka: {token[:80]!r}: {error}") from error
    if found.version != _VERSION or not found.next_offsets.keys() <= set(TOPICS):
        raise KafkaPositionError(
            f"a position in Kafka of another version: {token[:80]!r}", hint="run the Tagtide that wrote it"
        )
    next_offsets: dict[int, dict[str, int]] = {}
    for topic, offsets in found.next_offsets.items():
        for number, offset in offsets.items():
            next_offsets.setdefault(number, {})[topic] = offset
    return KafkaPosition(
        kafka_partitions=found.kafka_partitions,
        next_offsets=next_offsets,
        handed={(each.site, each.edge_id): each.edge_offset for each in found.handed},
    )
