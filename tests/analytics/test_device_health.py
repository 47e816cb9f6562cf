"""Worked examples of device health: gaps, drops, silence; and the step laws on traffic with all of them."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.steps.device_health import DeviceHealthStep
from devices.site.model import Antenna, Reader, Site
from tests.analytics.chunk_building import NOON, Sayings, us
from tests.analytics.step_laws import LAWS, Tables, check_step, cut_points, run_step

NOON_US = us(0)
ANTENNAS = (Antenna(port=1, x=0, y=0, zone="dock"), Antenna(port=2, x=1, y=0, zone="dock"))
SITE = Site(
    id="s",
    readers=(
        Reader(id="r1", profile="zebra", mqtt_topic="r1", antennas=ANTENNAS),
        Reader(id="r2", profile="zebra", mqtt_topic="r2"),
    ),
)


def found(said: Sayings) -> Tables:
    return run_step(DeviceHealthStep(), SITE, [said.chunk()])


def events(said: Sayings, event: str) -> list[dict[str, Any]]:
    table = found(said).get("device_events", pa.table({}))
    return [row for row in table.to_pylist() if row["event"] == event]


def at(value: Any) -> float:
    return round(float(value.timestamp()) - NOON, 6)


def numbered(seqs: list[int], *, start: float = 0.0, pace: float = 1.0) -> Sayings:
    said = Sayings()
    for place, seq in enumerate(seqs):
        said.read(start + place * pace + 0.1, start + place * pace, source_seq=seq)
    return said


class TestGaps:
    def test_missing_numbers_are_told_once_they_are_certain(self) -> None:
        said = numbered([5, 6, 10, 11])
        assert events(said, "gap") == []
        (gap,) = events(said.mark(70.0), "gap")
        assert (gap["count"], gap["source"], gap["edge_offset"], gap["source_kind"]) == (3, "r1", 3, "reader")
        assert (at(gap["from_time"]), at(gap["until_time"]), at(gap["event_time"])) == (1.0, 2.0, 2.0)
        assert gap["edge_index"] < 0

    def test_numbers_that_come_out_of_order_are_not_missing(self) -> None:
        assert events(numbered([1, 5, 2, 3, 6, 4, 7]).mark(200.0), "gap") == []

    def test_a_gap_that_is_filled_in_part_counts_the_rest(self) -> None:
        (gap,) = events(numbered([1, 10, 2, 3, 4, 11, 6, 12]).mark(200.0), "gap")
        assert gap["count"] == 4  # 5, 7, 8, 9

    def test_a_backlog_that_drains_beside_live_reports_is_waited_for(self) -> None:
        said = Sayings().read(0.1, 0.0, source_seq=0)
        for step in range(400):  # five minutes away; comes back two to one
            said.read(300.1 + step, 300.0 + step, source_seq=300 + step)
            if step < 299:
                said.read(300.6 + step, 1.0 + step, source_seq=1 + step)
        assert events(said.mark(900.0), "gap") == []

    def test_losses_within_a_minute_are_told_together(self) -> None:
        seqs = [seq for seq in range(300) if seq % 10]
        gaps = events(numbered(seqs).mark(1000.0), "gap")
        assert len(gaps) == 5
        assert sum(gap["count"] for gap in gaps) == 29

    def test_a_restart_is_not_a_gap_and_counting_goes_on_after_a_minute(self) -> None:
        seqs = [*range(1000, 1010), *range(90), *range(93, 200)]
        (gap,) = events(numbered(seqs).mark(1000.0), "gap")
        assert gap["count"] == 3

    def test_a_counter_that_wraps_or_is_set_to_a_time_is_no_loss(self) -> None:
        top = 2**32
        wrapped = [*range(top - 100, top), *range(120)]
        assert events(numbered(wrapped).mark(1000.0), "gap") == []
        set_anew = [*range(100), *range(1_790_000_000, 1_790_000_100), 1_790_000_103]
        (gap,) = events(numbered(set_anew).mark(1000.0), "gap")
        assert gap["count"] == 3, "counting goes on at once"

    def test_a_fast_reader_that_was_cut_off_for_an_hour_has_lost_what_it_says(self) -> None:
        said = Sayings().read(0.1, 0.0, source_seq=0).read(3600.1, 3600.0, source_seq=3_600_000)
        (gap,) = events(said.mark(4000.0), "gap")
        assert gap["count"] == 3_599_999

    def test_old_numbers_that_come_again_are_neither_gap_nor_restart(self) -> None:
        said = numbered(list(range(100, 200)))
        for place in range(100):
            said.read(200.0 + place, 200.0 + place, source_seq=120 + place % 50, epc_hex="31")
            said.read(200.1 + place, 200.1 + place, source_seq=200 + place)
        assert events(said.mark(1000.0), "gap") == []

    def test_counters_of_streams_and_devices_are_separate(self) -> None:
        said = Sayings()
        for second in range(20):
            said.read(second + 0.1, float(second), source_seq=100 + second)
            said.read(second + 0.1, float(second), source_seq=900 + second, reader="r2")
            said.device_event(second + 0.2, "heartbeat", float(second), source_seq=5 + second)
            said.device_event(second + 0.2, "ble", float(second), source_seq=7 * second)
            said.reading(second + 0.3, 1.0, float(second), source_seq=second)
        assert events(said.mark(200.0), "gap") == []

    def test_rows_of_one_report_share_its_number(self) -> None:
        said = Sayings()
        for second in range(5):
            reads = [
                {"reader": "r1", "epc_hex": f"3{n}", "reader_time": second, "source_seq": second} for n in range(3)
            ]
            said.say("reads", second + 0.1, reads)
        assert events(said.mark(200.0), "gap") == []


class TestDropped:
    def test_a_counter_that_rose_is_told_with_its_span(self) -> None:
        said = Sayings()
        for minute, total in enumerate([40, 40, 47, 3, 3, 0]):
            said.device_event(60 * minute + 0.1, "heartbeat", 60.0 * minute, count=total)
        rows = events(said.mark(1000.0), "dropped")
        assert [(row["count"], at(row["from_time"]), at(row["until_time"])) for row in rows] == [
            (7, 60.0, 120.0),
            (3, 120.0, 180.0),  # restarted in between: it counts from 0
        ]

    def test_a_heartbeat_without_the_counter_says_nothing(self) -> None:
        said = Sayings().device_event(0.1, "heartbeat", 0.0, count=1).device_event(60.1, "heartbeat", 60.0)
        assert events(said.mark(100.0), "dropped") == []

    def test_a_heartbeat_that_was_overtaken_is_no_restart(self) -> None:
        said = Sayings()
        for received_s, told_s, total in [(0.1, 0.0, 40), (60.1, 60.0, 47), (60.2, 30.0, 40), (120.1, 120.0, 47)]:
            said.device_event(received_s, "heartbeat", told_s, count=total)
        assert [row["count"] for row in events(said.mark(1000.0), "dropped")] == [7]


class TestSilence:
    def test_a_reader_is_silent_after_a_minute_and_told_once(self) -> None:
        said = Sayings()
        for second in range(30):
            said.read(second + 0.1, float(second))
        for second in range(30, 200):
            said.mark(second + 0.1)
        tables = found(said)
        (silent,) = tables["device_events"].to_pylist()
        assert (silent["event"], at(silent["from_time"]), at(silent["event_time"])) == ("silent", 29.0, 89.0)
        assert silent["until_time"] is None
        (alert,) = tables["alerts"].to_pylist()
        assert (alert["alert"], alert["subject"], alert["zone"]) == ("reader_silent", "r1", "dock")

    def test_it_resumes_with_its_next_read(self) -> None:
        said = Sayings().read(0.1, 0.0).read(300.1, 300.0).mark(310.0)
        assert [row["event"] for row in found(said)["device_events"].to_pylist()] == ["silent", "resumed"]
        (resumed,) = events(said, "resumed")
        assert (at(resumed["from_time"]), at(resumed["until_time"])) == (0.0, 300.0)

    def test_one_read_may_end_a_silence_and_begin_the_next(self) -> None:
        rows = found(Sayings().read(0.1, 0.0).read(300.1, 300.0).mark(400.0))["device_events"].to_pylist()
        assert [(row["event"], row["edge_offset"]) for row in rows] == [("silent", 1), ("resumed", 2), ("silent", 2)]
        assert len({(row["edge_offset"], row["edge_index"]) for row in rows}) == 3

    def test_a_pause_of_a_minute_is_not_silence(self) -> None:
        said = Sayings().read(0.1, 0.0).read(60.1, 60.0).mark(100.0)
        assert found(said) == {}

    def test_a_reader_that_was_never_heard_is_not_silent(self) -> None:
        assert found(Sayings().device_event(0.1, "connected", 0.0).mark(500.0)) == {}

    def test_a_dock_door_is_allowed_its_usual_pauses(self) -> None:
        said = Sayings()
        for lorry in range(8):
            for second in range(5):
                said.read(1800 * lorry + second + 0.1, 1800.0 * lorry + second)
        silent = [at(row["event_time"]) for row in events(said, "silent")]
        assert silent == [64.0 + 1800 * lorry for lorry in range(4)]
        assert len(events(said.mark(8 * 1800 + 5 * 1800), "silent")) == 5


def away(said: Sayings, from_s: float, until_s: float) -> Sayings:
    return said.device_event(
        until_s,
        "away",
        source="bridge",
        source_kind="bridge",
        from_time=NOON_US + round(from_s * 1e6),
        until_time=NOON_US + round(until_s * 1e6),
    )


class TestAbsence:
    """While our own bridge does not listen, nobody is silent."""

    def test_a_reader_that_nobody_listened_to_is_not_silent(self) -> None:
        said = Sayings().read(0.1, 0.0)
        away(said, 1.0, 600.0).read(600.2, 600.1).mark(610.0)
        assert found(said) == {}

    def test_one_that_stays_away_when_we_are_back_is_silent_after_its_patience(self) -> None:
        said = Sayings().read(10.1, 10.0)
        away(said, 20.0, 600.0).mark(700.0)
        (silent,) = events(said, "silent")
        assert at(silent["event_time"]) == 10 + 60 + 580, "50 s of patience were left when we came back"
        assert at(silent["from_time"]) == 10.0

    def test_a_silence_that_was_told_before_we_left_ends_with_the_next_read(self) -> None:
        said = Sayings().read(0.1, 0.0).mark(70.0)
        away(said, 70.0, 600.0).read(600.2, 600.1).mark(603.0)
        assert [row["event"] for row in found(said)["device_events"].to_pylist()] == ["silent", "resumed"]

    def test_our_absences_are_not_the_readers_usual_pauses(self) -> None:
        said = Sayings()
        for day in range(6):
            begins = 1000.0 * day
            said.read(begins + 0.1, begins)
            away(said, begins + 1, begins + 990)
        said.read(6000.1, 6000.0).mark(6070.0)
        assert len(events(said, "silent")) == 1, "still a reader that never pauses"


def traffic(draw: st.DrawFn) -> Sayings:
    """Two readers with running numbers, losses, restarts, late reads, pauses, repeats and heartbeats."""
    said, seq, now = Sayings(), {"r1": 0, "r2": 500}, 0.0
    for _ in range(draw(st.integers(1, 60))):
        now += draw(st.sampled_from([0.0, 0.2, 1.0, 7.0, 25.0, 61.0, 130.0]))
        kind = draw(st.sampled_from(["read", "read", "read", "heartbeat", "mark", "reading", "away"]))
        reader = draw(st.sampled_from(["r1", "r2"]))
        late = draw(st.sampled_from([0.0, 0.0, 0.5, 4.0, 90.0]))
        if kind == "mark":
            said.mark(now)
        elif kind == "away":
            since, now = now, now + draw(st.sampled_from([5.0, 40.0, 200.0]))
            away(said, since, now)
        elif kind == "heartbeat":
            said.device_event(now, "heartbeat", now - late, source=reader, count=draw(st.integers(0, 3)))
        elif kind == "reading":
            said.reading(now, 1.0)
        else:
            seq[reader] = max(0, seq[reader] + draw(st.sampled_from([0, 1, 1, 1, 2, 5, -1, -3, -400])))
            said.read(now, now - late, reader=reader, source_seq=seq[reader])
    return said


@pytest.mark.slow
@LAWS
@given(data=st.data())
def test_laws(data: st.DataObject) -> None:
    chunk = data.draw(st.composite(traffic)()).chunk()
    check_step(DeviceHealthStep(), SITE, chunk, data.draw(cut_points(chunk)))
