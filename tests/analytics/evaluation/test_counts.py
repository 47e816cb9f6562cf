"""Scores of counting passes, worked out by hand."""

import pytest

from analytics.counting import tally
from analytics.evaluation.confidence import confidence_bins, confidence_error
from analytics.evaluation.counts import compare_counts
from analytics.schemas import COUNTED, COUNTS
from analytics.steps.derived import table_of
from analytics.truth import truth_of

SECOND = 1_000_000


def counting_pass(name: str, passes: int, until: int, total: tuple[float, float, float]) -> list[dict[str, object]]:
    whole: dict[str, object] = {
        "site": "s",
        "pass": name,
        "reader": "h",
        "from_time": (until - 10) * SECOND,
        "until_time": until * SECOND,
        "passes": passes,
        "gtin": None,
        "seen_quantity": 3,
        "estimate": total[0],
        "estimate_low": total[1],
        "estimate_high": total[2],
        "recall": 0.9,
        "further_quantity": 1.5,
        "missing_quantity": 1.0,
        "as_of_time": (until + 60) * SECOND,
    }
    return [whole, whole | {"gtin": "00000000000017"}]


def item(name: str, epc: str, at: int, gone: float | None = None) -> dict[str, object]:
    """An item that a pass heard, or one that it did not and took to be gone with some probability."""
    return {
        "site": "s",
        "pass": name,
        "epc_hex": epc,
        "heard": gone is None,
        "reads": 0,
        "last_heard_time": 0,
        "missing_probability": gone or 0.0,
        "recall": 0.9,
        "as_of_time": at * SECOND,
    }


def test_worked_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "ZONE_ITEMS_MIN", 3)  # as few as can be followed by hand
    truth = truth_of(
        [(epc, "floor", 0, 1000 * SECOND) for epc in "ABCD"]
        + [(epc, "back", 0, 1000 * SECOND) for epc in "XYZ"]
        + [("G", "floor", 0, 50 * SECOND)]
    )
    counts = [
        *counting_pass("two", 2, 300, (5.5, 5, 7)),
        *counting_pass("one", 1, 100, (4.0, 4, 5)),
        *counting_pass("three", 1, 900, (3.0, 3, 3)),
    ]
    counted = [
        *[item("one", epc, 160) for epc in "ABX"],  # of the back room one of three: it has not been there
        item("one", "C", 160, gone=0.2),
        item("one", "G", 160, gone=0.99),
        *[item("two", epc, 360) for epc in "ABC"],
        item("two", "D", 360, gone=0.95),
        *[item("three", epc, 960) for epc in "ABCD"],
    ]
    found = compare_counts(table_of(counts, COUNTS), table_of(counted, COUNTED), truth)
    assert [one.name for one in found.passes] == ["one", "two", "three"]
    first, second, third = found.passes
    assert (first.heard, first.there, first.true_recall) == (3, 4, 0.5)
    assert (second.there, second.true_recall) == (4, 0.75)
    assert (first.further, first.further_true) == (1.5, 1)  # C; the third pass is of another count
    assert (second.further_true, third.further_true) == (None, None)
    assert found.held_share == pytest.approx(1 / 3)  # 4 is in 4 to 5, not in 5 to 7, nor in 3 to 3
    assert [(one.low, one.high, one.count, one.right_share) for one in found.missing] == [
        (0.05, 0.3, 1, 0.0),
        (0.9, 0.97, 1, 0.0),
        (0.97, 1.0, 1, 1.0),
    ]
    assert found.calibration_error == pytest.approx((0.2 + 0.95 + 0.01) / 3)


def test_no_pass() -> None:
    found = compare_counts(COUNTS.empty_table(), COUNTED.empty_table(), truth_of([("A", "floor", 0, SECOND)]))
    assert (found.passes, found.held_share, found.calibration_error) == ((), None, None)


def test_bins_hold_both_ends_and_leave_out_what_is_empty() -> None:
    bins = confidence_bins([(0.0, False), (0.1, False), (1.0, True), (0.95, True)])
    assert [(one.low, one.count, one.said_mean) for one in bins] == [(0.0, 1, 0.0), (0.1, 1, 0.1), (0.9, 2, 0.975)]
    assert confidence_error(bins) == pytest.approx((0.0 + 0.1 + 2 * 0.025) / 4)
    assert confidence_error([]) is None
