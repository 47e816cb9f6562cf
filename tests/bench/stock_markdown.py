"""The tables of `docs/accuracy.md` on inventory, ready to be put in."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analytics.evaluation.stock import StockScore, compare_stock
from tests.bench.stock_instants import without_instants
from tests.bench.stock_zones import untagged_held, zones_held

Day = tuple[str, pa.Table, pa.Table, Path]
"""Name, inventory rows, true stock, folder."""

_HEAD = (
    "| day (seed) | held | without instants | mean error | bias | width | book accuracy, estimated | true "
    "| zone rows held | width |\n|---|---|---|---|---|---|---|---|---|---|"
)


def markdown(days: Sequence[Day], seeds: Mapping[str, int]) -> str:
    """Return a table with a row a day, and one for all of them."""
    return "\n".join([_HEAD, *(_row(day, seeds) for day in days), _together(days), ""])


def together_line(days: Sequence[Day]) -> str:
    """Return one sentence about all days."""
    scores, bare = _scores(days), _scores(days, instants=False)
    zones, untagged = _zones(days), _untagged(days)
    return (
        f"All {len(days)} days: {_held(scores):.1%} of rows hold ({_rows(scores):,}), {_held(bare):.1%} without the "
        f"instants of deliveries ({_rows(bare):,}), {zones[1] / zones[0]:.1%} of zone rows ({zones[0]:,}), "
        f"{untagged[1] / untagged[0]:.1%} of GTINs without tags ({untagged[0]:,})."
    )


def _row(day: Day, seeds: Mapping[str, int]) -> str:
    name, rows, _, folder = day
    (score,), (bare,), zones = _scores([day]), _scores([day], instants=False), zones_held(rows, folder)
    of_zone = rows.filter(pc.is_valid(rows["zone"]))
    width = pc.mean(pc.subtract(of_zone["on_hand_high"], of_zone["on_hand_low"])).as_py() or 0.0
    seed = f" ({seeds[name]})" if name in seeds else ""
    return (
        f"| {name}{seed} | {score.held_share:.1%} | {bare.held_share:.1%} | {score.error_units:.2f} "
        f"| {score.bias_units:+.2f} | {score.width_units:.1f} | {score.estimated_accuracy or 0.0:.1%} "
        f"| {score.true_accuracy or 0.0:.1%} | {zones[1] / max(1, zones[0]):.1%} | {width:.1f} |"
    ).replace("%", " %")


def _together(days: Sequence[Day]) -> str:
    scores, bare, zones = _scores(days), _scores(days, instants=False), _zones(days)
    error, bias, width = (
        math.fsum(getattr(score, name) * score.rows for score in scores) / max(1, _rows(scores))
        for name in ("error_units", "bias_units", "width_units")
    )
    return (
        f"| **together** ({_rows(scores):,} rows) | **{_held(scores):.1%}** | {_held(bare):.1%} | {error:.2f} "
        f"| {bias:+.2f} | {width:.1f} | | | **{zones[1] / max(1, zones[0]):.1%}** ({zones[0]:,}) | |"
    ).replace("%", " %")


def _scores(days: Sequence[Day], *, instants: bool = True) -> list[StockScore]:
    found = [compare_stock(rows if instants else without_instants(rows, day), truth) for _, rows, truth, day in days]
    return [score for score in found if score is not None]


def _rows(scores: Sequence[StockScore]) -> int:
    return sum(score.rows for score in scores)


def _held(scores: Sequence[StockScore]) -> float:
    return math.fsum(score.held_share * score.rows for score in scores) / max(1, _rows(scores))


def _zones(days: Sequence[Day]) -> tuple[int, int]:
    found = [zones_held(rows, day) for _, rows, _, day in days]
    return max(1, sum(n for n, _ in found)), sum(held for _, held in found)


def _untagged(days: Sequence[Day]) -> tuple[int, int]:
    found = [untagged_held(rows, truth) for _, rows, truth, _ in days]
    return max(1, sum(n for n, _ in found)), sum(held for _, held in found)
