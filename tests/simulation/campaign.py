"""Campaigns: many seeds, each a world of its own, and what they came to.

A seed says by itself what kind of world it is: of sixteen, fourteen are edges alone (a few milliseconds each), one has
the jobs behind the edge log and one has them behind Kafka.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.simulation.edge_world import EdgeWorld
from tests.simulation.faults import Fault
from tests.simulation.judge import BrokenPromiseError
from tests.simulation.pipeline_world import PipelineWorld

_KINDS = 16


@dataclass(slots=True, kw_only=True)
class Failure:
    """A seed whose run broke a promise."""

    seed: int
    """The seed."""
    kind: str
    """What kind of world it was."""
    problem: str
    """What did not hold."""

    @property
    def command(self) -> str:
        """The command that replays it."""
        return f"python -m tests.simulation --seed {self.seed} --trace"


@dataclass(slots=True)
class Totals:
    """What a campaign came to."""

    worlds: Counter[str] = field(default_factory=Counter)
    """Runs by kind of world."""
    faults: Counter[Fault] = field(default_factory=Counter)
    """Faults that struck, by kind."""
    accepted: int = 0
    """QoS 1 publications that brokers accepted."""
    acknowledged: int = 0
    """PUBACKs that brokers took; a publication that was delivered again has several."""
    stored: int = 0
    """Rows that became durable in edge logs."""
    failures: list[Failure] = field(default_factory=list)
    """Runs that broke a promise."""

    def broke(self, promise: str) -> int:
        """Return how many runs broke a promise."""
        return sum(failure.problem.startswith(promise) for failure in self.failures)


def kind_of(seed: int) -> str:
    """Return what kind of world a seed is."""
    return {0: "kafka", 8: "embedded"}.get(seed % _KINDS, "edge")


def world_of(seed: int, trace: Callable[[str], None] = lambda _: None) -> EdgeWorld:
    """Return a seed's world, not run yet."""
    kind = kind_of(seed)
    return EdgeWorld(seed, trace=trace) if kind == "edge" else PipelineWorld(seed, kafka=kind == "kafka", trace=trace)


def run_campaign(seeds: Sequence[int], on_run: Callable[[Totals], None] = lambda _: None) -> Totals:
    """Run a world for every seed.

    Args:
        seeds: Seeds.
        on_run: Told after each run how it stands.
    """
    totals = Totals()
    for seed in seeds:
        world = world_of(seed)
        try:
            world.run()
        except Exception as error:  # noqa: BLE001 - whatever a run ends with is its finding
            problem = str(error) if isinstance(error, BrokenPromiseError) else f"{type(error).__name__}: {error}"
            totals.failures.append(Failure(seed=seed, kind=kind_of(seed), problem=problem))
        totals.worlds[kind_of(seed)] += 1
        totals.faults += world.faults.counts
        totals.accepted += len(world.judge.accepted)
        totals.acknowledged += world.judge.acknowledged_count
        totals.stored += len(world.file.history)
        on_run(totals)
    return totals
