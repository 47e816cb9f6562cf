"""On-hand estimates beside the truth: an example computed by hand."""

import pyarrow as pa
import pytest

from analytics.evaluation.stock import TRUE_STOCK, compare_stock
from analytics.schemas import INVENTORY
from analytics.steps.derived import table_of

TRUTH = pa.table(
    {"gtin": ["a", "b", "a", "b"], "at_us": [10, 10, 20, 20], "on_site": [8, 4, 8, 9], "book": [10, 4, 10, 4]},
    schema=TRUE_STOCK,
)


def row(gtin: str, at_us: int, units: float, low: float, high: float, **columns: object) -> dict[str, object]:
    book = {"a": 10, "b": 4}[gtin]
    estimate = {"on_hand": units, "on_hand_low": low, "on_hand_high": high, "book_quantity": book, "accuracy": 1.0}
    return {"site": "s", "gtin": gtin, "as_of_time": at_us, "seen_quantity": 0, **estimate, **columns}


def test_by_hand() -> None:
    rows = [
        row("a", 10, 9.0, 8.0, 10.0),
        row("b", 10, 5.5, 5.0, 6.0),  # above
        row("b", 20, 4.0, 4.0, 5.0),  # below
        row("a", 20, 1.0, 0.0, 2.0, zone="men"),
        row("a", 20, 1.0, 0.0, 2.0, accuracy=None),
        row("a", 30, 1.0, 0.0, 2.0),
    ]
    score = compare_stock(table_of(rows, INVENTORY), TRUTH)
    assert score is not None
    assert score.rows == 3
    assert (score.held_share, score.above_share, score.below_share) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert score.bias_units == pytest.approx((1 + 1.5 - 5) / 3)
    assert score.error_units == pytest.approx((1 + 1.5 + 5) / 3)
    assert score.width_units == pytest.approx((2 + 1 + 1) / 3)
    assert score.estimated_accuracy == pytest.approx(((1 - 2.5 / 15.5) + 1.0) / 2)
    assert score.true_accuracy == pytest.approx(((1 - 2 / 14) + 4 / 9) / 2)


def test_nothing_to_compare() -> None:
    assert compare_stock(INVENTORY.empty_table(), TRUTH) is None
