"""How good are the on-hand estimates? `inventory` rows beside the true stock of a simulated day.

Compared are rows of whole sites for one GTIN (`zone` null, `gtin` given) of which the book and a tag are known
(`accuracy` not null), at times for which the truth file has the GTIN. All such rows weigh the same. A GTIN without tags
has no estimate of its own and is left out.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from analytics import accuracy
from analytics.truth import read_truth_file
from devices.schemas import TIMESTAMP

TRUE_STOCK = pa.schema(
    [
        pa.field("gtin", pa.string(), nullable=False),
        pa.field("at_us", pa.int64(), nullable=False),
        pa.field("on_site", pa.int64(), nullable=False),
        pa.field("book", pa.int64(), nullable=False),
    ]
)
"""Columns of `truth_stock.csv`: units truly on site and booked, by GTIN and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockScore:
    """How the estimates of some days compare with the truth."""

    rows: int
    """GTINs by times that were compared."""
    held_share: float
    """Share of rows whose interval holds the truth, ends included."""
    above_share: float
    """Share of rows whose interval lies above the truth."""
    below_share: float
    """Share of rows whose interval lies below the truth."""
    bias_units: float
    """Mean of estimate minus truth, units."""
    error_units: float
    """Mean of |estimate - truth|, units."""
    width_units: float
    """Mean length of the interval, units."""
    estimated_accuracy: float | None
    """Unit accuracy of the book by the estimates, mean over times."""
    true_accuracy: float | None
    """Unit accuracy of the book by the truth, mean over the same times and GTINs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    gtin: str
    book: int
    true: int
    units: float
    low: float
    high: float


def read_true_stock(path: Path) -> pa.Table:
    """Read a `truth_stock.csv`.

    Raises:
        TruthError: The file cannot be read or lacks a column.
    """
    return read_truth_file(path, TRUE_STOCK, "stock")


def compare_stock(inventory: pa.Table, truth: pa.Table, *, from_us: int = 0) -> StockScore | None:
    """Compare estimates with the truth.

    Args:
        inventory: Rows of one site in `INVENTORY` form.
        truth: Table in `TRUE_STOCK` form.
        from_us: Rows before this time are left out, microseconds.

    Returns:
        The score; `None` where no row can be compared.
    """
    times = _paired(inventory, truth, from_us)
    pairs = [pair for at_us in sorted(times) for pair in times[at_us]]
    if not pairs:
        return None
    count = len(pairs)
    return StockScore(
        rows=count,
        held_share=sum(pair.low <= pair.true <= pair.high for pair in pairs) / count,
        above_share=sum(pair.low > pair.true for pair in pairs) / count,
        below_share=sum(pair.high < pair.true for pair in pairs) / count,
        bias_units=math.fsum(pair.units - pair.true for pair in pairs) / count,
        error_units=math.fsum(abs(pair.units - pair.true) for pair in pairs) / count,
        width_units=math.fsum(pair.high - pair.low for pair in pairs) / count,
        estimated_accuracy=_mean_accuracy(list(times.values()), estimated=True),
        true_accuracy=_mean_accuracy(list(times.values()), estimated=False),
    )


def _paired(inventory: pa.Table, truth: pa.Table, from_us: int) -> dict[int, list[_Pair]]:
    """Return what can be compared, by time."""
    columns = [truth[name].to_pylist() for name in ("gtin", "at_us", "on_site")]
    true = {(gtin, at_us): units for gtin, at_us, units in zip(*columns, strict=True)}
    at = inventory["as_of_time"].cast(TIMESTAMP).cast(pa.int64()).to_pylist()
    names = ("zone", "gtin", "accuracy", "book_quantity", "on_hand", "on_hand_low", "on_hand_high")
    rows = zip(at, *(inventory[name].to_pylist() for name in names), strict=True)
    times: dict[int, list[_Pair]] = {}
    for at_us, zone, gtin, known, book, units, low, high in rows:
        if zone is None and known is not None and at_us >= from_us and (gtin, at_us) in true:
            pair = _Pair(gtin=gtin, book=book, true=true[gtin, at_us], units=units, low=low, high=high)
            times.setdefault(at_us, []).append(pair)
    return times


def _mean_accuracy(times: list[list[_Pair]], *, estimated: bool) -> float | None:
    found = [
        accuracy.unit_accuracy(
            {pair.gtin: pair.book for pair in pairs},
            {pair.gtin: pair.units if estimated else float(pair.true) for pair in pairs},
        )
        for pairs in times
    ]
    known = [one for one in found if one is not None]
    return math.fsum(known) / len(known) if known else None
