"""How well location does without shelves in the site file, and with goods that are not sorted by GTIN.

`python -m tests.bench.unplanned DAY... [--exchanged SHARE]` takes folders of `tagtide simulate` and runs the location
step over each, with no shelf. EPCs of a share of the items are exchanged among them, in reads and truth alike: the
same radio then has goods that lie anywhere (1), or are half sorted (0.5).
"""

import argparse
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.evaluation import OURS, Frame, Score, Timeline, score
from analytics.evaluation.ours import stays_as_said
from analytics.evaluation.run import with_end
from analytics.pipeline import SitePipeline
from analytics.schemas import LOCATIONS
from analytics.steps.location import LocationStep
from analytics.truth import read_truth
from deploy.capture_chunks import capture_chunks
from devices.chunk import Chunk
from devices.site import load_site

SEED = 7
Names = Mapping[str, str]


def judge(day: Path, exchanged: float) -> Score:
    """Return how well a day is located."""
    site = replace(load_site(day / "site.toml"), shelves=())
    truth = read_truth(day / "truth.csv")
    names = exchange(truth["epc_hex"].to_pylist(), exchanged)
    (capture,) = sorted(day.glob("capture.jsonl*"))
    pipeline, said = SitePipeline(site, steps=[LocationStep()]), [LOCATIONS.empty_table()]
    for chunk in with_end(site, capture_chunks(capture, [site])):
        said += [table for name, table in pipeline.process(renamed(chunk, names)).items() if name == "locations"]
    truth = truth.set_column(truth.column_names.index("epc_hex"), truth.schema.field("epc_hex"), _named(truth, names))
    estimate = stays_as_said(pa.concat_tables([table.select(LOCATIONS.names) for table in said]), site)
    return score(OURS, Timeline.of(Frame.of(site, truth), truth), estimate)


def exchange(epcs: list[str], share: float) -> Names:
    """Return what each EPC of a share of them is called instead: one of them all."""
    draw = random.Random(SEED)
    distinct = sorted(set(epcs))
    chosen = draw.sample(distinct, round(len(distinct) * share))
    return dict(zip(chosen, draw.sample(chosen, len(chosen)), strict=True))


def renamed(chunk: Chunk, names: Names) -> Chunk:
    """Return a chunk in which items have other EPCs."""
    reads = chunk.batches.get("reads")
    if reads is None or not names:
        return chunk
    columns = [_named(reads, names) if name == "epc_hex" else reads[name] for name in reads.schema.names]
    return replace(chunk, batches={**chunk.batches, "reads": pa.RecordBatch.from_arrays(columns, schema=reads.schema)})


def _named(rows: Any, names: Names) -> pa.Array:
    epcs = [names.get(epc, epc) for epc in rows["epc_hex"].to_pylist()]
    return pa.array(epcs, rows.schema.field("epc_hex").type)


def lines(days: list[Path], exchanged: float) -> Iterator[str]:
    """Yield a line a day."""
    for day in days:
        found = judge(day, exchanged)
        error = "none" if found.calibration is None else f"{found.calibration.error:.3f}"
        missed = found.moves.missed_share or 0.0
        yield (
            f"{day.name}: right zone {found.right_zone_share:.1%}, false moves {found.false_moves_per_item_hour:.2f}"
            f" an item-hour, found {1.0 - missed:.0%}, calibration error {error}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.unplanned", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("days", nargs="+", type=Path, help="folders of tagtide simulate")
    parser.add_argument("--exchanged", type=float, default=0.0, help="share of the items whose EPCs are exchanged")
    args = parser.parse_args()
    for line in lines(args.days, args.exchanged):
        print(line)
