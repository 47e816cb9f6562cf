"""What the runner is made of: the journal and the lake that it asks for, its settings, and what it has done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from analytics.journal import Checkpoint, EpochPlan, Through
from analytics.landing_report import LandingReport


class EpochJournal(Protocol):
    """What the runner uses of a journal."""

    def plan(self, plan: EpochPlan) -> None:
        """Record an epoch durably."""
        ...

    def planned_after(self, epoch: int) -> list[EpochPlan]:
        """Return the plans of later epochs, in order."""
        ...

    def checkpoint(self, epoch: int, states: Mapping[str, bytes]) -> None:
        """Record the state after an epoch, and forget everything older."""
        ...

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint."""
        ...

    def close(self) -> None:
        """Let another process have it."""
        ...


class EpochLake(Protocol):
    """What the runner uses of a lake."""

    def commit(self, epoch: int, rows: Mapping[str, pa.Table]) -> int:
        """Land an epoch's rows; harmless to repeat."""
        ...

    def maintain(self) -> object:
        """Do the upkeep that is due."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerConfig:
    """How a runner cuts epochs."""

    epoch_interval_s: float = 1.0
    """A live epoch is committed after this long: the freshness that people see, against one commit a table."""
    epoch_rows_limit: int = 200_000
    """Or after this many rows: about 60 MB of Arrow, and half a second of work."""
    checkpoint_interval_s: float = 20.0
    """State is checkpointed this often. A restart repeats at most this much work."""
    retry_interval_s: float = 1.0
    """First pause before a refused commit is tried again; it doubles up to 30 s."""


@dataclass(slots=True, kw_only=True)
class RunnerStats:
    """What a runner has done since it started."""

    state: str = "recovering"
    """As in the docstring of `analytics.runner`."""
    epochs: int = 0
    """Epochs committed."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows landed, by table."""
    repeated_epochs: int = 0
    """Epochs computed again after a restart."""
    through: Through = field(default_factory=dict)
    """Last edge offset committed, per site and edge log."""
    problem: str | None = None
    """Why it is holding."""
    landing: LandingReport = field(default_factory=LandingReport)
    """What was taken in and landed, in detail."""
    position: bytes | None = None
    """Source position behind everything that is landed or gave no rows; `None` before the first."""
    checkpoints: int = 0
    """Checkpoints written."""
    uncheckpointed_since_s: float | None = None
    """When the oldest epoch that no checkpoint covers was committed, by the runner's monotonic clock; `None` where
    there is none."""
