"""A replayed capture is in the edge log once, whole, with its receive times, however often it was cut short."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.capture_line import format_line
from devices.errors import UsageError
from devices.publication import CAPTURE_PROBLEM_TOPIC, CLOCK_TOPIC, Publication
from ingest.edge_log import EdgeLog
from ingest.replay import ReplayProgress, replay_into_log

ROWS = 4500  # two full commits and a part


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EdgeLog]:
    opened = EdgeLog.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "day.jsonl"
    path.write_bytes(b"".join(format_line(publication) for publication in recorded()))
    return path


def recorded() -> list[Publication]:
    return [
        Publication(topic="t", payload=str(number).encode(), received_us=1_000_000 + number * 1000)
        for number in range(ROWS)
    ]


def stored(log: EdgeLog) -> list[Publication]:
    return [row.publication for row in log.read(0, 10**6, 10**9)]


def test_publications_enter_with_their_receive_times_and_a_clock_record_ends_them(log: EdgeLog, capture: Path) -> None:
    result = replay_into_log(capture, log)
    assert (result.entries, result.problems, result.added, result.last_offset) == (ROWS, 0, ROWS, ROWS + 1)
    *found, clock = stored(log)
    assert found == recorded()
    assert (clock.topic, clock.payload, clock.received_us) == (CLOCK_TOPIC, b"", recorded()[-1].received_us)


def test_a_second_replay_adds_nothing_unless_told_to(log: EdgeLog, capture: Path) -> None:
    first = replay_into_log(capture, log)
    second = replay_into_log(capture, log)
    assert (second.added, second.entries, second.last_offset) == (0, ROWS, first.last_offset)
    third = replay_into_log(capture, log, again=True)
    assert (third.added, third.last_offset) == (ROWS, 2 * (ROWS + 1))


@pytest.mark.parametrize("again", [False, True])
def test_a_replay_that_was_cut_short_goes_on_where_it_stopped(log: EdgeLog, capture: Path, *, again: bool) -> None:
    told: list[ReplayProgress] = []
    cut = replay_into_log(capture, log, progress=told.append, stop=lambda: len(told) == 1)
    assert 0 < cut.entries < ROWS
    resumed = replay_into_log(capture, log, again=again)
    assert resumed.resumed
    assert (resumed.entries, resumed.added) == (ROWS, ROWS - cut.entries)
    assert stored(log)[:-1] == recorded()


def test_lines_that_cannot_be_read_are_in_the_log_too(log: EdgeLog, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    good = format_line(recorded()[5])
    path.write_bytes(b"first rubbish\n" + good + b"\xff more rubbish\n" + good[:30])
    result = replay_into_log(path, log)
    assert (result.entries, result.problems) == (4, 3)
    found = stored(log)
    assert [publication.topic for publication in found] == [
        CAPTURE_PROBLEM_TOPIC,
        "t",
        CAPTURE_PROBLEM_TOPIC,
        CAPTURE_PROBLEM_TOPIC,
        CLOCK_TOPIC,
    ]
    assert found[0].payload == b"capture_line_unreadable\nfirst rubbish"
    assert found[2].payload == b"capture_line_unreadable\n\xff more rubbish"
    assert {publication.received_us for publication in found} == {recorded()[5].received_us}


def test_an_empty_capture_is_replayed_too(log: EdgeLog, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    result = replay_into_log(tmp_path / "none.jsonl", log)
    assert (result.entries, result.added, result.last_offset) == (0, 0, 0)


def test_the_recorded_pace_is_kept(log: EdgeLog, capture: Path) -> None:
    now_s = 100.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        slept.append(seconds)
        now_s += seconds

    replay_into_log(capture, log, speed=2, sleep=sleep, monotonic=lambda: now_s)
    assert now_s - 100 == pytest.approx((ROWS - 1) / 1000 / 2, abs=0.06)
    assert max(slept) < 0.1
    assert stored(log)[:-1] == recorded()


@pytest.mark.parametrize("speed", ["fast", 0, -1, "nan", "inf"])
def test_a_speed_that_makes_no_sense_is_refused(log: EdgeLog, capture: Path, speed: str | float) -> None:
    with pytest.raises(UsageError):
        replay_into_log(capture, log, speed=speed)
