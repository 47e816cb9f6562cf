"""How well the `aggregations` table says what is in what, beside the truth about it.

Said and true containments are intervals of a *pair*, a parent and a child. What is said of a pair at a time is what
somebody watching had been told by then: from the row's `as_of_time` on, until the row that closes it.

* precision: of all pair-time said, the share in which the child is in the parent;
* recall: of all true pair-time, the share in which it is said;
* recall after the first move: the same, counting a pair's time from the first true move of its parent to another zone
  on, before which nothing but lying side by side could tell;
* found: the share of true pairs that moved to another zone together at least once of which it was ever said;
* in hindsight: precision and recall after the first move of the finished table, by `from_time` and `until_time`;
* delay of an end: from the instant at which a child was taken out until it was told, over pairs that were said then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.truth import read_truth_file

TRUE_AGGREGATIONS = pa.schema(
    [
        pa.field("parent_epc_hex", pa.string(), nullable=False),
        pa.field("child_epc_hex", pa.string(), nullable=False),
        pa.field("from_us", pa.int64(), nullable=False),
        pa.field("until_us", pa.int64(), nullable=False),
    ]
)
"""Columns of a truth about containments."""

Pair = tuple[str, str]
Spans = dict[Pair, list[tuple[int, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregationScore:
    """Measures as in the module's docstring; `None` where there is nothing to measure."""

    true_pairs: int
    """Pairs that were true at some time."""
    movable_pairs: int
    """Those of them that moved to another zone together."""
    said_pairs: int
    """Pairs that were said at some time."""
    precision: float | None
    recall: float | None
    recall_after_move: float | None
    precision_in_hindsight: float | None
    recall_after_move_in_hindsight: float | None
    found_share: float | None
    end_delay_s_median: float | None
    end_delay_s_p95: float | None
    brier: float | None
    """Mean square of confidence minus truth, over the rows that open or restate a containment, at their time."""


def read_true_aggregations(path: Path | str) -> pa.Table:
    """Read `truth_aggregations.csv`, as the simulator writes it.

    Raises:
        TruthError: The file cannot be read or lacks a column.
    """
    return read_truth_file(path, TRUE_AGGREGATIONS, "containments")


def compare_aggregations(rows: pa.Table, truth: pa.Table, stays: pa.Table) -> AggregationScore:
    """Compare rows of `aggregations`, all revisions, with the truth.

    Args:
        rows: Rows of the table.
        truth: In `TRUE_AGGREGATIONS` form.
        stays: Where everything was, in `analytics.truth.TRUTH` form.
    """
    true = _merged(
        ((parent, child), from_us, until_us)
        for parent, child, from_us, until_us in zip(
            *(truth[name].to_pylist() for name in TRUE_AGGREGATIONS.names), strict=True
        )
    )
    end_us = max((until for spans in true.values() for _, until in spans), default=0)
    said = _said(rows, end_us)
    entries = _entries(stays)
    moved_us = {pair: _first_move(entries.get(pair[0], []), spans) for pair, spans in true.items()}
    after = {pair: _clipped(spans, moved_us[pair]) for pair, spans in true.items() if moved_us[pair] is not None}
    both, both_after = _overlap(said, true), _overlap(said, after)
    table = _in_hindsight(rows, end_us)
    delays = [delay for pair, spans in true.items() for delay in _end_delays(spans, said.get(pair, []), end_us)]
    return AggregationScore(
        true_pairs=len(true),
        movable_pairs=len(after),
        said_pairs=len(said),
        precision=_share(both, _length(said)),
        recall=_share(both, _length(true)),
        recall_after_move=_share(both_after, _length(after)),
        precision_in_hindsight=_share(_overlap(table, true), _length(table)),
        recall_after_move_in_hindsight=_share(_overlap(table, after), _length(after)),
        found_share=_share(sum(_overlap({p: said.get(p, [])}, {p: after[p]}) > 0 for p in after), len(after)),
        end_delay_s_median=float(np.median(delays)) if delays else None,
        end_delay_s_p95=float(np.percentile(delays, 95)) if delays else None,
        brier=_brier(rows, true),
    )


def _merged(spans: Iterable[tuple[Pair, int, int]]) -> Spans:
    found: Spans = {}
    for pair, from_us, until_us in spans:
        if until_us > from_us:
            found.setdefault(pair, []).append((from_us, until_us))
    return found


def _said(rows: pa.Table, end_us: int) -> Spans:
    """Return when each pair was said to be one, by somebody watching."""
    began: dict[Pair, int] = {}
    spans: list[tuple[Pair, int, int]] = []
    for row in rows.select(["parent_epc_hex", "child_epc_hex", "as_of_time", "until_time"]).to_pylist():
        pair, at_us = (row["parent_epc_hex"], row["child_epc_hex"]), _us(row["as_of_time"])
        if row["until_time"] is None:
            began.setdefault(pair, at_us)
        elif pair in began:
            spans.append((pair, began.pop(pair), at_us))
    spans += [(pair, from_us, end_us) for pair, from_us in began.items()]
    return _merged((pair, from_us, min(until_us, end_us)) for pair, from_us, until_us in spans)


def _in_hindsight(rows: pa.Table, end_us: int) -> Spans:
    """Return when each pair was one by the finished table: the last revision of each row."""
    last: dict[tuple[Pair, int], int] = {}
    for row in rows.select(["parent_epc_hex", "child_epc_hex", "from_time", "until_time"]).to_pylist():
        key = (row["parent_epc_hex"], row["child_epc_hex"]), _us(row["from_time"])
        last[key] = end_us if row["until_time"] is None else _us(row["until_time"])
    return _merged((pair, from_us, until_us) for (pair, from_us), until_us in last.items())


def _us(time: object) -> int:
    return int(pa.scalar(time, pa.timestamp("us", "UTC")).value)


def _entries(stays: pa.Table) -> dict[str, list[int]]:
    """Return when each item came from one zone of the site into another."""
    ordered = stays.sort_by([("epc_hex", "ascending"), ("from_us", "ascending")])
    columns = [ordered[name].to_pylist() for name in ("epc_hex", "zone", "from_us")]
    found: dict[str, list[int]] = {}
    before = ("", "")
    for epc, zone, from_us in zip(*columns, strict=True):
        if before[0] == epc and zone and before[1] and zone != before[1]:
            found.setdefault(epc, []).append(from_us)
        before = (epc, zone)
    return found


def _first_move(entries: list[int], spans: list[tuple[int, int]]) -> int | None:
    return next((at_us for at_us in entries if any(start < at_us < end for start, end in spans)), None)


def _clipped(spans: list[tuple[int, int]], from_us: int | None) -> list[tuple[int, int]]:
    return [(max(start, from_us or 0), end) for start, end in spans if end > (from_us or 0)]


def _overlap(one: Mapping[Pair, list[tuple[int, int]]], other: Mapping[Pair, list[tuple[int, int]]]) -> int:
    return sum(
        max(0, min(end, until) - max(start, since))
        for pair, spans in one.items()
        for start, end in spans
        for since, until in other.get(pair, [])
    )


def _length(spans: Spans) -> int:
    return sum(end - start for each in spans.values() for start, end in each)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _end_delays(true: list[tuple[int, int]], said: list[tuple[int, int]], end_us: int) -> list[float]:
    """Return how long after its true end, in seconds, each containment that was said then went on being said."""
    ends = [until for _, until in true if until < end_us]
    return [(until - end) / 1e6 for end in ends for since, until in said if since <= end < until]


def _brier(rows: pa.Table, true: Spans) -> float | None:
    opened = rows.filter(pc.is_null(rows["until_time"]))
    errors = [
        (
            row["confidence"]
            - _holds(true.get((row["parent_epc_hex"], row["child_epc_hex"]), []), _us(row["as_of_time"]))
        )
        ** 2
        for row in opened.select(["parent_epc_hex", "child_epc_hex", "as_of_time", "confidence"]).to_pylist()
    ]
    return float(np.mean(errors)) if errors else None


def _holds(spans: list[tuple[int, int]], at_us: int) -> float:
    return float(any(start <= at_us < end for start, end in spans))
