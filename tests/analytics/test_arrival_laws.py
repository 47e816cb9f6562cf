"""The step laws on the arrival step and on the product's pipeline, over traffic with every kind of trouble."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.steps import repeats
from analytics.steps.arrival import ArrivalStep
from analytics.steps.repeats import RepeatMemory
from devices.chunk import Chunk
from devices.site.model import Antenna, Feed, Reader, ReaderClock, Shelf, Site, Zone, ZoneKind
from tests.analytics.chunk_building import NOON, Sayings
from tests.analytics.step_laws import LAWS, check_pipeline, check_watermarks, cut, cut_points

ZONES = (
    Zone(id="front", kind=ZoneKind.SALES_FLOOR, polygon=((0, 0), (8, 0), (8, 8), (0, 8))),
    Zone(id="back", kind=ZoneKind.BACK_ROOM, polygon=((8, 0), (16, 0), (16, 8), (8, 8))),
)
CLOCKS = {"r1": ReaderClock.ESTIMATE, "r2": ReaderClock.ESTIMATE, "r3": ReaderClock.TRUSTED, "r4": ReaderClock.ARRIVAL}
SITE = Site(
    id="s",
    zones=ZONES,
    readers=tuple(
        Reader(
            id=name,
            profile="tagtide",
            mqtt_topic=name,
            clock=clock,
            antennas=(Antenna(port=1, x=4.0 + 8 * (place % 2), y=4.0, zone=ZONES[place % 2].id),),
        )
        for place, (name, clock) in enumerate(CLOCKS.items())
    ),
    shelves=(
        Shelf(id="shelf-1", zone="front", gtin="09506000134352", unit_grams=400.0, profile="weight", mqtt_topic="w"),
    ),
    feeds=(Feed(id="till", profile="tagtide", mqtt_topic="till"),),
)
SKEWS = {"r1": 0.0, "r2": 3.0, "r3": 0.0, "r4": 40.0}
EPCS = [f"3034257BF7194E40000{n:05X}" for n in range(4)]


@st.composite
def troubles(draw: st.DrawFn) -> Chunk:
    """Traffic of a small site: live, delayed, skewed, stepped, unset and historic clocks, repeats, marks, sales."""
    said, now, skews = Sayings(), 0.0, dict(SKEWS)
    reads: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 50))):
        now = max(0.0, now + draw(st.sampled_from([0.0, 0.01, 0.3, 1.0, 11.0, 70.0, 700.0, -5.0])))
        reader = draw(st.sampled_from(list(CLOCKS)))
        if draw(st.integers(0, 19)) == 0:
            skews[reader] += draw(st.sampled_from([-10.0, 10.0, -3600.0, -NOON, -200_000_000.0, 100_000.0]))
        at = now - draw(st.sampled_from([0.01, 0.1, 0.4, 3.0, 120.0])) + skews[reader]
        kind = draw(st.sampled_from(["read"] * 6 + ["batch", "repeat", "mark", "weight", "scale", "sale", "event"]))
        if kind == "read":
            reads.append({"reader": reader, "epc_hex": draw(st.sampled_from(EPCS)), "reader_time": max(at, 1 - NOON)})
            reads[-1] |= {"antenna": 1, "rssi_dbm": -40.0 - number % 30}
            said.say("reads", now, [reads[-1]])
        elif kind == "batch":
            said.say("reads", now, [*reads[-5:], {"reader": reader, "epc_hex": EPCS[0], "antenna": 1}])
            said.also("device_events", now, [{"source_kind": "reader", "source": reader, "event": "status"}])
        elif kind == "repeat" and reads:
            said.say("reads", now, draw(st.lists(st.sampled_from(reads), min_size=1, max_size=3)))
        elif kind == "mark":
            said.mark(now)
        elif kind == "weight":
            said.reading(now, 0.4 * draw(st.integers(0, 5)))
        elif kind == "scale":
            said.reading(now, 1.0, max(at, 1 - NOON), source="shelf-2")
        elif kind == "sale":
            said.business_event(now, f"sale-{draw(st.integers(0, 9))}", at=now - 5.0, gtin="09506000134352")
        elif kind == "event":
            said.device_event(now, "heartbeat", max(at, 1 - NOON), source=reader)
    return said.mark(now + 100.0).chunk()


@LAWS
@given(data=st.data())
@pytest.mark.slow
def test_laws_of_the_arrival_step(data: st.DataObject) -> None:
    chunk = data.draw(troubles())
    offsets = data.draw(cut_points(chunk))
    check_pipeline(SITE, [], chunk, offsets)
    check_watermarks(SITE, cut(chunk, offsets))


@LAWS
@given(data=st.data())
@pytest.mark.slow
def test_equal_rows_leave_equal_states(data: st.DataObject) -> None:
    chunk = data.draw(troubles())
    dumps = []
    for pieces in ([chunk], cut(chunk, data.draw(cut_points(chunk)))):
        step = ArrivalStep()
        state = step.initial(SITE)
        for piece in pieces:
            state, _ = step.step(state, piece, SITE)
        dumps.append(step.dump(state))
        assert step.dump(step.load(dumps[-1], SITE)) == dumps[-1]
    assert dumps[0] == dumps[1]


@LAWS
@given(chunk=troubles())
@pytest.mark.slow
def test_times_of_estimated_clocks_never_exceed_receive_times(chunk: Chunk) -> None:
    for arrived in check_watermarks(SITE, [chunk]):
        for row in arrived.batches["reads"].to_pylist() if "reads" in arrived.batches else []:
            assert CLOCKS[row["reader"]] is ReaderClock.TRUSTED or row["event_time"] <= row["received_time"]


@settings(LAWS, max_examples=8)
@given(data=st.data())
@pytest.mark.slow
def test_laws_of_the_product_pipeline(data: st.DataObject) -> None:
    chunk = data.draw(troubles())
    check_pipeline(SITE, None, chunk, data.draw(cut_points(chunk)))


@LAWS
@given(data=st.data())
@pytest.mark.slow
def test_everything_sent_again_in_any_order_changes_nothing(data: st.DataObject) -> None:
    said = Sayings()
    times = data.draw(st.lists(st.integers(0, 300), min_size=1, max_size=30))
    for place, second in enumerate(times):
        said.read(400.0 + place, second / 10, epc_hex=f"3{place}")
    once = check_watermarks(SITE, [said.chunk()])[0]
    for place in data.draw(st.lists(st.integers(0, len(times) - 1), max_size=60)):
        said.read(450.0, times[place] / 10, epc_hex=f"3{place}")
    again = check_watermarks(SITE, [said.chunk()])[0]
    assert again.batches["reads"].equals(once.batches["reads"])
    assert again.watermark_us == once.watermark_us


class TestRepeatMemory:
    def keys(self, first: int, count: int) -> Any:
        return np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)

    def admit(self, memory: RepeatMemory, keys: Any, received_s: float = 0.0) -> int:
        received = np.full(keys.size, round(received_s * 1e6), dtype=np.int64)
        return int(memory.admit(keys, np.ones(keys.size, dtype=np.bool_), received).sum())

    def test_it_holds_two_generations_of_keys_and_no_more(self) -> None:
        memory = RepeatMemory(keys_limit=1000)
        assert self.admit(memory, self.keys(0, 5000)) == 0
        _, young, elder = memory.dump()
        assert (young.size, elder.size) == (1000, 1000)
        assert self.admit(memory, self.keys(3000, 2000)) == 2000
        assert self.admit(memory, self.keys(0, 500)) == 0  # long forgotten

    def test_a_key_is_known_for_ten_minutes_and_forgotten_after_twenty(self) -> None:
        for after, known in ((590, 10), (1200, 0)):
            memory = RepeatMemory()
            for second in range(after):
                self.admit(memory, self.keys(10 * second, 10), float(second))
            assert self.admit(memory, self.keys(0, 10), float(after)) == known

    def test_an_outage_that_begins_just_after_a_change_of_generations_forgets_nothing(self) -> None:
        memory = RepeatMemory()
        for second in range(602):
            self.admit(memory, self.keys(10 * second, 10), float(second))
        assert self.admit(memory, self.keys(5900, 120), 90_000.0) == 120

    def test_a_bridge_clock_that_falls_back_forgets_nothing_at_once(self) -> None:
        memory = RepeatMemory()
        self.admit(memory, self.keys(0, 10), 1e6)
        assert self.admit(memory, self.keys(0, 10), 0.0) == 10

    def test_the_stated_bound_is_the_bound(self) -> None:
        memory = RepeatMemory()
        self.admit(memory, self.keys(0, 3 * repeats.KEYS_LIMIT))
        _, young, elder = memory.dump()
        assert young.nbytes + elder.nbytes <= 16 << 20
        assert memory._young.nbytes + memory._elder.nbytes <= 32 << 20
