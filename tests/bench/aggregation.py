"""`python -m tests.bench.aggregation`: what is in which carton, as `aggregations` says it and as it is.

Days of the scenario `cartons`, simulated once and kept: seeds 101 to 119 are for tuning, 201 to 219 for judging.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from analytics.evaluation.aggregations import AggregationScore, compare_aggregations, read_true_aggregations
from analytics.evaluation.day import AGGREGATIONS
from analytics.evaluation.run import run_jobs
from simulators.config import DayConfig, preset
from tests.bench.stores import DEFAULT_FOLDER, day_folder, open_store


def main() -> None:
    """Print a line a day."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.aggregation", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="*", default=[201, 202, 203])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where days are kept")
    options = parser.parse_args()
    for seed in options.seed:
        score, rows = measure(preset("cartons", seed=seed, hours=options.hours), options.folder)
        shown = ", ".join(f"{name} {_short(value)}" for name, value in asdict(score).items())
        print(f"seed {seed}: {rows} rows; {shown}")


def measure(config: DayConfig, folder: Path) -> tuple[AggregationScore, int]:
    """Run a day; return its score and how many rows of `aggregations` there were."""
    store = open_store(config, folder)
    rows = run_jobs(store.site, store.chunks, ("aggregations",)).tables["aggregations"]
    truth = read_true_aggregations(day_folder(config, folder) / AGGREGATIONS)
    return compare_aggregations(rows, truth, store.truth), rows.num_rows


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
