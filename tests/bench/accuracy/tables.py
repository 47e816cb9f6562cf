"""What `make bench-accuracy` prints."""

from collections.abc import Callable, Sequence

from rich.table import Table

from analytics.evaluation import OURS, Score
from tests.bench.accuracy.compare import IDEAL, TOLD, Comparison, Point

FALSE_MAX = 0.2
"""False moves per item-hour at which estimators are compared."""
BANDS = (0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 50.0)
"""False moves per item-hour that a row of the trade-off allows."""

_MEASURES: tuple[tuple[str, Callable[[Score], str]], ...] = (
    ("right zone", lambda s: _percent(s.right_zone_share)),
    ("presence precision", lambda s: _percent(s.settled_presence.precision, 2)),
    ("presence recall", lambda s: _percent(s.settled_presence.recall, 2)),
    ("calibration error", lambda s: "-" if s.calibration is None else f"{s.calibration.error:.3f}"),
    ("false/item-h", lambda s: _rate(s.false_moves_per_item_hour)),
    ("found", lambda s: _percent(None if s.moves.missed_share is None else 1.0 - s.moves.missed_share)),
    ("delay", lambda s: _seconds(s.moves.delay_s_median)),
    ("p95", lambda s: _seconds(s.moves.delay_s_p95)),
)


def score_table(found: Comparison) -> Table:
    """Return a row an estimator: over all items, then over those that the observer followed."""
    stock = found.stock
    held = f", on-hand interval holds {stock.held_share:.1%} of {stock.rows}" if stock else ""
    table = Table(
        title=f"{found.label}: {found.about}\n{found.items} items, {found.reads:,} reads, {found.item_hours:.0f} "
        f"item-hours, {found.moves} moves to find{held}",
        title_justify="left",
        caption="presence: 5 minutes after arrivals and departures left out",
    )
    table.add_column("")
    for name, _ in _MEASURES:
        table.add_column(name, justify="right")
    for row in found.scores:
        table.add_row(row.name, *(measure(row) for _, measure in _MEASURES))
    if found.sampled:
        table.add_section()
        error = "" if found.sampled_error is None else f", ours less ideal +- {100 * found.sampled_error:.1f} points"
        table.add_row(f"{found.sample} items{error}")
        for row in found.sampled:
            table.add_row(row.name, *(measure(row) for _, measure in _MEASURES))
    return table


def tradeoff_table(found: Comparison) -> Table:
    """Return, for each estimator and rate of false moves, the best that any of its settings makes of it."""
    table = Table(title=f"{found.label}: moves found at most so many false ones per item-hour", title_justify="left")
    table.add_column("")
    for band in BANDS:
        table.add_column(f"<= {band:g}", justify="right")
    for name in dict.fromkeys(point.estimator for point in found.points):
        table.add_row(name, *(_cell(best_point(found.points, name, band)) for band in BANDS))
    return table


def best_point(points: Sequence[Point], estimator: str, false_max: float) -> Point | None:
    """Return the setting that finds most moves within a rate of false ones; of equals, the quickest."""
    within = [point for point in points if point.estimator == estimator and point.false_per_item_hour <= false_max]
    return max(within, key=lambda point: (point.found_share, -(point.delay_s_median or 0.0)), default=None)


def summary_table(done: Sequence[Comparison]) -> Table:
    """Return a row a scenario: what the targets are about."""
    table = Table(title="summary", title_justify="left")
    for column in (
        "scenario",
        "ours",
        "best baseline",
        "ours*",
        "ideal*",
        "told*",
        "+-",
        "false/item-h",
        f"found at {FALSE_MAX}",
        "delay",
        "best baseline",
        "ideal*",
        "presence",
        "calibr.",
        "on hand",
    ):
        table.add_column(column, justify="left" if column == "scenario" else "right", no_wrap=column == "scenario")
    for found in done:
        table.add_row(*_summary(found))
    return table


def _summary(found: Comparison) -> list[str]:
    ours, baselines = found.scores[0], found.scores[2:]
    sampled = {score.name: score for score in found.sampled}
    families = [name for name in dict.fromkeys(p.estimator for p in found.points) if name not in {OURS, IDEAL, TOLD}]
    rivals = [best for name in families if (best := best_point(found.points, name, FALSE_MAX))]
    mine = best_point(found.points, OURS, FALSE_MAX)
    presence = ours.settled_presence
    return [
        found.label,
        _percent(ours.right_zone_share),
        _percent(max((s.right_zone_share or 0.0) for s in baselines)),
        *(_percent(sampled[name].right_zone_share) if name in sampled else "-" for name in (OURS, IDEAL, TOLD)),
        "-" if found.sampled_error is None else f"{100 * found.sampled_error:.1f}",
        _rate(ours.false_moves_per_item_hour),
        "-" if mine is None else _percent(mine.found_share, 0),
        "-" if mine is None else f"{_seconds(mine.delay_s_median)} / {_seconds(mine.delay_s_p95)}",
        _cell(max(rivals, key=lambda point: point.found_share, default=None)),
        _cell(best_point(found.points, IDEAL, FALSE_MAX)),
        f"{_percent(presence.precision)} / {_percent(presence.recall)}",
        "-" if ours.calibration is None else f"{ours.calibration.error:.3f}",
        "-" if found.stock is None else _percent(found.stock.held_share),
    ]


def _cell(point: Point | None) -> str:
    if point is None:
        return "-"
    return f"{100 * point.found_share:.0f} %, {_seconds(point.delay_s_median)}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
