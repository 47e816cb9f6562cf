"""Everything of a day about which there is a truth, scored in one run: one report.

| file of the truth's folder | what is scored |
|---|---|
| `truth.csv`, or with `.gz` | location and the baselines; counting passes, where the site has mobile readers |
| `truth_passages.csv` | the table `passages` |
| `truth_aggregations.csv` | the table `aggregations` |
| `truth_stock.csv` | the table `inventory` |
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.baselines import BASELINES
from analytics.evaluation.aggregations import AggregationScore, compare_aggregations, read_true_aggregations
from analytics.evaluation.compare import OURS, Estimator, Report, score_location
from analytics.evaluation.counts import CountScore, compare_counts
from analytics.evaluation.passages import PassageScore, compare_passages, read_true_passages
from analytics.evaluation.run import run_jobs
from analytics.evaluation.stock import StockScore, compare_stock, read_true_stock
from analytics.evaluation.timeline import Frame
from analytics.truth import TRUTH, TruthError, read_truth
from devices.chunk import Chunk
from devices.site.model import Site

PLACES = ("truth.csv", "truth.csv.gz")
PASSAGES = "truth_passages.csv"
AGGREGATIONS = "truth_aggregations.csv"
STOCK = "truth_stock.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTruth:
    """What is known about a day; `None` where nothing is."""

    places: pa.Table | None = None
    """Where everything was, in `analytics.truth.TRUTH` form."""
    passages: pa.Table | None = None
    """What went through the gates, in `TRUE_PASSAGES` form."""
    aggregations: pa.Table | None = None
    """What was in what, in `TRUE_AGGREGATIONS` form."""
    stock: pa.Table | None = None
    """Units on site and booked, in `TRUE_STOCK` form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """What came out; `None` where there is no truth about it, or nothing to compare."""

    site: str
    """Site identifier."""
    reads: int
    """Reads, repeats removed."""
    location: Report | None
    """Our location and the baselines."""
    passages: PassageScore | None
    """Passages at gates."""
    aggregations: AggregationScore | None
    """What is in what."""
    counts: CountScore | None
    """Counting passes."""
    stock: StockScore | None
    """On-hand estimates."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold: those of location on top, the rest below its name."""
        parts = {"passages": self.passages, "aggregations": self.aggregations, "counts": self.counts}
        plain: dict[str, Any] = {"site": self.site, "reads": self.reads}
        plain |= self.location.to_json() if self.location else {}
        plain |= {
            name: None if part is None else asdict(part) for name, part in (*parts.items(), ("stock", self.stock))
        }
        if self.passages:
            shares = ("told_share", "right_share", "calibration_error")
            plain["passages"] |= {name: getattr(self.passages, name) for name in shares}
        if self.counts:
            plain["counts"] |= {name: getattr(self.counts, name) for name in ("held_share", "calibration_error")}
        return plain


def read_day_truth(path: Path) -> DayTruth:
    """Read a truth: a file about places alone, or a folder with what `tagtide simulate` writes.

    Raises:
        TruthError: There is no such file or folder, nothing in it, or something that cannot be true.
    """
    if not path.is_dir():
        if not path.is_file():
            raise TruthError(f"there is no truth {path}", hint="`tagtide simulate` writes a folder with one: truth.csv")
        return DayTruth(places=read_truth(path))
    places = next((path / name for name in PLACES if (path / name).is_file()), None)
    found = DayTruth(
        places=None if places is None else read_truth(places),
        passages=_read(path / PASSAGES, read_true_passages),
        aggregations=_read(path / AGGREGATIONS, read_true_aggregations),
        stock=_read(path / STOCK, read_true_stock),
    )
    if all(part is None for part in (found.places, found.passages, found.aggregations, found.stock)):
        raise TruthError(f"there is no truth in {path}", hint="`tagtide simulate --out DIR` writes one into DIR")
    return found


def _read(path: Path, reader: Callable[[Path], pa.Table]) -> pa.Table | None:
    return reader(path) if path.is_file() else None


def evaluate_day(
    site: Site,
    chunks: Iterable[Chunk],
    truth: DayTruth,
    *,
    baselines: Mapping[str, Estimator] = BASELINES,
    sensitivities: Iterable[float] = (),
    clock: Callable[[], float] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> DayReport:
    """Run our jobs once over a day, and score every table about which there is a truth.

    Args:
        site: The site.
        chunks: A capture's publications, decoded, in edge order.
        truth: What is known.
        baselines: What location is compared with, by name.
        sensitivities: Settings of `move_sensitivity` at which location is scored beside the site's own.
        clock: Seconds of a steady clock, for durations.
        on_progress: Told what is being run.

    Raises:
        EvaluationError: Site, capture and truth do not belong together.
    """
    if truth.places is not None:
        Frame.of(site, truth.places)  # refuses what does not belong together before anything is run
    on_progress(OURS)
    wanted = _tables(truth)
    ours = run_jobs(site, chunks, wanted, sensitivities=sensitivities if truth.places is not None else (), clock=clock)
    location = counts = None
    if truth.places is not None:
        location = score_location(site, ours, truth.places, baselines=baselines, clock=clock, on_progress=on_progress)
        if ours.tables["counts"].num_rows:
            counts = compare_counts(ours.tables["counts"], ours.tables["counted"], truth.places)
    places = TRUTH.empty_table() if truth.places is None else truth.places
    return DayReport(
        site=site.id,
        reads=ours.reads.num_rows,
        location=location,
        passages=None if truth.passages is None else compare_passages(ours.tables["passages"], truth.passages),
        aggregations=None
        if truth.aggregations is None
        else compare_aggregations(ours.tables["aggregations"], truth.aggregations, places),
        counts=counts,
        stock=None if truth.stock is None else compare_stock(ours.tables["inventory"], truth.stock),
    )


def _tables(truth: DayTruth) -> list[str]:
    """Return the tables that are to be compared."""
    found = ["locations", "counts", "counted"] if truth.places is not None else []
    known = (("passages", truth.passages), ("aggregations", truth.aggregations), ("inventory", truth.stock))
    return found + [name for name, table in known if table is not None]
