"""Scoring: one estimator against the truth, and ours beside every baseline on the same reads."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.baselines import BASELINES
from analytics.evaluation import measures
from analytics.evaluation.measures import Calibration, Overlay, Presence
from analytics.evaluation.moves import Moves, match_moves
from analytics.evaluation.ours import stays_as_said, stays_in_hindsight
from analytics.evaluation.run import Run, run_jobs
from analytics.evaluation.timeline import Frame, Timeline, segments
from devices.chunk import Chunk
from devices.site.model import Site

OURS = "tagtide"
"""Name under which our location is scored as it was said at the time."""
OURS_IN_HINDSIGHT = "tagtide, in hindsight"
"""Name under which the finished table is scored."""

Estimator = Callable[[pa.Table, Site], pa.Table]
"""Corrected reads and their site to stays, in `analytics.stays.STAYS` form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well one estimator did. Every measure is defined in `analytics.evaluation.measures`."""

    name: str
    """The estimator."""
    right_zone_share: float | None
    """Share of on-site item-seconds in the right zone."""
    false_moves_per_item_hour: float | None
    """False reported moves / on-site item-hours of the truth."""
    moves: Moves
    """Moves reported, false, missed, and the delay of those found."""
    presence: Presence
    """Precision and recall of "here"."""
    settled_presence: Presence
    """The same without the five minutes after each true arrival and departure."""
    calibration: Calibration | None
    """Whether stated confidence is right; `None` for estimators that state none."""
    confusion_item_hours: tuple[tuple[float, ...], ...]
    """Item-hours by true zone (rows) and estimated zone (columns); see `Report.zones`."""
    duration_s: float | None
    """How long the estimator took, where a clock was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Ours and the baselines, side by side."""

    site: str
    """Site identifier."""
    start_us: int
    """First instant that was scored."""
    end_us: int
    """First instant after it."""
    items: int
    """Items that the truth names."""
    items_read: int
    """Those of them that were read at least once."""
    strangers: int
    """Items that were read and that the truth does not name: left out."""
    reads: int
    """Reads that the estimators were given."""
    on_site_item_hours: float
    """Item-hours on site by the truth."""
    zones: tuple[str, ...]
    """Labels of the confusion tables: not here, the site's zones, elsewhere."""
    scores: tuple[Score, ...]
    """One an estimator, ours first."""
    turned: tuple[tuple[float, Score], ...] = ()
    """Ours at other settings of `move_sensitivity`, where that was asked for: setting and score."""

    def score(self, name: str) -> Score:
        """Return the score of an estimator by its name."""
        return next(score for score in self.scores if score.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        report = asdict(self)
        scores = [*self.scores, *(score for _, score in self.turned)]
        plains = [*report["scores"], *(plain for _, plain in report["turned"])]
        for score, plain in zip(scores, plains, strict=True):
            plain["moves"]["missed_share"] = score.moves.missed_share
        return report


def evaluate(
    site: Site,
    chunks: Iterable[Chunk],
    truth: pa.Table,
    *,
    baselines: Mapping[str, Estimator] = BASELINES,
    sensitivities: Iterable[float] = (),
    clock: Callable[[], float] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run our location and the baselines over the same reads, and score all of them.

    Args:
        site: The site.
        chunks: A capture's publications, decoded, in edge order.
        truth: Where every item was, in `analytics.truth.TRUTH` form.
        baselines: What to compare with, by name.
        sensitivities: Settings of `move_sensitivity` at which ours is scored beside the site's own.
        clock: Seconds of a steady clock, for durations.
        on_progress: Told what is being run.

    Raises:
        EvaluationError: Site, capture and truth do not belong together.
    """
    Frame.of(site, truth)  # refuses what does not belong together before anything is run
    on_progress(OURS)
    ours = run_jobs(site, chunks, sensitivities=sensitivities, clock=clock)
    return score_location(site, ours, truth, baselines=baselines, clock=clock, on_progress=on_progress)


def score_location(
    site: Site,
    ours: Run,
    truth: pa.Table,
    *,
    baselines: Mapping[str, Estimator] = BASELINES,
    clock: Callable[[], float] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Score our location as it was run, and the baselines on the same reads; arguments are those of `evaluate`."""
    frame, tell = Frame.of(site, truth), clock or (lambda: 0.0)
    true = Timeline.of(frame, truth)
    locations = ours.tables["locations"]
    scores = [
        score(OURS, true, stays_as_said(locations, site), duration_s=ours.location_s),
        score(OURS_IN_HINDSIGHT, true, stays_in_hindsight(locations), duration_s=ours.location_s),
    ]
    for name, estimator in baselines.items():
        on_progress(name)
        began = tell()
        stays = estimator(ours.reads, site)
        scores.append(score(name, true, stays, duration_s=tell() - began if clock else None))
    seen = pc.unique(ours.reads["epc_hex"])
    known = int(pc.sum(pc.is_in(seen, value_set=frame.items)).as_py() or 0)
    return Report(
        site=site.id,
        start_us=frame.start_us,
        end_us=frame.end_us,
        items=len(frame.items),
        items_read=known,
        strangers=len(seen) - known,
        reads=ours.reads.num_rows,
        on_site_item_hours=sum(sum(row) for row in scores[0].confusion_item_hours[1:]),
        zones=("not here", *frame.zones, "elsewhere"),
        scores=tuple(scores),
        turned=tuple(
            (value, score(f"{OURS} at {value:g}", true, stays_as_said(rows, site)))
            for value, rows in ours.turned.items()
        ),
    )


def score(name: str, truth: Timeline, stays: pa.Table, *, duration_s: float | None = None) -> Score:
    """Score one estimator.

    Args:
        name: The estimator.
        truth: Where every item was.
        stays: Where the estimator says that items were, in `analytics.stays.STAYS` form.
        duration_s: How long it took, where that was measured.

    Raises:
        EvaluationError: Two of its stays of one item overlap.
    """
    frame = truth.frame
    estimate = Timeline.of(frame, stays)
    cut = segments(frame, truth.key, estimate.key, *measures.settling_keys(truth))
    then, said = truth.at(cut.key), estimate.at(cut.key)
    overlay = Overlay(
        cut=cut, truth=truth.zone[then], estimate=estimate.zone[said], confidence=estimate.confidence[said]
    )
    confusion = measures.confusion_s(overlay, frame.elsewhere + 1)
    found = match_moves(truth, estimate)
    on_site_hours = float(confusion[1:].sum()) / 3600
    return Score(
        name=name,
        right_zone_share=measures.right_zone_share(confusion),
        false_moves_per_item_hour=found.false / on_site_hours if on_site_hours else None,
        moves=found,
        presence=measures.presence(overlay),
        settled_presence=measures.presence(overlay, measures.settled(truth, cut)),
        calibration=measures.calibration(overlay),
        confusion_item_hours=tuple(tuple(row) for row in (confusion / 3600).tolist()),
        duration_s=duration_s,
    )
