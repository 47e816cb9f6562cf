"""Promise: what has been gone for a day is forgotten, so that memory stays flat, and nobody can tell from the rows."""

import numpy as np
from hypothesis import given

from analytics.location.forgetting import FORGET_AFTER_S, FORGET_GRID_S, find_gone, order_of_kept
from analytics.location.state import LocationState
from analytics.location.tracks import TRACK
from analytics.steps.location import LocationStep
from devices.chunk import Chunk
from tests.analytics.chunk_building import Sayings, us
from tests.analytics.step_laws import LAWS, check_step, cut_points, run_arrival
from tests.analytics.test_location import SITE, hear, keep_alive

FIRST_MARK_S = FORGET_GRID_S - us(0) // 1_000_000 % FORGET_GRID_S
"""When things may be forgotten, in seconds of what is said."""


def run(*chunks: Chunk) -> LocationState:
    step = LocationStep()
    state = step.initial(SITE)
    for arrived in run_arrival(SITE, list(chunks)):
        state, _ = step.step(state, arrived, SITE)
    return state


def deliveries(days: int, items: int) -> list[Chunk]:
    """Let other items lie in the store for a while each day, a quarter of an hour before a mark, and leave."""
    said, chunks = Sayings(), []
    for day in range(days):
        begin = FIRST_MARK_S + day * FORGET_AFTER_S - 900.0
        for turn in range(3):
            tags = [
                {"reader": "r1", "antenna": 1, "rssi_dbm": -50.0, "epc_hex": f"{day:08X}{n:016X}"} for n in range(items)
            ]
            said.say("reads", begin + 5.0 * turn, tags)
        keep_alive(said, begin + 20, begin + 1000, "r1", "r2")
        chunks.append(said.mark(begin + 1010).chunk())
        said = Sayings()
    return chunks


def test_memory_stays_flat_under_ever_new_items() -> None:
    chunks = deliveries(6, 300)
    counts = [len(run(*chunks[:days]).table) for days in (1, 2, 4, 6)]
    assert counts == [300, 300, 300, 300]
    assert run(*chunks).bytes_used <= run(*chunks[:2]).bytes_used


def comings_and_goings() -> Chunk:
    """One item comes back a day after it left, just after it is forgotten; others come for the first time around it."""
    mark = FIRST_MARK_S + FORGET_AFTER_S
    said = hear(Sayings(), 0, FIRST_MARK_S - 600, FIRST_MARK_S - 570, epc=f"{1:024X}")
    hear(said, 1, FIRST_MARK_S - 580, FIRST_MARK_S - 550, epc=f"{2:024X}")
    keep_alive(said, FIRST_MARK_S - 560, FIRST_MARK_S - 200, "r1", "r2")
    keep_alive(said, mark - 300, mark - 20, "r1", "r2")
    for epc, at in ((3, mark - 8), (4, mark - 2.5), (5, mark + 0.1), (1, mark + 0.3), (6, mark + 0.5)):
        hear(said, 0, at, mark + 12, epc=f"{epc:024X}", every=3.0)
    keep_alive(said, mark + 20, mark + 300, "r1", "r2")
    return said.mark(mark + 320).chunk()


BUSY = comings_and_goings()


@LAWS
@given(cut_points(BUSY))
def test_forgetting_does_not_depend_on_chunks(offsets: list[int]) -> None:
    """All of those present depart at one mark, told in the order of their numbers."""
    tables = check_step(LocationStep(), SITE, BUSY, offsets)
    departed = [row["epc_hex"][-1] for row in tables["locations"].to_pylist() if row["until_time"] is not None]
    assert departed == ["1", "2", "3", "4", "5", "1", "6"]


def test_what_is_forgotten_and_what_is_kept() -> None:
    """A located item is kept however silent; one that is gone keeps its number for a day."""
    tracks = np.zeros(5, dtype=TRACK)
    tracks["zone"] = [2, -1, -1, -1, -1]
    tracks["last_us"] = [1, 1, 10_000_001, 0, 10_000_000]
    assert find_gone(tracks, FORGET_AFTER_S + 10).tolist() == [False, True, False, False, True]


def test_new_numbers_are_those_of_rows_that_come_one_at_a_time() -> None:
    """Known items first; then what waits, the forgotten and the never seen alike, in order of arrival."""
    tracks = np.zeros(6, dtype=TRACK)
    tracks["last_us"] = [5, 5, 5, 5, 0, 0]
    gone = np.array([False, True, True, False, False, False])
    waiting = np.array([5, -1, 0, 1, 4, 5], dtype=np.int32)
    arrival = np.array([7, 0, 1, 6, 5, 9])
    assert order_of_kept(tracks, gone, waiting, arrival).tolist() == [0, 3, 4, 1, 5]
