"""Labelled passages: what somebody says happened at a gate, joined with the reads that the lake holds of it.

A label is a line of a CSV file with the columns `from_time`, `until_time`, `direction` and, where it is about one item
and not about everything at the gate in that time, `epc_hex`. Times without a zone are UTC. An export of the `passages`
table, its directions put right by hand, is such a file.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np

from analytics.gate.companions import BELONGS
from analytics.gate.direction import DIRECTIONS, Direction
from analytics.gate.models import judge, learn_model
from analytics.gate.passages import Passage, level_of_linear
from devices.errors import UsageError
from devices.site.gate_model import GateModelFile
from devices.site.gates import antenna_of
from devices.site.model import Gate
from devices.site.table import did_you_mean

LABELS_MAX = 100_000
"""Lines of a file; nobody labels more, and each is a query's row."""
FOLDS_MAX = 10
"""Parts that labels are dealt into to see how well the rest does on each."""
LOADS_ALONE = 3
"""Loads of each direction from which on a gate's model may begin with nothing instead of the shipped one."""
_COLUMNS = ("from_time", "until_time", "direction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What somebody says of a passage, or of a whole load."""

    line: int
    """Of the file."""
    from_us: int
    """First instant, microseconds since the epoch."""
    until_us: int
    """Last instant."""
    direction: Direction
    """What was done."""
    epc: str | None
    """The item; `None` for everything at the gate in that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPassage:
    """A passage with its label."""

    label: int
    """Number of the label, or of the first one that overlaps it in time: labels of one load are one experience."""
    passage: Passage
    """The reads."""
    direction: Direction
    """What was done."""


def read_labels(path: Path) -> list[Label]:
    """Read a file of labels.

    Raises:
        UsageError: The file cannot be read, or lines of it cannot; the message has all of the latter.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=_HINT) from error
    if not rows or any(name not in rows[0] for name in _COLUMNS):
        raise UsageError(f"{path} has no labels, or lacks one of the columns {', '.join(_COLUMNS)}", hint=_HINT)
    if len(rows) > LABELS_MAX:
        raise UsageError(f"{path} has {len(rows)} lines, {LABELS_MAX} are read", hint="train on a part of them")
    labels: list[Label] = []
    problems: list[str] = []
    for line, row in enumerate(rows, start=2):
        found = _label(line, row)
        if isinstance(found, Label):
            labels.append(found)
        else:
            problems.append(f"line {line}: {found}")
    if problems:
        more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise UsageError(f"{path}: " + "; ".join(problems[:20]) + more, hint=_HINT)
    return labels


_HINT = (
    "columns from_time, until_time, direction and perhaps epc_hex; begin with tagtide sql --format csv "
    '"SELECT from_time, until_time, direction, epc_hex FROM passages"'
)


def _label(line: int, row: dict[str, str]) -> Label | str:
    try:
        direction = Direction((row["direction"] or "").strip())
    except ValueError:
        known = [way.value for way in DIRECTIONS]
        hint = did_you_mean(row["direction"] or "", known) or f": use one of {', '.join(known)}"
        return f'unknown direction "{row["direction"]}"{hint}'
    try:
        begin, end = (_microseconds(row[name]) for name in ("from_time", "until_time"))
    except (ValueError, TypeError):
        return "from_time and until_time are times such as 2026-11-20T08:59:00Z"
    if end < begin:
        return "until_time is before from_time"
    epc = (row.get("epc_hex") or "").strip().upper()
    return Label(line=line, from_us=begin, until_us=end, direction=direction, epc=epc or None)


def _microseconds(text: str) -> int:
    time = datetime.fromisoformat(text.strip())
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1e6)


def passages_of(
    connection: duckdb.DuckDBPyConnection, site: str, gate: Gate, labels: Sequence[Label]
) -> list[LabelledPassage]:
    """Return the reads of labelled passages.

    Args:
        connection: The lake's, with its `reads`.
        site: Site identifier.
        gate: Whose antennas.
        labels: What is known.

    Returns:
        A passage for each label and item with reads there; labels without any are left out.
    """
    loads = _loads(labels)
    found = []
    for number, label in enumerate(labels):
        rows = _reads(connection, site, gate, label)
        for epc in sorted({row[0] for row in rows}):
            mine = [row for row in rows if row[0] == epc]
            passage = Passage(
                epc=epc,
                time_us=np.array([row[1] for row in mine], dtype=np.int64),
                side=np.array([row[2] for row in mine], dtype=np.int8),
                level_db=np.array([row[3] for row in mine], dtype=np.float64),
            )
            found.append(LabelledPassage(label=loads[number], passage=passage, direction=label.direction))
    return found


def _loads(labels: Sequence[Label]) -> list[int]:
    """Number labels so that those that overlap in time share a number."""
    numbers = [0] * len(labels)
    reach_us, current = -1, -1
    for place in sorted(range(len(labels)), key=lambda place: labels[place].from_us):
        if labels[place].from_us > reach_us:
            current = place
        reach_us = max(reach_us, labels[place].until_us)
        numbers[place] = current
    return numbers


def _reads(
    connection: duckdb.DuckDBPyConnection, site: str, gate: Gate, label: Label
) -> list[tuple[str, int, int, float]]:
    sides = {
        antenna: side
        for side, antennas in ((0, gate.outside), (1, gate.inside))
        for antenna in map(antenna_of, antennas)
        if antenna is not None
    }
    rows = connection.execute(
        """
        SELECT epc_hex, epoch_us(event_time), reader, antenna, rssi_dbm, rssi_linear
        FROM reads
        WHERE site = $site AND list_contains($readers, reader)
          AND event_time BETWEEN make_timestamptz($begin::BIGINT) AND make_timestamptz($end::BIGINT)
          AND ($epc::VARCHAR IS NULL OR epc_hex = $epc)
        ORDER BY event_time, edge_offset, edge_index
        """,
        {
            "site": site,
            "readers": sorted({reader for reader, _ in sides}),
            "begin": label.from_us,
            "end": label.until_us,
            "epc": label.epc,
        },
    ).fetchall()
    return [
        (epc, time_us, sides[reader, port], _level(dbm, linear))
        for epc, time_us, reader, port, dbm, linear in rows
        if (reader, port) in sides
    ]


def _level(dbm: float | None, linear: float | None) -> float:
    if dbm is not None:
        return dbm
    return float("nan") if linear is None else float(level_of_linear(np.array([linear]))[0])


def priors_of(labelled: Sequence[LabelledPassage], shipped: GateModelFile) -> dict[str, GateModelFile | None]:
    """Return what a model may begin with: the shipped one and, with enough labels of every direction, nothing."""
    loads = {direction: {one.label for one in labelled if one.direction is direction} for direction in DIRECTIONS}
    alone = all(len(found) >= LOADS_ALONE for found in loads.values())
    return {"sharpened": shipped, **({"own": None} if alone else {})}


def share_right(labelled: Sequence[LabelledPassage], *, name: str, shipped: GateModelFile) -> dict[str, float] | None:
    """Return the share of passages judged right by the shipped model and by ones learnt from labels of other loads.

    `None` where there are fewer than two loads.
    """
    loads = sorted({one.label for one in labelled})
    if len(loads) < 2:
        return None
    folds = min(FOLDS_MAX, len(loads))
    fold_of = {load: place % folds for place, load in enumerate(loads)}
    right = dict.fromkeys(["shipped", *priors_of(labelled, shipped)], 0)
    for fold in range(folds):
        others = [one for one in labelled if fold_of[one.label] != fold]
        passages, directions = [one.passage for one in others], [one.direction for one in others]
        learnt = {
            way: learn_model(passages, directions, name=name, made="", prior=prior)
            for way, prior in priors_of(labelled, shipped).items()
        }
        for load in (load for load in loads if fold_of[load] == fold):
            mine = [one for one in labelled if one.label == load]
            for way, model in {"shipped": shipped, **learnt}.items():
                right[way] += _right(mine, model, learnt["sharpened"])
    return {way: count / len(labelled) for way, count in right.items()}


def _right(mine: Sequence[LabelledPassage], model: GateModelFile, learnt: GateModelFile) -> int:
    """Count the passages of one load judged right; the gate's range of levels is that of the learnt model."""
    assert learnt.floor_db is not None
    assert learnt.ceiling_db is not None
    chances, _ = judge([one.passage for one in mine], model, (learnt.floor_db, learnt.ceiling_db), belongs=BELONGS)
    return sum(
        DIRECTIONS[best] is one.direction for best, one in zip(chances.argmax(axis=1).tolist(), mine, strict=True)
    )
