"""Scores of passages at gates, worked out by hand."""

from pathlib import Path

import pyarrow as pa
import pytest

from analytics.evaluation.passages import TRUE_PASSAGES, compare_passages, read_true_passages, score_of
from analytics.schemas import PASSAGES
from analytics.steps.derived import table_of
from analytics.truth import TruthError

SECOND = 1_000_000


def row(epc: str, direction: str, *, since: int, until: int, sure: float = 0.9, known: int = 10) -> dict[str, object]:
    """A row of `passages`; times are seconds, `known` is how many after the last read."""
    return {
        "site": "s",
        "gate": "dock",
        "epc_hex": epc,
        "from_time": since * SECOND,
        "until_time": until * SECOND,
        "direction": direction,
        "confidence": sure,
        "probabilities": "{}",
        "load": "1",
        "reads": 9,
        "model": "m",
        "as_of_time": (until + known) * SECOND,
    }


def true(*rows: tuple[str, str, int, int]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)]
    times = [[second * SECOND for second in column] for column in columns[2:]]
    return pa.table([["dock"] * len(rows), columns[0], columns[1], *times], schema=TRUE_PASSAGES)


def test_worked_example() -> None:
    rows = [
        row("A", "inbound", since=0, until=5),
        row("B", "outbound", since=0, until=5, sure=0.6),
        row("C", "inbound", since=100, until=104, known=40),  # nothing went through then
    ]
    found = compare_passages(
        table_of(rows, PASSAGES),
        true(("A", "inbound", 1, 4), ("B", "inbound", 0, 6), ("C", "inbound", 0, 3), ("D", "static", 0, 9)),
    )
    assert (found.true, found.told, found.right, found.rows, found.unfounded) == (4, 2, 1, 3, 1)
    assert (found.told_share, found.right_share) == (0.5, 0.5)
    assert [(one.direction, one.said, one.count) for one in found.said] == [
        ("inbound", "inbound", 1),
        ("inbound", "nothing", 1),
        ("inbound", "outbound", 1),
        ("static", "nothing", 1),
    ]
    assert found.of("inbound") == (1, 2)
    assert found.of("static") == (0, 0)
    assert found.delay_s_median == 10.0
    assert found.delay_s_p95 == pytest.approx(37.0)
    assert [(one.low, one.count, one.right_share) for one in found.bins] == [(0.6, 1, 0.0), (0.9, 1, 1.0)]
    assert found.calibration_error == pytest.approx((0.6 + 0.1) / 2)


def test_the_row_that_overlaps_longest_tells_and_one_row_may_tell_of_two() -> None:
    rows = [row("A", "outbound", since=0, until=10), row("A", "inbound", since=20, until=40)]
    found = compare_passages(
        table_of(rows, PASSAGES), true(("A", "inbound", 8, 26), ("A", "inbound", 30, 35), ("A", "outbound", 10, 10))
    )
    assert (found.true, found.told, found.right, found.unfounded, found.pieces) == (3, 3, 3, 0, 0)


def test_what_fell_apart_is_counted_once() -> None:
    rows = [row("A", "static", since=at, until=at + length) for at, length in ((0, 50), (60, 90), (200, 9))]
    found = compare_passages(table_of(rows, PASSAGES), true(("A", "static", 0, 220)))
    assert (found.told, found.right, found.rows, found.pieces, found.unfounded) == (1, 1, 3, 2, 0)


def test_nothing_said_and_nothing_true() -> None:
    found = compare_passages(PASSAGES.empty_table(), true(("A", "inbound", 1, 4)))
    assert (found.told_share, found.right_share, found.delay_s_median, found.calibration_error) == (0, None, None, None)
    assert compare_passages(PASSAGES.empty_table(), TRUE_PASSAGES.empty_table()).told_share is None


def test_pairs_alone_make_a_score() -> None:
    found = score_of({("static", "static"): 3, ("static", "passed_by"): 1}, rows=4)
    assert (found.right_share, found.right) == (0.75, 3)


def test_a_file_that_is_no_truth(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TruthError, match="passages"):
        read_true_passages(tmp_path / "x.csv")
