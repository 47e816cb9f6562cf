"""Simulated gates, from publications to passages: what the product says went through, beside what did.

`python -m tests.bench.dock` simulates days at gates that nothing was learnt from, takes each through the jobs as the
product would on its first day there, scores it as `tagtide evaluate` does, and prints the table of docs/accuracy.md.
"""

import tempfile
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from analytics.evaluation.day_tables import confidence_table, passage_table
from analytics.evaluation.passages import compare_passages, read_true_passages
from analytics.evaluation.run import run_jobs
from deploy.capture_chunks import capture_chunks
from devices.site import load_site
from simulators.gate.dock_day import write_dock_day

SEEDS = (41, 42, 43, 44, 45, 46)
HOURS = 1.0


def passages(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Return the rows of `passages` that a day's capture gives, and the truth about them."""
    site = load_site(folder / "site.toml")
    run = run_jobs(site, capture_chunks(folder / "capture.jsonl", [site]), ("passages",))
    return run.tables["passages"], read_true_passages(folder / "truth_passages.csv")


def _of_seed(table: pa.Table, seed: int) -> pa.Table:
    """Tell the gates of one day apart from those of another."""
    place = table.schema.get_field_index("gate")
    gates = pa.array([f"{gate} of {seed}" for gate in table["gate"].to_pylist()], pa.string())
    return table.set_column(place, table.schema.field(place), gates)


def main() -> None:
    """Print the tables."""
    console = Console(width=150)
    days: list[tuple[pa.Table, pa.Table]] = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as name:
            write_dock_day(Path(name), seed=seed, hours=HOURS)
            rows, truth = passages(Path(name))
        score = compare_passages(rows, truth)
        console.print(f"seed {seed}: {score.told} passages told, {score.right_share or 0.0:.1%} right")
        days.append((_of_seed(rows, seed), _of_seed(truth, seed)))
    total = compare_passages(pa.concat_tables([rows for rows, _ in days]), pa.concat_tables([true for _, true in days]))
    console.print(passage_table(total))
    console.print(confidence_table("confidence, and how often it was right", total.bins))


if __name__ == "__main__":
    main()
