"""Follows one stream's topic, for people who look: rows as they arrive, repeats of a crashed forwarder included."""

import time
from collections.abc import Iterator
from typing import cast

import pyarrow as pa
from confluent_kafka import Consumer, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPlace

from devices.errors import UsageError
from devices.schemas import STREAMS
from ingest.kafka_cluster import KafkaCluster, ensure_topics, unavailable
from ingest.kafka_errors import KafkaRecordError
from ingest.kafka_records import Piece, decode_piece, decode_pieces

_RECORDS_AT_ONCE = 100
_WAIT_S = 0.5
_RETRY_S = 0.1


def follow_stream(cluster: KafkaCluster, stream: str) -> Iterator[pa.Table]:
    """Yield what arrives on a stream's topic from now on; twice a second an empty table while nothing does.

    Args:
        cluster: Which Kafka.
        stream: One of the canonical streams.

    Raises:
        UsageError: There is no topic of that name.
        ForwardError: Kafka does not answer.
    """
    if stream not in STREAMS:
        raise UsageError(
            f"'{stream}' is not a Kafka topic: it is computed by the jobs",
            hint=f"follow it with --data; topics: {', '.join(STREAMS)}",
        )
    kafka_partitions = ensure_topics(cluster).kafka_partitions
    settings = {**cluster.client(), "group.id": "tagtide-tail", "enable.auto.commit": False, "log_level": 0}
    with Consumer(settings) as consumer:
        consumer.assign([_end(consumer, cluster, stream, number) for number in range(kafka_partitions)])
        begun: dict[int, list[Piece]] = {}
        while True:
            records = consumer.consume(1, _WAIT_S)
            records += consumer.consume(_RECORDS_AT_ONCE, 0.0)
            batches = [batch for record in records if (batch := _rows(stream, record, begun)) is not None]
            yield pa.Table.from_batches(batches, STREAMS[stream])


def _end(consumer: Consumer, cluster: KafkaCluster, stream: str, number: int) -> KafkaPlace:
    """Return where a partition ends now; left to librdkafka, "the end" is wherever it is when it gets round to it."""
    place = KafkaPlace(cluster.topic(stream), number)
    deadline = time.monotonic() + cluster.request_timeout_s
    while True:
        try:
            return KafkaPlace(place.topic, number, consumer.get_watermark_offsets(place, cluster.request_timeout_s)[1])
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise unavailable(cluster, error) from error
            time.sleep(_RETRY_S)  # a topic that was just made has no leader for a moment


def _rows(stream: str, record: Message, begun: dict[int, list[Piece]]) -> pa.RecordBatch | None:
    """Decode a record; `None` for what is not ours, and for a fragment until the last of its value is there."""
    number = record.partition()
    if record.error() is not None or number is None:
        return None
    try:
        piece = decode_piece(record.value(), cast("list[tuple[str, bytes]] | None", record.headers()))
        place, count = piece.fragment or (1, 1)
        begun[number] = [*(begun.get(number, []) if place > 1 else []), piece]
        return decode_pieces(stream, begun.pop(number)) if place == count else None
    except KafkaRecordError:
        return None
