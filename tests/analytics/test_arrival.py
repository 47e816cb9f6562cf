"""Worked examples of the arrival step: clocks, repeats, lateness, each as an operator would meet it."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest

from analytics.step import Arrived
from analytics.steps.arrival import ArrivalStep
from devices.chunk import Chunk
from devices.site.model import Reader, ReaderClock, Site
from tests.analytics.chunk_building import NOON, Sayings, us
from tests.analytics.step_laws import concatenated, run_arrival


def site_with(clock: ReaderClock = ReaderClock.ESTIMATE) -> Site:
    readers = [Reader(id=name, profile="tagtide", mqtt_topic=name, clock=clock) for name in ("r1", "r2")]
    return Site(id="s", readers=tuple(readers))


SITE = site_with()


def arrive(chunk: Chunk, site: Site = SITE) -> Arrived:
    return ArrivalStep().step(ArrivalStep().initial(site), chunk, site)[1]


def seconds(column: Any) -> list[float]:
    return [round(value / 1e6 - NOON, 6) for value in column.cast(pa.int64()).to_pylist()]


def event_times(chunk: Chunk, site: Site = SITE, stream: str = "reads") -> list[float]:
    return seconds(arrive(chunk, site).batches[stream]["event_time"])


def derived(chunks: Iterable[Chunk], table: str, site: Site = SITE) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = concatenated(one.derived for one in run_arrival(site, chunks))[table].to_pylist()
    return rows


class TestClocks:
    def test_a_reader_three_seconds_ahead_is_corrected_from_its_first_read(self) -> None:
        said = Sayings()
        for second in range(5):
            said.read(second + 0.1, second + 3.0)
        assert event_times(said.chunk()) == [0.1, 1.1, 2.1, 3.1, 4.1]

    def test_a_reader_three_seconds_behind_is_corrected_from_its_first_read(self) -> None:
        said = Sayings()
        for second in range(5):
            said.read(second + 0.1, second - 3.0)
        assert event_times(said.chunk()) == [0.1, 1.1, 2.1, 3.1, 4.1]

    def test_the_quickest_delivery_so_far_sets_the_offset(self) -> None:
        said = Sayings().read(1.0, -3.0).read(1.2, -1.8).read(3.0, -1.0)
        assert event_times(said.chunk()) == [1.0, 1.2, 2.0]

    def test_network_delay_is_not_clock_error(self) -> None:
        said = Sayings().read(0.4, 0.0).read(1.3, 1.0).read(5.0, 2.0)
        assert event_times(said.chunk()) == [0.0, 1.0, 2.0]

    def test_event_times_never_exceed_receive_times(self) -> None:
        said = Sayings().read(0.1, 0.0).read(1.1, 1.4).read(2.1, 7.0).read(3.1, 8.0)
        assert event_times(said.chunk()) == [0.0, 1.1, 2.1, 3.1]

    def test_a_drifting_clock_is_followed_both_ways(self) -> None:
        for drift in (-0.001, 0.001):  # 1000 ppm: 3.6 s in an hour
            said = Sayings()
            for second in range(3600):
                said.read(second + 0.05, second * (1 - drift))
            off = [event - second for second, event in enumerate(event_times(said.chunk()))]
            assert max(map(abs, off)) < 0.75  # the dead band and a minute of drift

    def test_a_clock_set_back_is_believed_after_a_minute_of_steady_traffic(self) -> None:
        said = Sayings()
        for second in range(60):
            said.read(second + 0.1, second + 10.0)
        for second in range(60, 240):
            said.read(second + 0.1, float(second), epc_hex="31")
        off = [round(event - second, 6) for second, event in enumerate(event_times(said.chunk()))]
        assert off[59] == 0.1
        assert off[60] == pytest.approx(-9.9)
        assert off[110] == pytest.approx(-9.9)
        assert off[120:] == [0.0] * 120

    @pytest.mark.parametrize("pace", [1.05, 1.5, 10.0, 200.0])
    def test_a_replay_before_live_reads_keeps_its_true_times(self, pace: float) -> None:
        said = Sayings().read(0.05, 0.0)
        received, at = 1200.0, 1.0  # away for twenty minutes, then drains in order at some pace
        while at < received:
            said.read(received, at)
            at += 1.0
            received += 1.0 / pace
        times = event_times(said.chunk())
        assert times == [float(second) for second in range(len(times))]

    def test_a_replay_after_or_between_live_reads_keeps_its_true_times(self) -> None:
        said = Sayings().read(0.05, 0.0)
        expected = [0.0]
        for step in range(300):
            said.read(600 + step, 600.0 + step).read(600.5 + step, 1.0 + step)
            expected += [600.0 + step, 1.0 + step]
        assert event_times(said.chunk()) == expected

    def test_a_replay_that_is_the_first_thing_ever_seen_keeps_its_true_times(self) -> None:
        said = Sayings()
        for step in range(100):
            said.read(600 + step / 100, float(step))
        assert event_times(said.chunk()) == [float(step) for step in range(100)]

    def test_an_hour_of_steady_lag_is_a_wrong_time_zone(self) -> None:
        said = Sayings()
        for second in range(200):
            said.read(second + 0.1, second - 3600.0)
        times = event_times(said.chunk())
        assert times[0] == -3600.0
        assert times[50] == -3550.0
        assert times[70:] == pytest.approx([second + 0.1 for second in range(70, 200)])

    def test_a_clock_in_1970_is_corrected_at_once_and_again_after_each_restart(self) -> None:
        said = Sayings()
        for second in range(3):
            said.read(second + 0.1, second - NOON)
        for second in range(100, 103):
            said.read(second + 0.1, second - 100 - NOON, epc_hex="31")  # restarted
        said.read(200.1, 200.0)  # found its time server
        said.read(300.1, -NOON, epc_hex="32")  # restarted without
        assert event_times(said.chunk()) == [0.1, 1.1, 2.1, 100.1, 101.1, 102.1, 200.0, 300.1]

    def test_history_published_again_keeps_its_times_and_is_told_once_a_reader(self) -> None:
        said = Sayings()
        for second in range(50):
            said.read(second / 10, second - 200_000_000.0).read(second / 10, second - 100_000_000.0, reader="r2")
            said.device_event(second / 10, "heartbeat", second - 200_000_000.0)
        chunk = said.chunk()
        assert event_times(chunk)[:2] == [-200_000_000.0, -100_000_000.0]
        alerts = derived([chunk], "alerts")
        assert [(row["alert"], row["subject"]) for row in alerts] == [
            ("clock_implausible", name) for name in ("r1", "r2")
        ]
        assert "NTP" in alerts[0]["detail"]

    def test_trusted_and_ignored_clocks(self) -> None:
        said = Sayings().read(0.1, 50.0).read(1.0, -70.0)
        assert event_times(said.chunk(), site_with(ReaderClock.TRUSTED)) == [50.0, -70.0]
        assert event_times(said.chunk(), site_with(ReaderClock.ARRIVAL)) == [0.1, 1.0]

    def test_business_times_are_taken_as_they_are(self) -> None:
        said = Sayings().business_event(0.1, "a", -7200.0).business_event(0.2, "b", 7200.0)
        assert event_times(said.chunk(), stream="business_events") == [-7200.0, 7200.0]

    def test_a_time_far_ahead_counts_when_it_came_for_it_would_wait_in_memory_for_ever(self) -> None:
        said = Sayings().read(0.0, 60.0).read(0.1, 60.2).read(0.2, 5e9)
        trusted = site_with(ReaderClock.TRUSTED)
        assert event_times(said.chunk(), trusted) == [60.0, 0.1, 0.2]
        (alert,) = derived([said.chunk()], "alerts", trusted)
        assert (alert["alert"], alert["subject"]) == ("clock_implausible", "r1")
        month = 30 * 86_400.0
        told = Sayings().business_event(0.0, "a", month).business_event(1.0, "b", month + 2.0)
        assert event_times(told.chunk(), stream="business_events") == [month, 1.0]
        (alert,) = derived([told.chunk()], "alerts")
        assert "30 days ahead" in alert["detail"]

    def test_one_stream_in_local_time_does_not_harm_the_others(self) -> None:
        said = Sayings().read(0.1, 0.0).device_event(1.0, "heartbeat", 3600.9).read(2.1, 2.0)
        assert event_times(said.chunk()) == [0.0, 2.0]
        assert event_times(said.chunk(), stream="device_events") == [1.0]

    def test_a_change_of_correction_is_told_with_both_offsets(self) -> None:
        said = Sayings().read(0.0, 3.0).read(1.0, 4.0).read(20.0, 28.0)
        rows = derived([said.chunk()], "device_events")
        assert [row["event"] for row in rows] == ["clock", "clock"]
        assert rows[0]["detail"] == '{"stream": "reads", "offset_s": -3.0, "previous_offset_s": 0.0}'
        assert rows[1]["detail"] == '{"stream": "reads", "offset_s": -8.0, "previous_offset_s": -3.0}'
        assert rows[1]["edge_offset"] == 3
        assert rows[1]["edge_index"] < 0


class TestRepeats:
    def test_a_redelivered_publication_is_dropped_and_counted(self) -> None:
        said = Sayings().read(0.1, 0.0, rssi_dbm=-50.0).read(1.1, 1.0).read(2.0, 0.0, rssi_dbm=-50.0).mark(60.0)
        arrived = arrive(said.chunk())
        assert arrived.batches["reads"]["edge_offset"].to_pylist() == [1, 2]
        (row,) = arrived.derived["device_events"].to_pylist()
        assert (row["event"], row["source"], row["count"], row["edge_offset"]) == ("repeat", "r1", 1, 3)
        assert row["until_time"].timestamp() == NOON + 2.0

    def test_a_reader_that_batches_its_reports_anew_repeats_nothing_new(self) -> None:
        reads = [{"reader": "r1", "epc_hex": f"3{n}", "reader_time": n / 10, "antenna": 1} for n in range(10)]
        said = Sayings().say("reads", 1.0, reads[:4]).say("reads", 2.0, reads[2:8]).say("reads", 3.0, reads)
        kept = arrive(said.chunk()).batches["reads"]
        assert kept["epc_hex"].to_pylist() == [f"3{n}" for n in range(10)]

    @pytest.mark.parametrize(
        "changed",
        [{"antenna": 2}, {"rssi_dbm": -51.0}, {"epc_hex": "31"}, {"reader": "r2"}, {"at": 0.001}, {"extra": "{}"},
         {"rssi_dbm": None}, {"rssi_dbm": None, "rssi_linear": -50.0}, {"source_seq": 1}],
    )  # fmt: skip
    def test_whatever_differs_in_one_column_is_not_a_repeat(self, changed: dict[str, Any]) -> None:
        first: dict[str, Any] = {"at": 0.0, "antenna": 1, "rssi_dbm": -50.0}
        said = Sayings().read(0.1, **first).read(0.2, **(first | changed))
        assert arrive(said.chunk()).batches["reads"].num_rows == 2

    def test_rows_with_nothing_of_their_own_are_at_least_once(self) -> None:
        said = Sayings().reading(0.1, 1.5).reading(0.1, 1.5).read(0.1).read(0.1)
        arrived = arrive(said.chunk())
        assert (arrived.batches["readings"].num_rows, arrived.batches["reads"].num_rows) == (2, 2)

    def test_a_running_number_alone_is_enough(self) -> None:
        said = Sayings().reading(0.1, 1.5, source_seq=7).reading(0.2, 1.5, source_seq=8).reading(0.3, 1.5, source_seq=7)
        assert arrive(said.chunk()).batches["readings"]["source_seq"].to_pylist() == [7, 8]

    def test_business_events_are_told_apart_by_their_identifier_alone(self) -> None:
        said = Sayings().business_event(0.1, "a", 0.0).business_event(9.0, "a", 5.0).business_event(9.0, "b", 0.0)
        assert arrive(said.chunk()).batches["business_events"]["event_id"].to_pylist() == ["a", "b"]

    def test_an_outage_does_not_wear_the_memory_out(self) -> None:
        said = Sayings().read(0.1, 0.0).read(86_000.0, 0.0)
        assert arrive(said.chunk()).batches["reads"].num_rows == 1

    def test_repeats_of_a_minute_are_one_row_a_reader(self) -> None:
        said = Sayings()
        for second in range(150):
            said.read(second + 0.1, 0.0).read(second + 0.2, 0.0, reader="r2")
        rows = derived([said.chunk()], "device_events")
        assert [(row["source"], row["count"]) for row in rows] == [("r1", 59), ("r2", 59), ("r1", 60), ("r2", 60)]
        assert len({(row["edge_offset"], row["edge_index"]) for row in rows}) == 4

    def test_repeats_do_not_move_clocks_or_the_watermark(self) -> None:
        once = Sayings().read(0.1, 0.0).read(5.1, 5.0)
        again = Sayings().read(0.1, 0.0).read(5.1, 5.0).read(9.0, 5.0)
        assert arrive(again.chunk()).watermark_us == arrive(once.chunk()).watermark_us


class TestLateness:
    def test_a_row_behind_the_watermark_is_late_and_takes_effect_just_after_it(self) -> None:
        said = Sayings().read(10.05, 10.0).read(10.1, 10.0, reader="r2").read(10.3, 8.5, reader="r2")
        arrived = arrive(said.read(10.4, 7.9, reader="r2").chunk())
        assert arrived.batches["reads"]["late"].to_pylist() == [False, False, False, True]
        assert arrived.effective_us["reads"][3] == us(8.0) + 1
        assert arrived.watermark_us == us(8.0)

    def test_streams_are_taken_in_the_order_of_the_edge_log(self) -> None:
        said = Sayings().reading(1.0, 1.0, 1.0).read(10.0, 10.0).reading(10.1, 1.0, 7.0).reading(20.1, 1.0, 19.0)
        arrived = arrive(said.read(20.2, 20.0).chunk())
        assert arrived.batches["reads"]["late"].to_pylist() == [False, False]
        assert arrived.batches["readings"]["late"].to_pylist() == [False, True, False]

    def test_a_clock_mark_moves_time_on_in_a_silent_site(self) -> None:
        said = Sayings().read(0.1, 0.0).mark(60.1)
        assert arrive(said.chunk()).watermark_us == us(58.0)

    def test_history_is_not_made_late_by_the_wall_clock(self) -> None:
        past = -200_000_000.0
        said = Sayings().mark(-1.0).mark(0.0)
        for second in range(10):
            said.read(second + 0.5, past + second).mark(second + 1.0)
        arrived = arrive(said.chunk())
        assert not any(arrived.batches["reads"]["late"].to_pylist())
        assert arrived.watermark_us == us(past + 9.5 - 2.0)

    def test_what_has_no_time_takes_the_time_of_the_history_around_it(self) -> None:
        past = -200_000_000.0
        said = Sayings().reading(0.0, 1.0).read(1.0, past).reading(3.0, 1.0).mark(4.0)
        arrived = arrive(said.chunk())
        assert seconds(arrived.batches["readings"]["event_time"]) == [0.0, past + 2.0]
        assert arrived.watermark_us == us(past + 1.0)

    def test_business_events_do_not_move_the_watermark(self) -> None:
        said = Sayings().read(0.1, 0.0).business_event(1000.0, "a", 900.0)
        assert arrive(said.chunk()).watermark_us == us(-2.0)

    def test_a_trusted_time_in_the_future_moves_the_watermark_to_now_at_most(self) -> None:
        said = Sayings().read(0.0, 50.0)
        assert arrive(said.chunk(), site_with(ReaderClock.TRUSTED)).watermark_us == us(-2.0)

    def test_a_site_of_bare_scales_lives_on_receive_time(self) -> None:
        assert arrive(Sayings().reading(10.0, 1.0).chunk(), Site(id="s")).watermark_us == us(8.0)
        waiting = Sayings().reading(10.0, 1.0).reading(69.0, 1.0)
        assert arrive(waiting.chunk()).watermark_us == 0
        assert arrive(waiting.reading(70.0, 1.0).chunk()).watermark_us == us(68.0)

    def test_a_site_of_business_events_alone_lives_on_clock_marks(self) -> None:
        said = Sayings().mark(0.0).business_event(10.0, "a", -7200.0).mark(69.0)
        assert arrive(said.chunk()).watermark_us == 0
        assert arrive(said.mark(70.0).chunk()).watermark_us == us(68.0)
        assert arrive(said.read(71.0, 71.0).chunk()).watermark_us == us(69.0)
        assert arrive(Sayings().mark(0.0).mark(500.0).chunk()).watermark_us == 0, "marks alone say nothing"


def test_rejects_pass_untouched() -> None:
    said = Sayings().read(0.1, 0.0).say("rejects", 0.2, [{"bytes": b"x", "reason_code": "x", "reason": "y"}])
    chunk = said.chunk()
    assert arrive(chunk).batches["rejects"].equals(chunk.batches["rejects"])
