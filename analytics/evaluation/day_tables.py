"""What is scored beside location, as tables for a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from analytics.evaluation.aggregations import AggregationScore
from analytics.evaluation.confidence import ConfidenceBin
from analytics.evaluation.counts import CountScore
from analytics.evaluation.day import DayReport
from analytics.evaluation.passages import NOTHING, PassageScore
from analytics.evaluation.stock import StockScore
from analytics.evaluation.tables import number, percent, seconds

_STOCK_COLUMNS = ("rows", "held", "above", "below", "bias", "|error|", "width", "accuracy", "true accuracy")


def day_tables(report: DayReport, *, detail: bool = False) -> Iterator[Table]:
    """Yield the tables of everything but location that was scored.

    Args:
        report: What was scored.
        detail: Whether stated probabilities are laid beside what was right, too.
    """
    if report.passages:
        yield passage_table(report.passages)
        if detail:
            yield confidence_table("passages: confidence, and how often right", report.passages.bins)
    if report.aggregations:
        yield aggregation_table(report.aggregations)
    if report.counts:
        yield count_table(report.counts)
        yield confidence_table("not heard: said to be gone, and gone", report.counts.missing)
    if report.stock:
        yield stock_table([(report.site, report.stock)])


def passage_table(score: PassageScore) -> Table:
    """Return a row a direction: what was said of passages that truly did that."""
    delay = f"known {seconds(score.delay_s_median)} after the last read (median), {seconds(score.delay_s_p95)} (p95)"
    directions = sorted({one.direction for one in score.said})
    said = [*sorted({one.said for one in score.said} - {NOTHING}), NOTHING]
    table = Table(
        title=f"passages at gates: {score.true} truly, {score.told} told ({percent(score.told_share)}), "
        f"{percent(score.right_share)} of them right; {score.rows} rows, {score.pieces} of them further pieces, "
        f"{score.unfounded} unfounded;\n"
        f"{delay}; calibration error {number(score.calibration_error, 3)}",
        title_justify="left",
    )
    table.add_column("what they did")
    for name in ("told", "right", *(f"said {name}" for name in said)):
        table.add_column(name, justify="right")
    count = {(one.direction, one.said): one.count for one in score.said}
    for direction in directions:
        right, told = score.of(direction)
        cells = [str(count.get((direction, name), "-")) for name in said]
        table.add_row(direction, str(told), percent(right / told if told else None), *cells)
    return table


def aggregation_table(score: AggregationScore) -> Table:
    """Return a row a measure."""
    table = Table(
        title=f"what is in what: {score.true_pairs} pairs truly, {score.movable_pairs} of them moved together, "
        f"{score.said_pairs} said",
        title_justify="left",
    )
    table.add_column("measure")
    table.add_column("as said", justify="right")
    table.add_column("in hindsight", justify="right")
    in_hindsight = (score.precision_in_hindsight, score.recall_after_move_in_hindsight)
    for name, now, then in (
        ("precision, of pair-time", percent(score.precision), percent(in_hindsight[0])),
        ("recall after the first move", percent(score.recall_after_move), percent(in_hindsight[1])),
        ("recall", percent(score.recall), "-"),
        ("found, of pairs that moved", percent(score.found_share), "-"),
        ("delay of an end, median", seconds(score.end_delay_s_median), "-"),
        ("delay of an end, p95", seconds(score.end_delay_s_p95), "-"),
        ("Brier score of confidence", number(score.brier, 3), "-"),
    ):
        table.add_row(name, now, then)
    return table


def count_table(score: CountScore) -> Table:
    """Return a row a pass."""
    table = Table(
        title=f"counting passes: {percent(score.held_share)} of the totals' intervals hold the truth",
        title_justify="left",
    )
    columns = ("pass", "heard", "recall", "true recall", "total", "there", "one more adds", "and added")
    for column in columns:
        table.add_column(column, justify="left" if column == "pass" else "right")
    for one in score.passes:
        table.add_row(
            one.name,
            str(one.heard),
            percent(one.recall),
            percent(one.true_recall),
            f"{one.estimate:.1f} ({one.estimate_low:.0f} to {one.estimate_high:.0f})",
            str(one.there),
            number(one.further, 1),
            "-" if one.further_true is None else str(one.further_true),
        )
    return table


def confidence_table(title: str, bins: Iterable[ConfidenceBin]) -> Table:
    """Return a row a bin: the mean of what was said, and how often it was right."""
    table = Table(title=title, title_justify="left")
    for column in ("said", "how many", "mean", "true"):
        table.add_column(column, justify="right")
    for one in bins:
        table.add_row(f"{one.low:g} to {one.high:g}", str(one.count), f"{one.said_mean:.3f}", f"{one.right_share:.3f}")
    return table


def stock_table(days: Sequence[tuple[str, StockScore | None]]) -> Table:
    """Return a row a day, and one for all where there are several."""
    table = Table(title="on-hand estimates beside the truth; units per GTIN", title_justify="left")
    table.add_column("day")
    for column in _STOCK_COLUMNS:
        table.add_column(column, justify="right")
    for name, score in days:
        table.add_row(name, *(_stock_cells(score) if score is not None else ["-"] * len(_STOCK_COLUMNS)))
    known = [score for _, score in days if score is not None]
    if len(days) > 1 and known:
        rows = sum(score.rows for score in known)
        table.add_row("together", str(rows), percent(sum(score.held_share * score.rows for score in known) / rows))
    return table


def _stock_cells(score: StockScore) -> list[str]:
    shares = [percent(share) for share in (score.held_share, score.above_share, score.below_share)]
    units = [f"{score.bias_units:+.2f}", f"{score.error_units:.2f}", f"{score.width_units:.2f}"]
    return [str(score.rows), *shares, *units, percent(score.estimated_accuracy), percent(score.true_accuracy)]
