"""What the misses of on-hand intervals are due to: each part of the sum beside what it stands for.

The true units of a GTIN are sorted by what the inventory step knows of each; that gives for each part of an estimate
what it should have been. Where an interval lies above or below the truth, the parts that err to that side share the
miss in proportion to their errors.
"""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from analytics.evaluation.stock import read_true_stock
from analytics.steps.identity import identify
from analytics.steps.inventory import InventoryStep
from analytics.steps.inventory_beliefs import Beliefs, Parts
from analytics.steps.inventory_state import InventoryState
from devices.site.file import load_site
from tests.bench.stock_instants import INSTANT_US
from tests.bench.stock_replay import quarters

SILENT, LEAVING, SOLD, UNREAD, TO_COME, INSTANT = CAUSES = (
    "silent items",
    "departures not noticed",
    "sold, not out yet",
    "never read, not found yet",
    "deliveries not heard",
    "deliveries that just came",
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A true unit."""

    key: str
    readable: bool
    stays: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Row:
    """An estimate, and by how much each part of it errs."""

    miss: int
    """1 where the interval lies above the truth, -1 below, 0 where it holds it."""
    errors: Mapping[str, float]


def print_causes(days: Sequence[tuple[str, Path, Mapping[str, pa.Table]]]) -> None:
    """Print for each day how many rows hold, the bias of each part, and its share of the misses."""
    print("| day | held | " + " | ".join(CAUSES) + " |\n|---|---|" + "---|" * len(CAUSES))
    every: list[_Row] = []
    for name, day, tables in days:
        rows = list(_rows(day, tables))
        every += rows
        print(_line(name, rows))
    print(_line("**together**", every))


def _line(name: str, rows: Sequence[_Row]) -> str:
    misses = [row for row in rows if row.miss]
    shares: dict[str, float] = defaultdict(float)
    for row in misses:
        to_side = {cause: max(0.0, row.miss * error) for cause, error in row.errors.items()}
        total = math.fsum(to_side.values()) or 1.0
        for cause, error in to_side.items():
            shares[cause] += error / total / len(misses)
    biases = {cause: math.fsum(row.errors[cause] for row in rows) / len(rows) for cause in CAUSES}
    cells = [f"{shares[cause]:.0%} ({biases[cause]:+.2f})" for cause in CAUSES]
    return f"| {name} | {1 - len(misses) / len(rows):.1%} | " + " | ".join(cells) + " |"


def _rows(day: Path, tables: Mapping[str, pa.Table]) -> Iterator[_Row]:
    site, units = load_site(day / "site.toml"), _true_units(day)
    truth = read_true_stock(day / "truth_stock.csv")
    columns = [truth[name].to_pylist() for name in ("gtin", "at_us", "on_site")]
    true = {(gtin, at_us): count for gtin, at_us, count in zip(*columns, strict=True)}
    opened_us = min(columns[1])
    step = InventoryStep()
    state = step.initial(site)
    for at_us, arrived in quarters(site.id, tables):
        state, outputs = step.step(state, arrived, site)
        rows = outputs["inventory"].to_pylist() if "inventory" in outputs else []
        beliefs = Beliefs(state, site, at_us)
        for row in rows:
            key = (row["gtin"], at_us)
            if row["zone"] is None and row["accuracy"] is not None and key in true:
                miss = (row["on_hand_low"] > true[key]) - (row["on_hand_high"] < true[key])
                gtin = row["gtin"]
                causes = Counter(_cause(state, gtin, unit, at_us, opened_us) for unit in units[gtin])
                yield _Row(miss, _errors(beliefs.parts(gtin), causes))


def _errors(parts: Parts, true: Mapping[str | None, int]) -> dict[str, float]:
    """Return by how much each part errs, given the true units that each stands for."""
    return {
        SILENT: math.fsum(parts.silent) - true[SILENT],
        LEAVING: true[LEAVING] - math.fsum(parts.leaving),
        SOLD: -float(true[SOLD]),
        UNREAD: _mean(parts.unread) - true[UNREAD],
        TO_COME: math.fsum(map(_mean, parts.to_come)) - true[TO_COME],
        INSTANT: -float(true[INSTANT]),
    }


def _cause(state: InventoryState, gtin: str, unit: _Unit, at_us: int, opened_us: int) -> str | None:
    """Return which part of an estimate stands for a unit; `None` where nothing has to."""
    here = any(from_us <= at_us < until_us for from_us, until_us in unit.stays)
    located = unit.key in state.items and unit.key not in state.sold
    if located or not here:
        return LEAVING if located and not here else None
    if unit.key in state.sold:
        return SOLD
    if unit.key in state.hidden.get(gtin, {}) or unit.key in state.explained:
        return SILENT
    came_us = unit.stays[0][0]
    if came_us <= opened_us + 1_000_000:
        return UNREAD
    return INSTANT if unit.readable and at_us - came_us <= INSTANT_US else TO_COME


def _mean(mass: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.arange(len(mass)) @ mass)


def _true_units(day: Path) -> Mapping[str, list[_Unit]]:
    """Return the units of each GTIN."""
    stays: dict[tuple[str, bool, str], list[tuple[int, int]]] = defaultdict(list)
    for name, key in (("truth.csv", "epc_hex"), ("truth_untagged.csv", "item")):
        with (day / name).open(newline="") as stream:
            for row in csv.DictReader(stream):
                if row["zone"]:
                    gtin = row.get("gtin") or identify(row[key])[1] or ""
                    stays[gtin, name == "truth.csv", row[key]].append((int(row["from_us"]), int(row["until_us"])))
    found: dict[str, list[_Unit]] = defaultdict(list)
    for (gtin, readable, key), of_unit in stays.items():
        found[gtin].append(_Unit(key, readable, of_unit))
    return found
