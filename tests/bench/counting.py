"""Simulated counting passes beside their truth: `python -m tests.bench.counting [--seed 120]`.

The demo's store, two hours and three quarters, with three passes of a handheld while shoppers and staff go on, scored
as `tagtide evaluate` does: recall of each pass, said and true; the total that can be heard, with its interval; what a
further pass would add, and what the next one added; and how often items that were said to be gone were.
"""

import argparse

import pyarrow.parquet as pq
from rich.console import Console

from analytics.evaluation.counts import compare_counts
from analytics.evaluation.day_tables import confidence_table, count_table
from analytics.steps.counts import CountsStep
from analytics.steps.location import LocationStep
from analytics.truth import read_truth
from simulators.config import preset
from simulators.output import write_day
from tests.bench.stock_days import DEFAULT_FOLDER
from tests.bench.stores import derive, fingerprint

TABLES = ("counts", "counted")


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
    counts, counted = (pq.read_table(day / f"{name}.parquet") for name in TABLES)
    score = compare_counts(counts, counted, read_truth(day / "truth.csv"))
    console = Console(width=120)
    console.print(count_table(score))
    console.print(confidence_table("expected and not heard: said to be gone, and gone", score.missing))


if __name__ == "__main__":
    main()
