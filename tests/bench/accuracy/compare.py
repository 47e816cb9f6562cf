"""One scenario: everybody's answers scored against the truth, and how moves found trade for false ones."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.baselines import BASELINES
from analytics.evaluation import OURS, OURS_IN_HINDSIGHT, Frame, Score, Timeline, score
from analytics.evaluation.ours import stays_as_said, stays_in_hindsight
from analytics.evaluation.run import run_jobs
from analytics.evaluation.sensitivity import SENSITIVITIES
from analytics.evaluation.stock import StockScore, compare_stock, read_true_stock
from simulators.config import DayConfig
from simulators.observer import Observation, Precision, observe
from simulators.scenarios import Scenario
from tests.bench.accuracy.estimators import THRESHOLDS, observed_stays, settings
from tests.bench.stores import day_folder, fingerprint, open_store
from tests.shared_data import REPOSITORY

IDEAL = "ideal observer"
"""Name under which the observer who knows no draw is scored."""
TOLD = "ideal, told the site"
"""Name under which the observer is scored who knows shadowing by place, installation and offsets too."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of one estimator."""

    estimator: str
    """Name of the family."""
    setting: str
    """The setting."""
    false_per_item_hour: float
    """False moves."""
    found_share: float
    """Share of the true moves with a stay over 10 s that were found."""
    delay_s_median: float | None
    """Median delay of those found."""
    delay_s_p95: float | None
    """Its 95th percentile."""
    right_zone_share: float
    """Zone accuracy at that setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came out of a scenario."""

    label: str
    """The scenario."""
    about: str
    """What it tries."""
    items: int
    """Items that were scored."""
    sample: int
    """Items that the ideal observer followed."""
    reads: int
    """Reads."""
    item_hours: float
    """Item-hours on site, of all items."""
    moves: int
    """Moves to find, of all items."""
    scores: tuple[Score, ...]
    """Everybody but the observer, over all items."""
    sampled: tuple[Score, ...]
    """Everybody, over the items that the observer followed."""
    sampled_error: float | None
    """Standard error of the difference in zone accuracy between ours and the ideal observer, over those items."""
    points: tuple[Point, ...]
    """The trade-off for moves: ours and baselines over all items, the observer over those it followed."""
    stock: StockScore | None
    """On-hand estimates beside the true stock."""


def compare(
    scenario: Scenario, *, items: int, sweep: bool, folder: Path, seed: int | None, hours: float | None, tell: Tell
) -> Comparison:
    """Run and score a scenario.

    Args:
        scenario: Which.
        items: Items that the ideal observer follows, drawn at random; 0 for none.
        sweep: Whether every setting of the baselines is tried.
        folder: Where days and observations are kept.
        seed: Another seed than the scenario's.
        hours: Another length.
        tell: Told what is going on.
    """
    changes = {name: value for name, value in (("seed", seed), ("hours", hours)) if value is not None}
    config = dataclasses.replace(scenario.config, **changes)  # type: ignore[arg-type]
    tell("simulating")
    store = open_store(config, folder)
    tell("running ours")
    ours = run_jobs(store.site, store.chunks, ("locations", "inventory"), sensitivities=SENSITIVITIES)
    said = stays_as_said(ours.tables["locations"], store.site)
    stays = {OURS: said, OURS_IN_HINDSIGHT: stays_in_hindsight(ours.tables["locations"])}
    for name, estimator in BASELINES.items():
        tell(f"running {name}")
        stays[name] = estimator(ours.reads, store.site)
    truth = Timeline.of(Frame.of(store.site, store.truth), store.truth)
    scores = [score(name, truth, found) for name, found in stays.items()]
    points = [_point(name, "as said" if name == OURS else "", row) for name, row in zip(stays, scores, strict=True)]
    points = [point for point in points if point.estimator != OURS_IN_HINDSIGHT]
    points += [
        _point(OURS, f"sensitivity {value:g}", score(OURS, truth, stays_as_said(locations, store.site)))
        for value, locations in ours.turned.items()
    ]
    for family, ways in settings().items() if sweep else ():
        tell(f"sweeping {family}")
        points += [
            _point(family, setting, score(family, truth, way(ours.reads, store.site))) for setting, way in ways.items()
        ]
    sampled: list[Score] = []
    error = None
    if items:
        epcs = draw_items(truth.frame.items.to_pylist(), items)
        own = truth_of(store.truth, epcs)
        frame = Frame.of(store.site, own, start_us=truth.frame.start_us, end_us=truth.frame.end_us)
        own_truth = Timeline.of(frame, own)
        sampled = [score(name, own_truth, found) for name, found in stays.items()]
        for name, told in ((IDEAL, False), (TOLD, True)):
            seen = _observed(config, ours.reads, epcs, told=told, folder=folder, tell=tell)
            best = observed_stays(seen)
            sampled.append(score(name, own_truth, best))
            if not told:
                error = _paired_error(own_truth, said, best)
            points += [
                _point(name, f"held until {threshold:g}", score(name, own_truth, observed_stays(seen, threshold)))
                for threshold in ((0.0, *THRESHOLDS) if sampled[0].moves.true else ())
            ]
    stock = compare_stock(ours.tables["inventory"], read_true_stock(day_folder(config, folder) / "truth_stock.csv"))
    return Comparison(
        label=scenario.label if seed is None else f"{scenario.label}, seed {seed}",
        about=scenario.about,
        items=len(truth.frame.items),
        sample=len(sampled) and len(epcs),
        reads=ours.reads.num_rows,
        item_hours=sum(sum(row) for row in scores[0].confusion_item_hours[1:]),
        moves=scores[0].moves.true,
        scores=tuple(scores),
        sampled=tuple(sampled),
        sampled_error=error,
        points=tuple(points),
        stock=stock,
    )


def draw_items(epcs: list[str], count: int) -> list[str]:
    """Draw items, the same ones whenever the day is the same."""
    chosen = np.random.default_rng(20261122).permutation(len(epcs))[:count]
    return [epcs[place] for place in sorted(chosen.tolist())]


def truth_of(truth: pa.Table, epcs: list[str]) -> pa.Table:
    """Return the rows of a truth that are about some items."""
    return truth.filter(pc.is_in(truth["epc_hex"], value_set=pa.array(epcs)))


def _point(estimator: str, setting: str, found: Score) -> Point:
    return Point(
        estimator=estimator,
        setting=setting,
        false_per_item_hour=found.false_moves_per_item_hour or 0.0,
        found_share=1.0 - (found.moves.missed_share or 0.0),
        delay_s_median=found.moves.delay_s_median,
        delay_s_p95=found.moves.delay_s_p95,
        right_zone_share=found.right_zone_share or 0.0,
    )


def _observed(
    config: DayConfig, reads: pa.Table, epcs: list[str], *, told: bool, folder: Path, tell: Tell
) -> Observation:
    """Let the observer follow items, unless it has before."""
    code = "".join(path.read_text() for path in sorted((REPOSITORY / "simulators" / "observer").glob("*.py")))
    path = folder / f"observed-{config.scenario}-{fingerprint(config, code, repr(epcs), repr(told))}.npz"
    if path.exists():
        with np.load(path) as kept:
            return Observation(
                epcs=tuple(kept["epcs"].tolist()),
                zones=tuple(kept["zones"].tolist()),
                start_us=int(kept["start_us"]),
                belief=kept["belief"].astype(np.float32),
            )
    seen = observe(
        config, reads, epcs, told=told, precision=Precision(),
        on_progress=lambda done: tell(f"observing{', told' if told else ''}: {done} of {len(epcs)}"),
    )  # fmt: skip
    np.savez_compressed(
        path, epcs=np.array(seen.epcs), zones=np.array(seen.zones), start_us=seen.start_us, belief=seen.belief
    )
    return seen


def _paired_error(truth: Timeline, one: pa.Table, other: pa.Table) -> float:
    """Return the standard error of the difference of two zone accuracies, item by item."""
    shares = [_right_s(truth, stays) for stays in (one, other)]
    on_site = shares[0][1]
    difference = (shares[0][0] - shares[1][0]) / on_site.sum()
    return float(np.sqrt(len(on_site)) * difference.std())


def _right_s(truth: Timeline, stays: pa.Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each item's seconds in the right zone, and on site, from a look each second."""
    frame, estimate = truth.frame, Timeline.of(truth.frame, stays)
    each = np.arange(500_000, frame.span_us, 1_000_000)
    keys = (np.arange(len(frame.items))[:, None] * frame.span_us + each[None, :]).ravel()
    true, said = truth.zone[truth.at(keys)], estimate.zone[estimate.at(keys)]
    on_site = (true > 0).reshape(len(frame.items), -1)
    return (on_site & (true == said).reshape(on_site.shape)).sum(axis=1) * 1.0, on_site.sum(axis=1) * 1.0
