"""From an edge log over a real Kafka and back: the same as without it, whatever happens on the way."""

import dataclasses
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # public, untyped

from deploy.local_kafka import LocalKafka
from devices.errors import UsageError
from devices.events import Event
from devices.publication import Publication
from ingest.edge_log import EdgeLog
from ingest.errors import EdgeLogUnavailableError
from ingest.forwarder import CURSOR, Forwarder, ForwarderConfig
from ingest.kafka_cluster import KafkaCluster, ensure_topics
from ingest.kafka_errors import KafkaPositionError, KafkaTopicsError
from ingest.kafka_records import TOPICS, kafka_partition_of
from ingest.kafka_source import KafkaSource, KafkaSourceConfig
from ingest.kafka_tail import follow_stream
from tests.brokers import DEADLINE_S, eventually
from tests.ingest.kafka_scene import (
    DIRECTORY,
    NOW_US,
    as_many_as,
    assert_same,
    edge_log,
    expected,
    handed_out,
    publications,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(kafka: LocalKafka) -> KafkaCluster:
    """Topics of this test's own."""
    return KafkaCluster(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=f"t{uuid.uuid4().hex[:8]}.",
        kafka_partitions=3,
        request_timeout_s=30.0,  # a busy machine's Kafka may need more than the usual five
    )


@pytest.fixture
def open_source(cluster: KafkaCluster) -> Iterator[Callable[..., KafkaSource]]:
    """A way to open sources, which are closed in the end."""
    opened = []

    def open_one(**settings: object) -> KafkaSource:
        config = KafkaSourceConfig(bootstrap_servers=cluster.bootstrap_servers, topic_prefix=cluster.topic_prefix)
        opened.append(KafkaSource(dataclasses.replace(config, **settings)))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for source in opened:
        source.close()


def forward(cluster: KafkaCluster, log: EdgeLog, **settings: object) -> Forwarder:
    """Forward everything that a log holds."""
    config = dataclasses.replace(ForwarderConfig(cluster=cluster), **settings)  # type: ignore[arg-type]
    forwarder = Forwarder(config, log, DIRECTORY)
    end, deadline = log.last_offset, time.monotonic() + DEADLINE_S
    forwarder.run(lambda: forwarder.stats.cursor >= end or time.monotonic() > deadline)
    assert forwarder.stats.cursor == log.cursor(CURSOR) == end, forwarder.stats
    return forwarder


def test_over_kafka_is_the_same_as_without(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path, publications(400))
    stats = forward(cluster, log, read_rows=90).stats
    assert (stats.publications, stats.repeated_publications, stats.sessions, stats.failures) == (400, 0, 1, {})
    assert stats.records_delivered == stats.records_sent
    assert_same(handed_out(open_source(), as_many_as(expected(log))), expected(log))


def test_a_forwarder_that_is_killed_sends_again_and_nothing_arrives_twice(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path, publications(3000))
    ensure_topics(cluster)
    source = open_source()
    command = [sys.executable, "-m", "tests.ingest.forward_process", str(tmp_path)]
    command += [cluster.bootstrap_servers, cluster.topic_prefix]
    for read_rows in ("7", "11"):  # other chunk borders each time
        killed_at = log.cursor(CURSOR) + 200
        process = subprocess.Popen([*command, read_rows, str(killed_at)])
        assert process.wait(DEADLINE_S) == -signal.SIGKILL
        assert killed_at <= log.cursor(CURSOR) < 3000
    subprocess.run([*command, "500"], check=True, timeout=DEADLINE_S)
    assert_same(handed_out(source, as_many_as(expected(log))), expected(log))
    assert source.poll(max_rows=1000, timeout_s=0.3) == []


def test_a_kafka_that_dies_and_comes_back_loses_nothing(
    kafka: LocalKafka,
    cluster: KafkaCluster,
    open_source: Callable[..., KafkaSource],
    tmp_path: Path,
) -> None:
    log = edge_log(tmp_path, publications(300))
    source = open_source()
    told = list[Event]()
    forwarder = Forwarder(ForwarderConfig(cluster=cluster, read_rows=40), log, DIRECTORY, on_event=told.append)
    stop = threading.Event()
    thread = threading.Thread(target=forwarder.run, args=(stop.is_set,))
    thread.start()
    try:
        first = handed_out(source, as_many_as(expected(log)))
        kafka.kill()
        log.append(publications(300, seed=8))
        assert source.poll(max_rows=1000, timeout_s=0.3) == []
        kafka.start()
        whole = expected(log)
        found = first + handed_out(source, lambda more: as_many_as(whole)(first + more))
        # A consumer may have the rows before the forwarder has Kafka's word for them.
        eventually(lambda: log.cursor(CURSOR) == 600, "Kafka's acknowledgements have come")
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        if not kafka.is_running():
            kafka.start()
    assert_same(found, whole)
    codes = [event.code for event in told]
    assert told[codes.index("kafka_forwarding")].text.startswith("forwarding from edge offset 0")
    assert "kafka_away" in codes[codes.index("kafka_forwarding") :]
    assert told[-1].text.startswith("forwarding from edge offset ")


def test_from_a_position_the_rest_comes_again(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path, publications(300))
    forward(cluster, log, read_rows=20)
    whole = expected(log)
    source = open_source()
    first = source.poll(max_rows=100, timeout_s=10)
    middle = source.position()
    rest = handed_out(source, lambda more: as_many_as(whole)(first + more))
    assert_same(first + rest, whole)

    source.seek(middle)
    assert source.position() == middle
    assert_same(handed_out(source, as_many_as(rest)), rest)

    other = open_source()
    other.seek(middle)
    assert_same(handed_out(other, as_many_as(rest)), rest)
    other.seek(None)
    assert_same(handed_out(other, as_many_as(whole)), whole)


def test_the_same_range_cut_differently_is_handed_out_once(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path / "log", publications(200))
    log.close()
    shutil.copytree(tmp_path / "log", tmp_path / "copy")  # the same edge log before it was forwarded
    for directory, read_rows in (("log", 7), ("copy", 45)):
        log = EdgeLog.open(tmp_path / directory)
        forward(cluster, log, read_rows=read_rows)
    source = open_source()
    assert_same(handed_out(source, as_many_as(expected(log))), expected(log))
    assert source.poll(max_rows=1000, timeout_s=0.5) == []
    assert source.stats.assembly.repeats > 0


def test_a_replaced_edge_log_follows_the_old_one(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    old, new = edge_log(tmp_path / "old", publications(60)), edge_log(tmp_path / "new", publications(60, seed=8))
    forward(cluster, old)
    forward(cluster, new)
    whole = expected(old) + expected(new)
    found = handed_out(open_source(), as_many_as(whole))
    assert_same(found, whole)
    for site in DIRECTORY.sites:
        assert [chunk.edge_id for chunk in found if chunk.site == site] == [old.edge_id, new.edge_id]


def test_a_source_with_almost_no_room_still_hands_everything_out(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path, publications(300))
    forward(cluster, log, read_rows=15)
    source = open_source(held_bytes_limit=1, queued_progress_limit=0)
    assert_same(handed_out(source, as_many_as(expected(log))), expected(log))


def test_partitions_can_be_shared_out(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path, publications(100))
    forward(cluster, log)
    whole = expected(log)
    for number in range(cluster.kafka_partitions):
        mine = [chunk for chunk in whole if kafka_partition_of((chunk.site or chunk.edge_id).encode(), 3) == number]
        source = open_source(partitions_taken=(number,))
        assert_same(handed_out(source, as_many_as(mine)), mine)


def test_records_too_large_for_a_topic_are_cut_smaller(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
    small = {"max.message.bytes": "30000", "message.timestamp.type": "LogAppendTime"}
    made = admin.create_topics([NewTopic(cluster.topic(name), 3, 1, config=small) for name in TOPICS])
    for future in made.values():
        future.result()
    rubbish = random.Random(1).randbytes(60_000)  # does not compress
    large = Publication(topic="store-042/r1", payload=rubbish, received_us=NOW_US)
    log = edge_log(tmp_path, [*publications(50), large, *publications(50, seed=8)])
    forwarder = forward(cluster, log, record_bytes_limit=200_000)
    assert forwarder.stats.failures == {"kafka_delivery_failed": 3}  # 200 kB, 100 kB, 50 kB; 25 kB fits
    assert_same(handed_out(open_source(), as_many_as(expected(log))), expected(log))


def test_what_kafka_no_longer_holds_is_counted_and_the_rest_comes(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path, publications(100))
    forward(cluster, log)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
    ends = [TopicPartition(cluster.topic("reads"), number, -1) for number in range(3)]
    for future in admin.delete_records(ends).values():
        future.result()
    whole = expected(log)
    told = list[Event]()
    source = open_source()
    source._on_event = told.append
    kept = [
        dataclasses.replace(each, batches={k: v for k, v in each.batches.items() if k != "reads"}) for each in whole
    ]
    assert_same(handed_out(source, as_many_as(kept)), kept)
    assert source.stats.assembly.rows_gone == sum(chunk.batch("reads").num_rows for chunk in whole)
    assert "retention" in told[-1].text


def test_a_cursor_that_cannot_be_moved_is_moved_later(cluster: KafkaCluster, tmp_path: Path) -> None:
    log = edge_log(tmp_path, publications(30))
    refusals_left = 3

    class BusyLog:
        edge_id = log.edge_id
        read = log.read
        cursor = log.cursor
        count_after = log.count_after

        def move_cursor(self, name: str, offset: int) -> None:
            nonlocal refusals_left
            if offset > 0 and refusals_left:
                refusals_left -= 1
                raise EdgeLogUnavailableError("the disk is full")
            log.move_cursor(name, offset)

    forwarder = Forwarder(ForwarderConfig(cluster=cluster), BusyLog(), DIRECTORY)
    forwarder.run(lambda: forwarder.stats.cursor == 30)
    assert (forwarder.stats.cursor_refusals, forwarder.stats.sessions, log.cursor(CURSOR)) == (3, 1, 30)


def test_a_stream_can_be_followed(cluster: KafkaCluster, tmp_path: Path) -> None:
    rows = follow_stream(cluster, "rejects")
    assert next(rows).num_rows == 0
    log = edge_log(tmp_path, publications(60))
    forward(cluster, log, record_bytes_limit=200)  # rejects larger than that come in fragments
    wanted = sorted(
        (chunk.site or "", row["edge_offset"], row["bytes"])
        for chunk in expected(log)
        for row in chunk.batch("rejects").to_pylist()
    )
    found: list[tuple[str, int, bytes]] = []
    while len(found) < len(wanted):
        found += [(row["site"] or "", row["edge_offset"], row["bytes"]) for row in next(rows).to_pylist()]
    assert sorted(found) == wanted
    with pytest.raises(UsageError, match="computed by the jobs"):
        next(follow_stream(cluster, "locations"))


def test_records_that_are_not_ours_are_skipped(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    ensure_topics(cluster)
    stranger = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    for name in TOPICS:
        for number in range(3):
            stranger.produce(cluster.topic(name), b"{}", partition=number, headers={"edge_id": b"\xff"})
            stranger.produce(cluster.topic(name), None, partition=number)
    assert stranger.flush(DEADLINE_S) == 0
    log = edge_log(tmp_path, publications(50))
    forward(cluster, log)
    source = open_source()
    assert_same(handed_out(source, as_many_as(expected(log))), expected(log))
    assert source.stats.foreign == 2 * 3 * len(TOPICS)


def test_kafkas_tools_see_how_far_the_jobs_are(
    cluster: KafkaCluster, open_source: Callable[..., KafkaSource], tmp_path: Path
) -> None:
    log = edge_log(tmp_path, publications(100))
    forward(cluster, log)
    group = f"g{cluster.topic_prefix}"
    source = open_source(group_id=group)
    handed_out(source, as_many_as(expected(log)))
    source.release(source.position())
    source.close()
    places = [TopicPartition(cluster.topic("reads"), number) for number in range(3)]
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
    committed = {place.partition: place.offset for place in asked[group].result().topic_partitions}
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "ends"})
    ends = {place.partition: consumer.get_watermark_offsets(place)[1] for place in places}
    consumer.close()
    assert {number: max(0, offset) for number, offset in committed.items()} == ends


def test_topics_with_different_numbers_of_partitions_are_refused(cluster: KafkaCluster) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
    by_producer = {"message.timestamp.type": "CreateTime"}
    admin.create_topics([NewTopic(cluster.topic("reads"), 2, 1, config=by_producer)])[cluster.topic("reads")].result()
    topics = ensure_topics(cluster)
    assert topics.kafka_partitions == 2  # what exists counts, and the others are made like it
    assert topics.warnings == (
        f"{cluster.topic('reads')} has message.timestamp.type=CreateTime, it should be LogAppendTime",
    )

    def partitions() -> int:
        found = admin.list_topics(timeout=30).topics.get(cluster.topic("rejects"))
        return len(found.partitions) if found is not None and found.error is None else 0

    admin.delete_topics([cluster.topic("rejects")])[cluster.topic("rejects")].result()
    eventually(lambda: partitions() == 0, "the broker knows that it is gone")
    admin.create_topics([NewTopic(cluster.topic("rejects"), 4, 1)])[cluster.topic("rejects")].result()
    eventually(lambda: partitions() == 4, "the broker knows the new one")
    with pytest.raises(KafkaTopicsError, match="rejects 4") as caught:
        ensure_topics(cluster)
    assert caught.value.code == "kafka_topics_unusable"


def test_a_position_of_other_topics_is_refused(cluster: KafkaCluster, open_source: Callable[..., KafkaSource]) -> None:
    ensure_topics(cluster)
    source = open_source()
    source.seek(b'{"version":1,"kafka_partitions":12,"next_offsets":{},"handed":[]}')
    with pytest.raises(KafkaPositionError, match="12 partitions, these have 3"):
        source.poll(max_rows=1, timeout_s=1)


def test_librdkafka_would_choose_the_same_partition(cluster: KafkaCluster) -> None:
    topics = ensure_topics(cluster)
    chosen: dict[bytes, int | None] = {}
    theirs = Producer({"bootstrap.servers": cluster.bootstrap_servers, "partitioner": "consistent"})
    for key in (b"store-042", b"store-043", b"k\xc3\xb6ln"):
        theirs.produce(
            cluster.topic("reads"),
            b"",
            key,
            on_delivery=lambda _, record: chosen.update({record.key() or b"": record.partition()}),
        )
    assert theirs.flush(DEADLINE_S) == 0
    assert chosen == {key: kafka_partition_of(key, topics.kafka_partitions) for key in chosen}
    assert len(chosen) == 3
