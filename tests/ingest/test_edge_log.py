"""The edge log keeps what it accepted: in order, whole, once, and says clearly when it cannot."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.errors import EdgeLogError, Recovery
from devices.publication import Publication
from ingest.bridge import Bridge, BridgeConfig
from ingest.edge_log import FILE_NAME, EdgeLog
from ingest.errors import EdgeLogForeignError, EdgeLogInUseError, EdgeLogUnavailableError
from ingest.limits import Bound, EdgeLogLimits, EdgeLogUse, reached_bound, released_through
from ingest.mqtt_url import MqttUrl


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EdgeLog]:
    opened = EdgeLog.open(tmp_path)
    yield opened
    opened.close()


def publications(count: int, *, size: int = 3, first: int = 0) -> list[Publication]:
    return [
        Publication(topic=f"t/{number % 3}", payload=bytes([number % 256]) * size, received_us=1_000_000 * number)
        for number in range(first, first + count)
    ]


def test_offsets_begin_at_one_and_have_no_gaps(log: EdgeLog) -> None:
    assert (log.first_offset, log.last_offset) == (1, 0)
    assert log.append(publications(3)) == 3
    assert log.append(publications(2)) == 5
    assert [row.edge_offset for row in log.read(0, 100, 10**6)] == [1, 2, 3, 4, 5]


def test_a_publication_comes_back_as_it_went_in(log: EdgeLog) -> None:
    given = Publication(
        topic="a/\N{GREEK SMALL LETTER ALPHA}/\x01",
        payload=bytes(range(256)),
        received_us=-5,
        qos=2,
        retained=True,
    )
    log.append([given])
    assert log.read(0, 1, 1)[0].publication == given


def test_another_process_sees_what_was_appended(tmp_path: Path, log: EdgeLog) -> None:
    log.append(publications(4))
    reader = EdgeLog.open(tmp_path)
    assert reader.edge_id == log.edge_id
    assert [row.edge_offset for row in reader.read(2, 10, 10**6)] == [3, 4]
    reader.close()


def test_reading_is_bounded_by_rows_and_by_bytes_but_never_stuck(log: EdgeLog) -> None:
    log.append(publications(5, size=100))
    assert len(log.read(0, 2, 10**6)) == 2
    assert len(log.read(0, 10, 250)) == 2
    assert len(log.read(0, 10, 1)) == 1


def test_a_commit_waits_for_the_disk(log: EdgeLog) -> None:
    """No test can cut the power, so this holds the settings that survive it."""
    assert log._value("PRAGMA synchronous") == 2
    assert log._value("PRAGMA journal_mode") == "wal"


def test_threads_may_share_a_log(log: EdgeLog) -> None:
    seen = 0

    def read_on() -> None:
        nonlocal seen
        while seen < 600:
            rows = log.read(seen, 100, 10**6)
            assert (seen + len(rows)) % 3 == 0 or len(rows) == 100, "a commit is seen whole or not at all"
            seen += len(rows)

    reader = threading.Thread(target=read_on)
    reader.start()
    for _ in range(200):
        log.append(publications(3))
    reader.join(20)
    assert seen == 600


def test_there_is_one_writer(tmp_path: Path, log: EdgeLog) -> None:
    log.claim_writer()
    second = EdgeLog.open(tmp_path)
    with pytest.raises(EdgeLogInUseError, match=f"process id {os.getpid()}") as caught:
        second.append(publications(1))
    assert caught.value.hint is not None
    log.close()
    assert second.append(publications(1)) == 1
    second.close()


def test_a_second_bridge_is_told_before_it_connects(tmp_path: Path, log: EdgeLog) -> None:
    log.claim_writer()
    second = EdgeLog.open(tmp_path)
    bridge = Bridge(BridgeConfig(mqtt_url=MqttUrl(host="127.0.0.1", port=1)), second)
    with pytest.raises(EdgeLogInUseError):
        bridge.run(lambda: False)
    second.close()


def test_a_note_is_stored_with_the_publications_it_speaks_of(log: EdgeLog) -> None:
    assert log.note("k") is None
    log.append(publications(2), note=("k", "2 done"))
    log.append([], note=("k", "finished"))
    assert log.note("k") == "finished"
    with pytest.raises(EdgeLogError):
        log.append([Publication(topic="t", payload=b"", received_us=1)] * 1, note=("k", None))  # type: ignore[arg-type]
    assert (log.last_offset, log.note("k")) == (2, "finished")


def test_cursors_rise_and_never_fall(log: EdgeLog) -> None:
    log.append(publications(10))
    assert log.cursor("jobs") == 0
    log.move_cursor("jobs", 7)
    log.move_cursor("jobs", 3)
    assert log.cursor("jobs") == 7
    with pytest.raises(EdgeLogError, match="ends at 10"):
        log.move_cursor("jobs", 11)


def test_trimming_keeps_what_any_consumer_still_needs(log: EdgeLog) -> None:
    limits = EdgeLogLimits(stored_bytes_max=1, kept_age_s=0)
    log.append(publications(10))
    assert log.trim(limits) == 0, "nobody has said what it is done with"
    log.move_cursor("jobs", 10)
    log.move_cursor("kafka", 0)
    assert log.trim(limits) == 0
    log.move_cursor("kafka", 6)
    assert log.trim(limits) == 5
    assert (log.first_offset, log.last_offset) == (6, 10)


def test_an_offset_is_never_given_twice(tmp_path: Path, log: EdgeLog) -> None:
    log.append(publications(10))
    log.move_cursor("jobs", 10)
    log.trim(EdgeLogLimits(stored_bytes_max=1, kept_age_s=0))
    log.close()
    again = EdgeLog.open(tmp_path)
    assert again.append(publications(1)) == 11
    again.close()


def test_young_rows_are_kept_until_the_size_bound_asks_for_them(log: EdgeLog) -> None:
    log.append(publications(100, size=4000))
    log.move_cursor("jobs", 100)
    assert log.trim(EdgeLogLimits(kept_age_s=39)) == 60
    bound = log.stored_bytes // 2
    assert reached_bound(log.use(), EdgeLogLimits(stored_bytes_max=bound, kept_age_s=39)) is Bound.BYTES
    while log.trim(EdgeLogLimits(stored_bytes_max=bound, kept_age_s=39)):
        pass
    assert reached_bound(log.use(), EdgeLogLimits(stored_bytes_max=bound, kept_age_s=39)) is None
    assert log.last_offset == 100


@given(
    rows=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**6)), max_size=30),
    age_s=st.integers(0, 1000),
    bound=st.integers(1, 10**7),
)
def test_the_trim_rule_drops_a_prefix_and_only_for_a_reason(
    rows: list[tuple[int, int]], age_s: int, bound: int
) -> None:
    oldest = [(offset, received_us, size) for offset, (received_us, size) in enumerate(rows, 1)]
    stored = sum(size for _, _, size in oldest)
    limits = EdgeLogLimits(stored_bytes_max=bound, kept_age_s=age_s)
    use = EdgeLogUse(stored_bytes=stored, room_bytes=10**12, backlog_age_s=0)
    through = released_through(oldest, limits, newest_us=10**9, use=use)
    assert 0 <= through <= len(rows)
    if through < len(rows):  # the first row that stays is young, and the rest fits
        assert oldest[through][1] >= 10**9 - age_s * 10**6
        assert stored - sum(size for _, _, size in oldest[:through]) <= bound + 24 * len(rows)


def test_the_backlog_is_as_old_as_what_any_consumer_still_needs(log: EdgeLog) -> None:
    assert log.use().backlog_age_s == 0, "an empty log has no backlog"
    log.append(publications(101))
    assert log.use().backlog_age_s == 100, "nobody has said what it is done with"
    log.move_cursor("jobs", 101)
    assert log.use().backlog_age_s == 0
    log.move_cursor("kafka", 0)
    assert log.use().backlog_age_s == 100
    log.move_cursor("kafka", 81)
    assert log.use().backlog_age_s == 19
    assert reached_bound(log.use(), EdgeLogLimits(backlog_age_s_max=18)) is Bound.AGE


def test_free_pages_inside_the_file_are_room_as_the_disk_is(log: EdgeLog) -> None:
    log.append(publications(500, size=4000))
    log.move_cursor("jobs", 500)
    before = log.use()
    log.trim(EdgeLogLimits(stored_bytes_max=1, kept_age_s=0))
    freed = before.stored_bytes - log.use().stored_bytes
    assert freed > 1_900_000
    disk_free_changed = log.use().room_bytes - before.room_bytes - freed  # others write to this disk, too
    assert disk_free_changed > -(2**30)


USES = st.builds(
    EdgeLogUse,
    stored_bytes=st.integers(0, 10**10),
    room_bytes=st.integers(0, 10**10),
    backlog_age_s=st.floats(0, 10**7),
)


@given(use=USES)
def test_a_log_that_may_resume_is_clear_of_every_bound(use: EdgeLogUse) -> None:
    limits = EdgeLogLimits()
    if reached_bound(use, limits) is not None:
        assert reached_bound(use, limits, holding=True) is not None
    if reached_bound(use, limits, holding=True) is None:
        assert use.stored_bytes < 0.951 * limits.stored_bytes_max
        assert use.room_bytes > 1.05 * limits.disk_free_bytes_min
        assert use.backlog_age_s < 0.951 * limits.backlog_age_s_max


def test_each_bound_is_told_apart() -> None:
    limits = EdgeLogLimits(stored_bytes_max=1000, backlog_age_s_max=100, disk_free_bytes_min=10)
    clear = EdgeLogUse(stored_bytes=940, room_bytes=11, backlog_age_s=90)
    assert reached_bound(clear, limits, holding=True) is None
    assert reached_bound(replace(clear, stored_bytes=1000), limits) is Bound.BYTES
    assert reached_bound(replace(clear, room_bytes=9), limits) is Bound.DISK
    assert reached_bound(replace(clear, backlog_age_s=100.5), limits) is Bound.AGE


def test_a_disk_that_runs_low_takes_what_everybody_is_done_with() -> None:
    oldest = [(offset, 10**9, 100) for offset in range(1, 11)]
    limits = EdgeLogLimits(disk_free_bytes_min=900)
    use = EdgeLogUse(stored_bytes=1240, room_bytes=800, backlog_age_s=0)
    assert released_through(oldest, limits, newest_us=10**9, use=use) == 2, "200 more bytes, and nothing beyond"


def test_a_full_disk_is_tried_again_and_loses_nothing(log: EdgeLog) -> None:
    log.append(publications(1))
    log._connection.execute(f"PRAGMA max_page_count = {log._value('PRAGMA page_count')}")
    with pytest.raises(EdgeLogUnavailableError, match="disk is full") as caught:
        log.append(publications(10, size=5000))
    assert caught.value.recovery is Recovery.RETRY
    assert log.last_offset == 1
    log._connection.execute("PRAGMA max_page_count = 1000000")
    assert log.append(publications(10, size=5000)) == 11


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "other.sqlite"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = foreign.read_bytes()
    with pytest.raises(EdgeLogForeignError, match="not an edge log"):
        EdgeLog.open(foreign)
    assert foreign.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_damaged_file_is_refused_with_a_hint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(EdgeLogForeignError) as caught:
        EdgeLog.open(tmp_path)
    assert caught.value.hint is not None


def test_a_newer_format_is_refused(tmp_path: Path, log: EdgeLog) -> None:
    log._connection.execute("PRAGMA user_version = 99")
    log.close()
    with pytest.raises(EdgeLogForeignError, match="format 99"):
        EdgeLog.open(tmp_path)


def test_rows_that_vanished_are_noticed(log: EdgeLog) -> None:
    log.append(publications(5))
    log._connection.execute("DELETE FROM publications WHERE edge_offset = 3")
    with pytest.raises(EdgeLogForeignError, match="rows are missing"):
        log.read(0, 10, 10**6)


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(EdgeLogUnavailableError) as caught:
        EdgeLog.open(tmp_path / "file" / "data")
    assert caught.value.hint is not None


@pytest.mark.slow
def test_what_was_appended_survives_kill_9(tmp_path: Path) -> None:
    program = (
        "from devices.publication import Publication\nfrom ingest.edge_log import EdgeLog\n"
        f"log = EdgeLog.open({str(tmp_path)!r})\n"
        "seven = [Publication(topic='t', payload=bytes(50), received_us=1)] * 7\n"
        "while True:\n    print(log.append(seven), flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(20):
        said = int(process.stdout.readline())
    process.kill()
    said = int(([str(said), *process.stdout.read().split()])[-1])
    process.stdout.close()
    process.wait()
    survivor = EdgeLog.open(tmp_path)
    last = survivor.last_offset
    assert last >= said
    assert last % 7 == 0, "a commit is whole or absent"
    assert survivor.append(publications(1)) == last + 1
    survivor.close()


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["append", "move", "trim"]), st.integers(0, 6)), max_size=20))
def test_any_history_keeps_the_promises(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    log = EdgeLog.open(tmp_path_factory.mktemp("log"))
    appended = 0
    try:
        for action, size in steps:
            if action == "append":
                assert log.append(publications(size, first=appended)) == appended + size
                appended += size
            elif action == "move":
                log.move_cursor("a", min(appended, log.cursor("a") + size))
            else:
                log.trim(EdgeLogLimits(stored_bytes_max=1, kept_age_s=0))
            rows = log.read(0, 1000, 10**9)
            assert [row.edge_offset for row in rows] == list(range(log.first_offset, appended + 1))
            assert [row.publication.received_us for row in rows] == [1_000_000 * (row.edge_offset - 1) for row in rows]
            assert log.first_offset <= max(1, log.cursor("a"))
    finally:
        log.close()
