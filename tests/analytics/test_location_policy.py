"""How readily a move is believed: what a site's sensitivity asks for, and that it does what it says."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from analytics.location.decisions import Told, decide
from analytics.location.policy import (
    ARRIVED_PROBABILITY,
    IN_DOUBT_PROBABILITY,
    MOVED_PROBABILITY,
    REVISED_PROBABILITY,
    Policy,
    policy_of,
)
from analytics.location.tracks import TRACK
from devices.site.model import MOVE_SENSITIVITY, LocationSettings, Site
from tests.analytics.chunk_building import Sayings
from tests.analytics.test_location import SITE, at_s, hear, opened, rows_of


def at(sensitivity: float) -> Policy:
    return policy_of(sensitivity)


def site_at(sensitivity: float) -> Site:
    return replace(SITE, location=LocationSettings(move_sensitivity=sensitivity))


def test_in_the_middle_the_constants_hold() -> None:
    expected = (IN_DOUBT_PROBABILITY, ARRIVED_PROBABILITY, MOVED_PROBABILITY, REVISED_PROBABILITY)
    assert policy_of(MOVE_SENSITIVITY)[:4] == pytest.approx(expected)


def test_more_sensitivity_asks_for_less_of_everything() -> None:
    steps = [at(value / 10) for value in range(11)]
    for quieter, quicker in pairwise(steps):
        assert all(high > low for high, low in zip(quieter[:4], quicker[:4], strict=True))
    assert all(0 < asked < 1 for policy in steps for asked in policy)


def test_a_change_without_a_move_follows_half_as_far() -> None:
    quiet = at(0.0)
    assert quiet.moved == pytest.approx(0.932, abs=0.001)  # log-odds of 0.65, and 2 more
    assert quiet.revised == pytest.approx(0.961, abs=0.001)  # log-odds of 0.9, and 1 more


def test_a_quicker_site_hears_of_a_move_no_later() -> None:
    said = hear(hear(Sayings(), 0, 0, 300), 1, 300, 400).mark(410)
    told = []
    for sensitivity in (0.0, 0.5, 1.0):
        rows = rows_of(said, site_at(sensitivity))
        assert opened(rows) == ["denim", "shoes"]
        told.append(next(at_s(row["as_of_time"]) for row in rows if row["zone"] == "shoes"))
    assert told == sorted(told, reverse=True)
    assert told[0] > told[-1]


def test_a_quiet_site_waits_where_reads_disagree() -> None:
    """An item on the border, heard by the one antenna for a while and by the other for a while, and equally loud."""
    said = Sayings()
    for number in range(300):
        port = 1 + number // 5 % 2
        said.read(2.0 * number, reader="r1", antenna=port, rssi_dbm=-60.0, epc_hex="303400000000000000000001")
    moves = [len(opened(rows_of(said.mark(700), site_at(sensitivity)))) for sensitivity in (0.0, 1.0)]
    assert moves[0] <= moves[1]


@pytest.mark.parametrize(("here", "moves"), [(0.002, True), (0.02, False)])
def test_a_zone_that_is_out_of_the_question_is_given_up_for_one_of_two_between_which_it_may_lie(
    here: float, *, moves: bool
) -> None:
    """Neither is as likely as a revision has to be; nobody is told for hours that it is where it surely is not."""
    track = np.zeros(1, dtype=TRACK)[0]
    track["zone"], track["stated"] = 0, np.float32(here)
    track["from_us"], track["last_us"], track["settled_us"] = 1, 200_000_000, 1
    belief = np.array([here, 0.6, 0.4 - here], dtype=np.float32)
    told = Told.room(4)
    rows = decide(track, 7, belief, np.float32(0.0), at(0.5), told, 0)
    assert rows == (2 if moves else 0)
    assert track["zone"] == (1 if moves else 0)
