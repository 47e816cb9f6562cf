"""`python -m tests.bench.accuracy.precision`: does the ideal observer get better if it works things out more exactly?

The same items of one tuning scenario, followed with larger and smaller cells, fewer and more hypotheses. Where the last
rows agree with the one that the bench uses, that one is exact enough.
"""

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analytics.evaluation import Frame, Timeline, score
from analytics.evaluation.run import run_jobs
from simulators.observer import Precision, observe
from simulators.scenarios import SCENARIOS, ScenarioSet
from tests.bench.accuracy.compare import draw_items, truth_of
from tests.bench.accuracy.estimators import observed_stays
from tests.bench.stores import DEFAULT_FOLDER, open_store

WAYS = {
    "2.5 m cells": Precision(cell_m=2.5),
    "as in the bench": Precision(),
    "1 m cells": Precision(cell_m=1.0),
    "twice the hypotheses": Precision(slots=16, pruned=1e-7),
    "misses twice as often": Precision(miss_every_s=7),
}
"""Precisions by name."""


def main() -> None:
    """Follow the same items in every way and print what comes out."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accuracy.precision", description=__doc__)
    parser.add_argument("--scenario", default="store-24", help="of the tuning set")
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--hours", type=float, default=1 / 3)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    options = parser.parse_args()
    config = dataclasses.replace(
        SCENARIOS[ScenarioSet.TUNING][options.scenario].config, hours=options.hours
    )  # fmt: skip
    store = open_store(config, options.folder)
    reads = run_jobs(store.site, store.chunks).reads
    whole = Frame.of(store.site, store.truth)
    epcs = draw_items(whole.items.to_pylist(), options.items)
    own = truth_of(store.truth, epcs)
    truth = Timeline.of(Frame.of(store.site, own, start_us=whole.start_us, end_us=whole.end_us), own)
    table = Table(title=f"tuning/{options.scenario}: {len(epcs)} items", title_justify="left")
    for column in ("", "right zone", "told the site", "calibration error"):
        table.add_column(column, justify="right")
    for name, precision in WAYS.items():
        blind, told = (
            score(name, truth, observed_stays(observe(config, reads, epcs, told=told, precision=precision)))
            for told in (False, True)
        )
        error = "-" if blind.calibration is None else f"{blind.calibration.error:.3f}"
        table.add_row(name, *(f"{100 * (one.right_zone_share or 0.0):.2f} %" for one in (blind, told)), error)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
