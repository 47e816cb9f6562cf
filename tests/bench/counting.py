"""Simulated counting passes beside their truth: `python -m tests.bench.counting --set tuning` (or `judging`).

Stores of `tests.bench.count_days`, in which a handheld counts while shoppers and staff go on, scored as `tagtide
evaluate` does: recall of each pass, said and true; the total that can be heard, with its interval; what a further pass
would add, and what the next one added; and, over all of them, how often intervals hold and how often items that were
said to be gone were. The first run simulates; from then on only the counts step is run.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from analytics.evaluation.confidence import confidence_bins
from analytics.evaluation.counts import GONE_EDGES, CountScore, PassScore, compare_counts, gone_items
from analytics.evaluation.day_tables import confidence_table
from analytics.schemas import COUNTED, COUNTS
from analytics.step import Arrived
from analytics.steps.counts import CountsStep
from analytics.truth import read_truth
from devices.site import load_site
from devices.site.model import Site
from simulators.config import DayConfig
from tests.bench.count_days import DEFAULT_FOLDER, SETS, open_day


def main() -> None:
    """Simulate, count, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counting", description=__doc__)
    parser.add_argument("--set", choices=sorted(SETS), default="tuning")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where simulated days are kept")
    options = parser.parse_args()
    scores: list[tuple[str, CountScore]] = []
    gone: list[tuple[float, bool]] = []
    for name, config in SETS[options.set].items():
        score, items = score_of_day(config, options.folder)
        scores.append((name, score))
        gone += items
    console = Console(width=150)
    console.print(_passes_table(scores))
    console.print(_told_together([one for _, score in scores for one in score.passes]))
    console.print(
        confidence_table("expected and not heard: said to be gone, and gone", confidence_bins(gone, GONE_EDGES))
    )


def score_of_day(config: DayConfig, folder: Path) -> tuple[CountScore, list[tuple[float, bool]]]:
    """Return how well the passes of a day were told, and each probability of being gone beside whether it was."""
    day, tables = open_day(config, folder)
    counts, counted = run_again(load_site(day / "site.toml"), tables)
    truth = read_truth(day / "truth.csv")
    return compare_counts(counts, counted, truth), gone_items(counted, truth)


def run_again(site: Site, tables: Mapping[str, pa.Table]) -> tuple[pa.Table, pa.Table]:
    """Return the rows of the counts step over a day's inputs, taken as one chunk."""
    effective = {name: tables[name]["effective_us"].to_numpy() for name in ("reads", "business_events")}
    batches = {name: tables[name].drop_columns(["effective_us"]).combine_chunks().to_batches() for name in effective}
    told_us = tables["locations"]["as_of_time"].cast(pa.int64()).to_numpy()
    arrived = Arrived(
        site=site.id,
        edge_id="again",
        batches={name: parts[0] for name, parts in batches.items() if parts},
        effective_us=effective,
        watermark_us=int(max(np.max(times, initial=0) for times in (*effective.values(), told_us))),
        previous_watermark_us=0,
        derived={"locations": tables["locations"]},
    )
    step = CountsStep()
    _, outputs = step.step(step.initial(site), arrived, site)
    return outputs.get("counts", COUNTS.empty_table()), outputs.get("counted", COUNTED.empty_table())


def _passes_table(scores: Sequence[tuple[str, CountScore]]) -> Table:
    table = Table(title="counting passes")
    for name in ("day", "pass", "heard", "recall", "true", "there", "said", "interval", "held", "further", "added"):
        table.add_column(name, justify="left" if name == "day" else "right")
    for day, score in scores:
        for number, one in enumerate(score.passes, 1):
            table.add_row(
                day if number == 1 else "",
                f"{number}",
                f"{one.heard}",
                _percent(one.recall),
                _percent(one.true_recall),
                f"{one.there}",
                f"{one.estimate:.1f}",
                f"{one.estimate_low:.0f} to {one.estimate_high:.0f}",
                "yes" if one.estimate_low <= one.there <= one.estimate_high else "no",
                "-" if one.further is None else f"{one.further:.1f}",
                "-" if one.further_true is None else f"{one.further_true}",
            )
    return table


def _told_together(passes: Sequence[PassScore]) -> str:
    error = np.array([one.estimate - one.there for one in passes])
    held = sum(one.estimate_low <= one.there <= one.estimate_high for one in passes)
    width = np.mean([one.estimate_high - one.estimate_low for one in passes])
    return (
        f"{len(passes)} passes: {held} intervals hold ({held / len(passes):.0%}), {width:.1f} wide; "
        f"error {np.abs(error).mean():.1f} items, bias {error.mean():+.1f}"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    main()
