"""The edge log as a source: everything once, in order, again after a seek, and never past what is kept."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.bulk import TopicDirectory
from devices.chunk import Chunk
from devices.errors import EdgeLogError
from devices.publication import CLOCK_TOPIC, Publication
from devices.site.model import Reader, Shelf, Site
from ingest.edge_log import EdgeLog
from ingest.edge_source import CURSOR, EdgeLogSource
from ingest.errors import EdgeLogPositionError
from ingest.limits import EdgeLogLimits

SITE = Site(
    id="s",
    readers=(Reader(id="r1", profile="impinj", mqtt_topic="r1"),),
    shelves=(Shelf(id="w", zone="z", profile="weight", mqtt_topic="w"),),
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EdgeLog]:
    opened = EdgeLog.open(tmp_path)
    yield opened
    opened.close()


def source_over(log: EdgeLog) -> EdgeLogSource:
    return EdgeLogSource(log, TopicDirectory.of([SITE]), sleep=lambda _: None)


def weights(count: int) -> list[Publication]:
    return [Publication(topic="w", payload=b"%d.5" % number, received_us=number) for number in range(count)]


def values(chunks: list[Chunk]) -> list[float]:
    return [value for chunk in chunks for value in chunk.batch("readings")["value"].to_pylist()]


def drain(source: EdgeLogSource, max_rows: int = 7) -> list[Chunk]:
    found: list[Chunk] = []
    while chunks := source.poll(max_rows=max_rows, timeout_s=0):
        found += chunks
    return found


def test_everything_comes_once_and_in_order(log: EdgeLog) -> None:
    log.append(weights(50))
    chunks = drain(source_over(log))
    assert values(chunks) == [number + 0.5 for number in range(50)]
    assert [(chunk.first_offset, chunk.last_offset) for chunk in chunks[:2]] == [(1, 7), (8, 14)]
    assert {chunk.edge_id for chunk in chunks} == {log.edge_id}


def test_after_a_seek_the_same_rows_come_again(log: EdgeLog) -> None:
    log.append(weights(30))
    source = source_over(log)
    first = source.poll(max_rows=10, timeout_s=0)
    position = source.position()
    assert json.loads(position) == {"edge_id": log.edge_id, "offset": 10, "received_us": 9}
    rest = values(drain(source))
    source.seek(position)
    assert values(drain(source, max_rows=4)) == rest
    source.seek(None)
    assert values(drain(source, max_rows=100)) == values(first) + rest


def test_a_poll_without_anything_new_ends_at_its_deadline(log: EdgeLog) -> None:
    now_s = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    source = EdgeLogSource(log, TopicDirectory.of([SITE]), sleep=sleep, monotonic=lambda: now_s)
    assert source.poll(max_rows=10, timeout_s=0.5) == []
    assert now_s == pytest.approx(0.5)


def test_what_another_process_appends_is_noticed_while_waiting(tmp_path: Path, log: EdgeLog) -> None:
    writer = EdgeLog.open(tmp_path)

    def sleep(_seconds: float) -> None:
        writer.append(weights(1))

    source = EdgeLogSource(log, TopicDirectory.of([SITE]), sleep=sleep)
    assert values(source.poll(max_rows=10, timeout_s=5)) == [0.5]
    writer.close()


def test_many_rows_in_each_publication_make_the_next_poll_smaller(log: EdgeLog) -> None:
    reads = [
        {"timestamp": "2026-01-01T00:00:00Z", "eventType": "tagInventory", "tagInventoryEvent": {"epcHex": "E280"}}
        for _ in range(20)
    ]
    log.append([Publication(topic="r1", payload=json.dumps(reads).encode(), received_us=1) for _ in range(30)])
    source = source_over(log)
    first = source.poll(max_rows=10, timeout_s=0)[0]
    second = source.poll(max_rows=60, timeout_s=0)[0]
    assert first.rows == 10 * 20
    assert (second.first_offset, second.last_offset, second.rows) == (11, 13, 60)


def test_a_clock_record_is_a_chunk_of_its_own(log: EdgeLog) -> None:
    log.append([Publication(topic=CLOCK_TOPIC, payload=b"", received_us=99)])
    (chunk,) = source_over(log).poll(max_rows=10, timeout_s=0)
    assert [(mark.edge_offset, mark.received_us) for mark in chunk.clock] == [(1, 99)]


def test_what_is_not_released_is_kept(log: EdgeLog) -> None:
    everything = EdgeLogLimits(stored_bytes_max=1, kept_age_s=0)
    log.append(weights(20))
    source = source_over(log)
    source.poll(max_rows=10, timeout_s=0)
    assert log.trim(everything) == 0
    source.release(source.position())
    assert log.cursor(CURSOR) == 10
    assert log.trim(everything) == 9
    assert values(drain(source)) == [number + 0.5 for number in range(10, 20)]
    source.seek(None)
    assert drain(source)[0].first_offset == 10, "the beginning of what is kept"


def test_a_position_whose_rows_are_gone_is_an_error_and_not_a_gap(log: EdgeLog) -> None:
    log.append(weights(20))
    source = source_over(log)
    source.poll(max_rows=3, timeout_s=0)
    position = source.position()
    log.move_cursor(CURSOR, 20)
    log.trim(EdgeLogLimits(stored_bytes_max=1, kept_age_s=0))
    source.seek(position)
    with pytest.raises(EdgeLogPositionError, match="4 to 19 are no longer kept"):
        source.poll(max_rows=3, timeout_s=0)


def test_an_older_copy_that_was_put_back_loses_nothing_new(tmp_path: Path, log: EdgeLog) -> None:
    """The jobs had read 20, the copy ends at 8; what comes after it is put back carries offsets of its own."""
    log.append(weights(8))
    shutil.copytree(tmp_path, tmp_path / "backup", ignore=shutil.ignore_patterns("backup"))
    log.append(weights(12))
    source = source_over(log)
    drain(source)
    position = source.position()
    log.close()

    restored = EdgeLog.open(tmp_path / "backup")
    again = source_over(restored)
    again.seek(position)
    again.release(position)
    assert drain(again) == []
    restored.begin_run(10**15)
    restored.append(weights(3))
    assert values(drain(again)) == [0.5, 1.5, 2.5]
    assert [row.edge_offset for row in restored.read(7, 9, 10**6)] == [8, 10**15, 10**15 + 1, 10**15 + 2]
    assert (restored.count_after(0), restored.count_after(7), restored.count_after(10**15)) == (11, 4, 2)
    restored.close()


@pytest.mark.parametrize("came_before_the_jobs", [True, False])
def test_an_older_copy_that_was_written_on_without_a_jump_is_refused(log: EdgeLog, came_before_the_jobs: bool) -> None:  # noqa: FBT001
    """With a clock that is behind there is no jump: the same offset names another publication."""
    log.append(weights(8))
    source = source_over(log)
    position = json.dumps({"edge_id": log.edge_id, "offset": 9, "received_us": 77}).encode()

    def jobs_go_on() -> None:
        if came_before_the_jobs:
            log.append(weights(3))
        source.seek(position)
        if not came_before_the_jobs:
            log.append(weights(3))
        source.poll(max_rows=9, timeout_s=0)

    with pytest.raises(EdgeLogPositionError, match="another publication at 9") as caught:
        jobs_go_on()
    assert caught.value.hint is not None


def test_positions_of_other_logs_are_refused(log: EdgeLog) -> None:
    source = source_over(log)
    with pytest.raises(EdgeLogPositionError, match="is edge log") as caught:
        source.seek(b'{"edge_id":"other","offset":0}')
    assert caught.value.hint is not None
    with pytest.raises(EdgeLogError, match="not a position"):
        source.seek(b"rubbish")
