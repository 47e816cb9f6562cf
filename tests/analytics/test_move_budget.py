"""The budget of false moves: how sure a move has to be follows how many moves the site takes back."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from analytics.location.budget import (
    BUSY_S,
    FALSE_PER_TAKEN_BACK,
    SENSITIVITY_MAX,
    SENSITIVITY_MIN,
    TAKEN_BACK_US,
    MoveBudget,
)
from analytics.location.decisions import Told
from analytics.location.state import LocationState
from analytics.steps.arrival import ArrivalStep
from analytics.steps.location import LocationStep
from devices.chunk import Chunk
from devices.site.model import MOVE_SENSITIVITY, LocationSettings
from tests.analytics.chunk_building import Sayings
from tests.analytics.step_laws import cut
from tests.analytics.test_location import SITE, hear

ITEMS = 720  # one item-hour in each look of 5 s
EPC = "303400000000000000000001"


def told(*ends: tuple[int, int, int, int]) -> tuple[Told, int]:
    """Return rows that end stays: where the item came from plus 1, from, until, and where it went, -1 for nowhere."""
    rows = Told.room(len(ends))
    for place, (came_from, from_us, until_us, left_for) in enumerate(ends):
        rows.track[place] = 0
        rows.track["came_from"][place], rows.track["from_us"][place] = came_from, from_us
        rows.until_us[place], rows.left_for[place] = until_us, left_for
    return rows, len(ends)


def busy(settings: LocationSettings | None = None) -> MoveBudget:
    """Return a budget of a site in which something has just moved."""
    budget = MoveBudget.of(settings or LocationSettings())
    budget.busy_until_s = 1_000_000
    return budget


def looked(budget: MoveBudget, taken_back: Sequence[int]) -> float:
    for number, count in enumerate(taken_back):
        budget.taken_back = count
        budget.look(5 * number, 5, ITEMS)
    return budget.sensitivity


def test_a_move_is_taken_back_that_soon_ends_where_it_began() -> None:
    budget = busy()
    there_and_back, on, later = (3, 10, 20, 2), (3, 10, 20, 5), (3, 10, 10 + TAKEN_BACK_US, 2)
    gone, first = (3, 10, 20, -1), (0, 10, 20, 2)
    budget.count(*told(there_and_back, on, later, gone, first))
    assert (budget.moved, budget.taken_back) == (4, 1)
    budget.count(*told(there_and_back))
    assert (budget.moved, budget.taken_back) == (5, 2)


def test_what_is_taken_back_makes_it_quieter_and_what_stands_makes_it_quicker() -> None:
    assert looked(busy(), [1]) < MOVE_SENSITIVITY
    assert looked(busy(), [0]) > MOVE_SENSITIVITY


def test_a_site_that_takes_back_as_many_as_the_budget_expects_stays_as_it_is() -> None:
    settings = LocationSettings(false_moves_per_item_hour=0.3)
    every = round(FALSE_PER_TAKEN_BACK / 0.3)
    counts = [int(number % every == every - 1) for number in range(40 * every)]
    assert looked(busy(settings), counts) == pytest.approx(MOVE_SENSITIVITY, abs=0.1)
    assert looked(busy(replace(settings, false_moves_per_item_hour=0.6)), counts) > 0.6, "a larger one allows more"
    assert looked(busy(replace(settings, false_moves_per_item_hour=0.1)), counts) < 0.4


def test_it_stays_within_bounds() -> None:
    assert looked(busy(), [9] * 1000) == SENSITIVITY_MIN
    assert looked(busy(), [0] * 1000) == SENSITIVITY_MAX


def test_a_large_site_does_not_swing() -> None:
    small, large = busy(), busy()
    small.look(5, 5, ITEMS // 10)
    large.look(5, 5, ITEMS * 1000)
    assert large.sensitivity - MOVE_SENSITIVITY < 20 * (small.sensitivity - MOVE_SENSITIVITY)


def test_where_nothing_moves_nothing_is_learnt() -> None:
    budget = MoveBudget.of(LocationSettings())
    assert not budget.look(5, 5, ITEMS), "not before the first move"
    budget.count(*told((0, 10, 20, 2)))
    assert budget.look(10, 5, ITEMS)
    assert budget.look(10 + BUSY_S - 5, 5, ITEMS)
    assert not budget.look(10 + BUSY_S, 5, ITEMS)


def test_a_sensitivity_in_the_site_file_stands() -> None:
    budget = busy(LocationSettings(move_sensitivity=0.3))
    assert looked(budget, [9, 0, 9]) == 0.3
    budget.restore([0.8, 1, 1, 100])
    assert budget.sensitivity == 0.3


def flickering() -> Chunk:
    """An item between two antennas that hear it equally loud, in turns of twenty reads; and one that lies still."""
    said = hear(Sayings(), 0, 0, 1)
    for number in range(1500):
        port = 1 + number // 20 % 2
        said.read(1.0 + number, reader="r1", antenna=port, rssi_dbm=-50.0, epc_hex=EPC)
    return said.mark(1600).chunk()


def run(chunks: Sequence[Chunk], *, reload: bool = False) -> LocationState:
    arrival, step = ArrivalStep(), LocationStep()
    arrivals, state = arrival.initial(SITE), step.initial(SITE)
    for chunk in chunks:
        arrivals, arrived = arrival.step(arrivals, chunk, SITE)
        state, _ = step.step(state, arrived, SITE)
        if reload:
            state = step.load(step.dump(state), SITE)
    return state


def test_a_site_whose_items_flicker_gets_quieter() -> None:
    assert run([flickering()]).budget.sensitivity < MOVE_SENSITIVITY - 0.05


def test_neither_chunks_nor_checkpoints_change_what_is_learnt() -> None:
    chunk = flickering()
    whole = run([chunk])
    cuts = cut(chunk, [100, 333, 334, 900])
    for other in (run(cuts), run(cuts, reload=True)):
        assert other.budget == whole.budget
        assert other.policy == whole.policy == whole.budget.policy
        assert LocationStep().dump(other) == LocationStep().dump(whole)
