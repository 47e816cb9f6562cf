"""A forwarder and a source without a Kafka: they say so once, keep trying, and stop when told."""

import itertools
import random
from pathlib import Path

import pytest

from devices.errors import UsageError
from devices.events import Event
from ingest.edge_log import EdgeLog
from ingest.errors import EdgeLogForeignError, EdgeLogUnavailableError
from ingest.forward_session import ForwardSession, SessionFailedError
from ingest.forwarder import CURSOR, Forwarder, ForwarderConfig, ForwarderState, ForwarderStats
from ingest.kafka_cluster import KafkaCluster
from ingest.kafka_source import KafkaSource, KafkaSourceConfig
from tests.ingest.kafka_scene import DIRECTORY, edge_log, publications

NOBODY = "127.0.0.1:1"


def _config(**settings: float) -> ForwarderConfig:
    cluster = KafkaCluster(bootstrap_servers=NOBODY, request_timeout_s=0.02)
    return ForwarderConfig(cluster=cluster, **settings)  # type: ignore[arg-type]


def test_a_forwarder_without_kafka_keeps_everything_and_says_so_once(tmp_path: Path) -> None:
    log = edge_log(tmp_path, publications(5))
    told = list[Event]()
    pauses: list[float] = []
    forwarder = Forwarder(
        _config(retry_interval_s=1.0, retry_interval_s_max=4.0),
        log,
        DIRECTORY,
        on_event=told.append,
        sleep=pauses.append,
        jitter=random.Random(1),
    )
    forwarder.run(lambda: forwarder.stats.failures.get("kafka_unavailable", 0) >= 6 or len(pauses) > 200)
    assert forwarder.stats.failures == {"kafka_unavailable": 6}
    assert len(told) == 1
    assert told[0].code == "kafka_away"
    assert told[0].text.startswith("cannot forward now: Kafka at 127.0.0.1:1 does not answer")
    assert forwarder.stats.state is ForwarderState.STOPPED
    assert log.cursors() == {CURSOR: 0}  # registered, so that nothing is trimmed before Kafka has it
    # Five pauses between six attempts: 1, 2, 4, 4, 4 s at most, half of that at least, in slices.
    assert 7.5 <= sum(pauses) <= 15.5
    assert max(pauses) <= 0.1


def test_an_edge_log_that_is_locked_for_a_while_is_tried_again() -> None:
    class BusyLog:
        edge_id = "e"

        def move_cursor(self, *_: object) -> None:
            raise EdgeLogUnavailableError("another process holds it locked")

        cursor = read = move_cursor

    stops = iter([False, False, True])
    forwarder = Forwarder(_config(), BusyLog(), DIRECTORY, sleep=lambda _: None)  # type: ignore[arg-type]
    forwarder.run(lambda: next(stops, True))
    assert forwarder.stats.failures == {"edge_log_unavailable": 1}


def test_an_edge_log_that_is_damaged_ends_the_forwarder() -> None:
    class DamagedLog:
        edge_id = "e"

        def move_cursor(self, *_: object) -> None:
            raise EdgeLogForeignError("it is damaged")

        cursor = read = move_cursor

    with pytest.raises(EdgeLogForeignError):
        Forwarder(_config(), DamagedLog(), DIRECTORY).run(lambda: False)  # type: ignore[arg-type]


def test_a_source_without_kafka_hands_out_nothing_and_says_so_once() -> None:
    told = list[Event]()
    config = KafkaSourceConfig(bootstrap_servers=NOBODY, request_timeout_s=0.02)
    source = KafkaSource(config, on_event=told.append, sleep=lambda _: None)
    assert [source.poll(max_rows=10, timeout_s=0.01) for _ in range(3)] == [[], [], []]
    assert len(told) == 1
    assert source.stats.problem is not None
    position = source.position()
    source.seek(position)
    source.release(position)
    source.close()
    assert source.position() == position


@pytest.mark.parametrize("settings", [{"bootstrap_servers": " "}, {"kafka_partitions": 0}, {"replication_factor": 0}])
def test_a_cluster_that_cannot_work_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        KafkaCluster(**{"bootstrap_servers": NOBODY, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["piece", "progress"])
def test_an_acknowledgement_without_a_place_is_none(tmp_path: Path, kind: str) -> None:
    class Placeless:
        def offset(self) -> None:
            return None

    log = edge_log(tmp_path, publications(5))
    session = ForwardSession(
        config=_config(poll_interval_s=0.0),
        log=log,
        directory=DIRECTORY,
        stats=ForwarderStats(),
        name="s",
        kafka_partitions=3,
        record_bytes_limit=900_000,
    )
    session.turn()
    chunk = session._outstanding._lanes["store-042"][0]
    if kind == "piece":
        session._on_piece(chunk, "reads", None, Placeless())  # type: ignore[arg-type]
    else:
        session._on_progress(chunk, None, Placeless())  # type: ignore[arg-type]
    with pytest.raises(SessionFailedError, match="without a place"):
        session.turn()
    session.close()
    assert log.cursor(CURSOR) == 0


def test_reading_begins_behind_the_cursor_of_an_earlier_run(tmp_path: Path) -> None:
    log = edge_log(tmp_path, publications(5))
    log.move_cursor(CURSOR, 3)
    log.close()
    again = EdgeLog.open(tmp_path)
    attempts = itertools.count()
    forwarder = Forwarder(_config(), again, DIRECTORY, sleep=lambda _: None)
    forwarder.run(lambda: next(attempts) > 2)
    assert again.cursor(CURSOR) == 3
