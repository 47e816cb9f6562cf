"""Simulated counting passes beside their truth: `python -m tests.bench.counting [--seed 120]`.

The demo's store, two hours and three quarters, with three passes of a handheld while shoppers and staff go on. Printed:
recall of each pass, said and true; the total that can be heard, with its interval; what a further pass would add, and
what the next one added; and how often items that were said to be gone with some probability were.
"""

import argparse
import csv
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from analytics.counting.tally import COVERED_SHARE
from analytics.steps.counts import CountsStep
from analytics.steps.location import LocationStep
from simulators.config import preset
from simulators.output import write_day
from tests.bench.stock_days import DEFAULT_FOLDER
from tests.bench.stores import derive, fingerprint

TABLES = ("counts", "counted")
Row = dict[str, Any]
PROBABILITY_BINS = (0.0, 0.05, 0.3, 0.7, 0.9, 0.97, 1.0)


@dataclass(frozen=True, slots=True)
class Stay:
    """An item on site."""

    zone: str
    from_us: int
    until_us: int


def main() -> None:
    """Simulate, count, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counting", description=__doc__)
    parser.add_argument("--seed", type=int, default=120)
    parser.add_argument("--hours", type=float, default=2.75)
    options = parser.parse_args()
    config = preset("counting", seed=options.seed, hours=options.hours)
    day = DEFAULT_FOLDER / f"counts-{config.seed}-{fingerprint(config)}"
    if not (day / "counted.parquet").exists():
        if not (day / "README.md").exists():
            write_day(config, day, compress=True)
        for name, table in derive(day, [LocationStep(), CountsStep()], TABLES).items():
            pq.write_table(table, day / f"{name}.parquet")
    there = _truth(day / "truth.csv")
    counts, counted = (pq.read_table(day / f"{name}.parquet").to_pylist() for name in TABLES)
    _print_passes([row for row in counts if row["gtin"] is None], counted, there)
    _print_missing(counted, there)


def _truth(path: Path) -> Mapping[str, list[Stay]]:
    found: dict[str, list[Stay]] = {}
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["zone"]:
                found.setdefault(row["epc_hex"], []).append(
                    Stay(row["zone"], int(row["from_us"]), int(row["until_us"]))
                )
    return found


def _there(stays: list[Stay], at_us: int) -> str | None:
    """Return the zone of an item on site."""
    return next((stay.zone for stay in stays if stay.from_us <= at_us < stay.until_us), None)


def _walked(zones: Mapping[str, str | None], heard: set[str]) -> set[str]:
    """Return the items in zones where a pass has truly been."""
    there = Counter(zone for zone in zones.values() if zone)
    found = Counter(zone for epc, zone in zones.items() if zone and epc in heard)
    return {epc for epc, zone in zones.items() if zone and found[zone] >= COVERED_SHARE * there[zone]}


def _print_passes(counts: list[Row], counted: list[Row], there: Mapping[str, list[Stay]]) -> None:
    print(f"{'pass':>16} {'heard':>6} {'recall':>7} {'true':>6} {'there':>24} {'true':>6} {'further':>8} {'new':>5}")
    before: set[str] = set()
    for row in counts:
        at_us = _us(row["until_time"])
        heard = {one["epc_hex"] for one in counted if one["pass"] == row["pass"] and one["heard"]}
        readable = _walked({epc: _there(stays, at_us) for epc, stays in there.items()}, heard)
        recall = len(heard & readable) / len(readable)
        interval = f"{row['estimate']:.1f} ({row['estimate_low']:.0f} to {row['estimate_high']:.0f})"
        new = len(heard - before) if before else 0
        before |= heard
        print(
            f"{row['pass']:>16} {len(heard):6} {row['recall']:7.1%} {recall:6.1%} {interval:>24} {len(readable):6} "
            f"{row['further_quantity']:8.1f} {new:5}"
        )


def _print_missing(counted: list[Row], there: Mapping[str, list[Stay]]) -> None:
    print("\nexpected and not heard: said to be gone, and gone")
    missing = [row for row in counted if not row["heard"]]
    for low, high in itertools.pairwise(PROBABILITY_BINS):
        found = [row for row in missing if low <= row["missing_probability"] < high]
        if not found:
            continue
        said = sum(row["missing_probability"] for row in found) / len(found)
        gone = sum(not _there(there.get(row["epc_hex"], []), _us(row["as_of_time"])) for row in found) / len(found)
        print(f"{low:5.2f} to {high:4.2f}: {len(found):4} items, said {said:.2f}, gone {gone:.2f}")


def _us(time: datetime) -> int:
    return round(time.timestamp() * 1e6)


if __name__ == "__main__":
    main()
