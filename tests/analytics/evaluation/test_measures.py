"""Every measure is what its formula says: by hand on small scenes, and by a slow oracle on drawn ones."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.evaluation import EvaluationError, Frame, Timeline
from tests.analytics.evaluation.scenes import SITE, Oracle, Stay, estimates, scored, truth


def test_the_truth_itself_scores_without_fault() -> None:
    stays = (("A", "a", 0, 100), ("A", "b", 100, 500), ("B", "c", 50, 300), ("B", "", 300, 1000))
    result = scored(truth(*stays), estimates(*stays, confidence=[1.0] * 4))
    assert result.right_zone_share == 1.0
    assert result.false_moves_per_item_hour == 0.0
    assert (result.moves.true, result.moves.missed, result.moves.delay_s_p95) == (1, 0, 0.0)
    assert (result.presence.precision, result.presence.recall) == (1.0, 1.0)
    assert (result.settled_presence.precision, result.settled_presence.recall) == (1.0, 1.0)
    assert result.calibration is not None
    assert result.calibration.error == 0.0


def test_an_item_that_was_never_read_counts_as_wrong() -> None:
    result = scored(truth(("A", "a", 0, 100), ("B", "a", 0, 300)), estimates(("A", "a", 0, 100)))
    assert result.right_zone_share == 0.25
    assert result.presence.recall == 0.25
    assert result.presence.precision == 1.0


def test_zone_time_is_weighed_by_seconds_and_lands_in_the_confusion_table() -> None:
    # on site 0..100 s: 40 s right in a, 10 s said b while in a, 30 s right in b, 20 s unsaid; then 50 s said b off site
    result = scored(
        truth(("A", "a", 0, 50), ("A", "b", 50, 100), ("A", "", 100, 200)),
        estimates(("A", "a", 0, 40), ("A", "b", 40, 80), ("A", "b", 100, 150)),
    )
    assert result.right_zone_share == pytest.approx(0.7)
    seconds = np.array(result.confusion_item_hours) * 3600
    expected = np.zeros((5, 5))
    expected[1, 1], expected[1, 2], expected[2, 2], expected[2, 0], expected[0, 2], expected[0, 0] = (
        40,
        10,
        30,
        20,
        50,
        50,
    )
    assert seconds == pytest.approx(expected)
    assert result.presence.precision == pytest.approx(80 / 130)
    assert result.presence.recall == pytest.approx(0.8)


def test_a_place_that_is_no_zone_is_here_but_never_right() -> None:
    result = scored(truth(("A", "a", 0, 100)), estimates(("A", "r_9", 0, 50), ("A", "r_8", 50, 100)))
    assert result.right_zone_share == 0.0
    assert result.presence.recall == 1.0
    assert result.confusion_item_hours[1][4] == pytest.approx(100 / 3600)


def test_an_item_that_takes_turns_between_two_zones_makes_false_moves() -> None:
    said = [("A", "ab"[number % 2], 360 * number, 360 * number + 360) for number in range(10)]
    result = scored(truth(("A", "a", 0, 3600)), estimates(*said))
    assert result.moves.reported == 9
    assert result.moves.false == 9
    assert result.false_moves_per_item_hour == pytest.approx(9.0)
    assert result.right_zone_share == pytest.approx(0.5)


def test_flicker_between_a_zone_and_nowhere_is_no_move() -> None:
    said = [("A", "a", 100 * number, 100 * number + 60) for number in range(10)]
    result = scored(truth(("A", "a", 0, 1000)), estimates(*said))
    assert result.moves.reported == 0
    assert result.presence.recall == pytest.approx(0.6)


MOVE = truth(("A", "a", 0, 1000), ("A", "b", 1000, 2000))


@pytest.mark.parametrize(
    ("reported_at", "until", "false", "missed", "delay"),
    [
        (1000, 2000, 0, 0, 0.0),
        (1007, 2000, 0, 0, 7.0),
        (995, 2000, 0, 0, 0.0),  # five seconds early are forgiven
        (994, 2000, 1, 1, None),  # more is a guess
        (1900, 2000, 0, 0, 900.0),  # late, but while it is still there
    ],
)
def test_a_move_is_found_near_its_time_or_while_it_lasts(
    reported_at: int, until: int, false: int, missed: int, delay: float | None
) -> None:
    result = scored(MOVE, estimates(("A", "a", 0, reported_at), ("A", "b", reported_at, until)))
    assert (result.moves.false, result.moves.true, result.moves.missed) == (false, 1, missed)
    assert result.moves.delay_s_median == delay


@pytest.mark.parametrize(("reported_at", "found"), [(1059, True), (1060, True), (1061, False)])
def test_a_short_stay_may_be_reported_up_to_a_minute_after_it_began(reported_at: int, found: bool) -> None:  # noqa: FBT001
    passing = truth(("A", "a", 0, 1000), ("A", "b", 1000, 1020), ("A", "c", 1020, 2000))
    result = scored(passing, estimates(("A", "a", 0, reported_at), ("A", "b", reported_at, 2000)))
    assert result.moves.true == 2
    assert result.moves.missed == (1 if found else 2)
    assert result.moves.false == (0 if found else 1)


def test_passing_through_need_not_be_found_but_may_be_reported() -> None:
    passing = truth(("A", "a", 0, 100), ("A", "b", 100, 109), ("A", "c", 109, 500))
    unseen = scored(passing, estimates(("A", "a", 0, 112), ("A", "c", 112, 500)))
    assert (unseen.moves.true, unseen.moves.missed, unseen.moves.false) == (1, 0, 0)
    seen = scored(passing, estimates(("A", "a", 0, 103), ("A", "b", 103, 112), ("A", "c", 112, 500)))
    assert (seen.moves.true, seen.moves.missed, seen.moves.false) == (1, 0, 0)


def test_a_first_appearance_finds_a_move_but_is_never_a_false_one() -> None:
    found = scored(MOVE, estimates(("A", "b", 1003, 2000)))
    assert (found.moves.reported, found.moves.missed, found.moves.delay_s_median) == (0, 0, 3.0)
    wrong = scored(MOVE, estimates(("A", "c", 500, 2000)))
    assert (wrong.moves.reported, wrong.moves.false, wrong.moves.missed) == (0, 0, 1)


def test_one_true_move_is_found_once() -> None:
    said = estimates(("A", "a", 0, 1002), ("A", "b", 1002, 1010), ("A", "a", 1010, 1020), ("A", "b", 1020, 2000))
    result = scored(MOVE, said)
    assert (result.moves.reported, result.moves.false, result.moves.missed) == (3, 2, 0)
    assert result.moves.delay_s_median == 2.0


def test_delays_are_taken_over_the_moves_that_were_found() -> None:
    true = [("A", "ab"[number % 2], 1000 * number, 1000 * number + 1000) for number in range(5)]
    changes = [0, 1001, 2002, 3003, 4010]
    said = [
        ("A", "ab"[number % 2], start, end)
        for number, (start, end) in enumerate(zip(changes, [*changes[1:], 5000], strict=True))
    ]
    result = scored(truth(*true), estimates(*said))
    assert result.moves.delay_s_median == pytest.approx(2.5)
    assert result.moves.delay_s_p95 == pytest.approx(3 + 0.85 * 7)


def test_settled_presence_forgives_five_minutes() -> None:
    true = truth(("A", "", 0, 1000), ("A", "a", 1000, 2000), ("A", "", 2000, 4000))
    result = scored(true, estimates(("A", "a", 1200, 2600)))
    assert result.presence.precision == pytest.approx(800 / 1400)
    assert result.presence.recall == pytest.approx(0.8)
    assert result.settled_presence.precision == pytest.approx(700 / 1000)
    assert result.settled_presence.recall == 1.0


def test_calibration_compares_what_was_said_with_how_often_it_was_right() -> None:
    # 100 s at 0.9, of which 60 s right; 100 s at 0.95 (same bin), all right; 50 s at 0.2 never right
    true = truth(("A", "a", 0, 220), ("A", "", 220, 300))
    said = estimates(
        ("A", "a", 0, 60), ("A", "b", 60, 100), ("A", "a", 100, 200), ("A", "b", 200, 250), ("A", "a", 250, 260),
        confidence=[0.9, 0.9, 0.95, 0.2, None],
    )  # fmt: skip
    calibration = scored(true, said).calibration
    assert calibration is not None
    assert calibration.error == pytest.approx((abs(160 - 185) + abs(0 - 10)) / 250)
    last, low = calibration.bins[9], calibration.bins[2]
    assert last.right_share == pytest.approx(0.8)
    assert last.confidence_mean == pytest.approx(0.925)
    assert last.item_hours == pytest.approx(200 / 3600)
    assert low.right_share == 0.0
    assert low.confidence_mean == pytest.approx(0.2)
    assert calibration.bins[5].right_share is None


def test_a_confidence_of_one_belongs_to_the_last_bin() -> None:
    calibration = scored(truth(("A", "a", 0, 10)), estimates(("A", "a", 0, 10), confidence=[1.0])).calibration
    assert calibration is not None
    assert calibration.bins[9].item_hours > 0


def test_strangers_and_time_outside_the_window_are_left_out() -> None:
    result = scored(truth(("A", "a", 100, 200)), estimates(("A", "a", 0, 900), ("X", "a", 0, 900)))
    assert (result.right_zone_share, result.presence.precision) == (1.0, 1.0)


def test_nothing_on_site_has_no_share() -> None:
    result = scored(truth(("A", "", 0, 100)), estimates())
    assert result.right_zone_share is None
    assert result.false_moves_per_item_hour is None
    assert result.presence.recall is None
    assert result.calibration is None


def test_stays_that_overlap_are_refused() -> None:
    true = truth(("A", "a", 0, 100))
    with pytest.raises(EvaluationError, match="overlap"):
        scored(true, estimates(("A", "a", 0, 60), ("A", "b", 50, 90)))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([], "no rows"), ([("A", "attic", 0, 9)], "attic"), ([("A", "a", 0, 2**43), ("B", "a", 0, 1)], "too many")],
)
def test_a_truth_that_does_not_fit_is_refused(rows: list[Stay], expected: str) -> None:
    with pytest.raises(EvaluationError, match=expected) as caught:
        Frame.of(SITE, truth(*rows))
    assert caught.value.hint


@st.composite
def drawn_stays(draw: st.DrawFn, zones: tuple[str, ...]) -> list[Stay]:
    stays: list[Stay] = []
    for item in draw(st.sampled_from([("A",), ("A", "B")])):
        times = sorted(draw(st.sets(st.one_of(st.integers(0, 90), st.integers(0, 450)), min_size=2, max_size=9)))
        for start, end in pairwise(times):
            zone = draw(st.sampled_from([*zones, None]))
            if zone is not None:
                stays.append((item, zone, start, end))
    return stays


@pytest.mark.slow
@settings(deadline=None)
@given(drawn_stays(("a", "b", "a", "b", "")), drawn_stays(("a", "b", "a", "b", "", "nowhere")), st.data())
def test_the_sweep_finds_what_looking_at_every_second_finds(
    true: list[Stay], said: list[Stay], data: st.DataObject
) -> None:
    true = [*true, ("A", "a", 450, 452)]
    confidences = st.sampled_from([None, 0.0, 0.25, 0.5, 0.96, 1.0])
    confidence = [data.draw(confidences) for _ in said]
    oracle = Oracle(true, said, confidence)
    result = scored(truth(*true), estimates(*said, confidence=confidence))
    assert result.right_zone_share == pytest.approx(oracle.right_zone_share())
    for measured, settled_only in ((result.presence, False), (result.settled_presence, True)):
        precision, recall = oracle.presence(settled=settled_only)
        assert measured.precision == (None if precision is None else pytest.approx(precision))
        assert measured.recall == (None if recall is None else pytest.approx(recall))
    error = oracle.calibration_error()
    assert (result.calibration.error if result.calibration else None) == (
        None if error is None else pytest.approx(error)
    )
    reported, false, asked, missed, delays = oracle.moves()
    found = result.moves
    assert (found.reported, found.false, found.true, found.missed) == (reported, false, asked, missed)
    assert found.delay_s_median == (float(np.median(delays)) if delays else None)
    assert found.delay_s_p95 == (pytest.approx(float(np.percentile(delays, 95))) if delays else None)


@given(drawn_stays(("a", "b", "")))
def test_a_timeline_does_not_depend_on_the_order_of_rows(stays: list[Stay]) -> None:
    true = truth(("A", "a", 0, 700), ("B", "b", 0, 700))
    frame = Frame.of(SITE, true)
    one, other = Timeline.of(frame, estimates(*stays)), Timeline.of(frame, estimates(*stays[::-1]))
    assert np.array_equal(one.key, other.key)
    assert np.array_equal(one.zone, other.zone)
