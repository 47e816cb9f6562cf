"""Reports as tables for a terminal."""

from collections.abc import Callable

from rich.table import Table

from analytics.evaluation.compare import Report, Score

_MEASURES: tuple[tuple[str, Callable[[Score], str]], ...] = (
    ("right zone, of on-site time", lambda s: percent(s.right_zone_share)),
    ("false moves per item-hour", lambda s: number(s.false_moves_per_item_hour, 3)),
    ("missed moves", lambda s: percent(s.moves.missed_share)),
    ("delay of found moves, median", lambda s: seconds(s.moves.delay_s_median)),
    ("delay of found moves, p95", lambda s: seconds(s.moves.delay_s_p95)),
    ("presence precision", lambda s: percent(s.presence.precision)),
    ("presence recall", lambda s: percent(s.presence.recall)),
    ("  settled precision", lambda s: percent(s.settled_presence.precision)),
    ("  settled recall", lambda s: percent(s.settled_presence.recall)),
    ("calibration error", lambda s: number(s.calibration.error if s.calibration else None, 3)),
    ("run time", lambda s: seconds(s.duration_s)),
)


def score_table(report: Report) -> Table:
    """Return the comparison: a row a measure, a column an estimator."""
    table = Table(
        title=f"{report.site}: {report.items} items ({report.items_read} read), {report.reads} reads, "
        f"{report.on_site_item_hours:.0f} item-hours on site, {report.scores[0].moves.true} moves to find",
        title_justify="left",
    )
    table.add_column("measure", overflow="fold")
    for score in report.scores:
        table.add_column(score.name, justify="right", overflow="fold")
    for name, measure in _MEASURES:
        table.add_row(name, *(measure(score) for score in report.scores))
    return table


def confusion_table(report: Report, name: str) -> Table:
    """Return item-hours of an estimator by true zone (rows) and estimated zone (columns)."""
    score = report.score(name)
    table = Table(title=f"{name}: item-hours by true zone (rows) and estimated zone", title_justify="left")
    shown = [code for code, row in enumerate(score.confusion_item_hours) if any(row) or _said(score, code)]
    table.add_column("truth")
    for code in shown:
        table.add_column(report.zones[code], justify="right")
    for code in shown:
        row = score.confusion_item_hours[code]
        table.add_row(report.zones[code], *(f"{row[other]:.1f}" if row[other] else "-" for other in shown))
    return table


def sensitivity_table(report: Report) -> Table:
    """Return what turning `move_sensitivity` would do: a row a setting."""
    table = Table(title=f"{report.site}: what move_sensitivity trades", title_justify="left")
    columns: tuple[tuple[str, Callable[[Score], str]], ...] = (
        ("false moves per item-hour", lambda s: number(s.false_moves_per_item_hour, 3)),
        ("moves found", lambda s: percent(None if s.moves.missed_share is None else 1.0 - s.moves.missed_share)),
        ("delay, median", lambda s: seconds(s.moves.delay_s_median)),
        ("p95", lambda s: seconds(s.moves.delay_s_p95)),
        ("right zone", lambda s: percent(s.right_zone_share)),
    )
    for name in ("move_sensitivity", *(name for name, _ in columns)):
        table.add_column(name, justify="right")
    for value, score in report.turned:
        table.add_row(f"{value:g}", *(measure(score) for _, measure in columns))
    return table


def reliability_table(report: Report, name: str) -> Table | None:
    """Return stated confidence beside how often it was right; `None` where none is stated."""
    calibration = report.score(name).calibration
    if calibration is None:
        return None
    table = Table(title=f"{name}: is a confidence of 0.9 right nine times in ten?", title_justify="left")
    for column in ("confidence", "item-hours", "mean confidence", "right"):
        table.add_column(column, justify="right")
    for row in calibration.bins:
        if row.item_hours:
            table.add_row(
                f"{row.confidence_low:.1f} to {row.confidence_high:.1f}",
                f"{row.item_hours:.1f}",
                number(row.confidence_mean, 3),
                number(row.right_share, 3),
            )
    return table


def _said(score: Score, code: int) -> bool:
    return any(row[code] for row in score.confusion_item_hours)


def percent(value: float | None) -> str:
    """Return a share as people read it; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def number(value: float | None, digits: int) -> str:
    """Return a number with so many digits; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """Return seconds; a dash where there are none."""
    return "-" if value is None else f"{value:.1f} s"
