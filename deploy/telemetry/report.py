"""What a process tells of itself once a second: samples of its metrics, and checks of what it depends on.

A report goes from the process that has something to tell to the one that serves it over HTTP: as an object where that
is the same process, as one datagram where `tagtide up` or a bridge has started it (`deploy.telemetry.channel`).
"""

import time
from dataclasses import dataclass, field

import msgspec


class Sample(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One value of a metric."""

    name: str
    """Name of the metric, as in `deploy.telemetry.catalogue`."""
    value: float
    """Its value, in the base unit that the name says."""
    labels: tuple[str, ...] = ()
    """Values of its labels, in the catalogue's order."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Whether something that a process depends on is as it should be."""

    name: str
    """Stable name, such as `broker_connected`."""
    ok: bool
    """Whether it is."""
    says: str
    """What is the case, in a sentence."""
    do: str = ""
    """What to do about it, where it is not."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one process told at one instant."""

    component: str
    """Which of our processes: `bridge`, `forward`, `jobs`."""
    pid: int
    """Its process id."""
    at_s: float
    """When, in seconds of the machine's monotonic clock, which its processes share."""
    progressed_s: float
    """When its main loop last went round, by the same clock."""
    progress_limit_s: float
    """How long its main loop may take to go round once; after that it hangs."""
    samples: list[Sample] = []
    """Its metrics."""
    checks: list[Check] = []
    """What it depends on."""


@dataclass(slots=True)
class Progress:
    """When a main loop last went round; written by it, read by the thread that reports."""

    limit_s: float
    """How long a round may take."""
    last_s: float = field(default_factory=time.monotonic)
    """When the last one ended, in seconds of the monotonic clock."""

    def note(self) -> None:
        """Tell that the loop has gone round."""
        self.last_s = time.monotonic()


@dataclass(slots=True)
class Told:
    """Samples and checks, while they are gathered."""

    samples: list[Sample] = field(default_factory=list)
    """Metrics so far."""
    checks: list[Check] = field(default_factory=list)
    """Checks so far."""

    def put(self, name: str, value: float, *labels: str) -> None:
        """Add a sample."""
        self.samples.append(Sample(name, float(value), labels))

    def check(self, name: str, *, ok: bool, says: str, do: str = "") -> None:
        """Add a check; `do` is kept only where it fails."""
        self.checks.append(Check(name=name, ok=ok, says=says, do="" if ok else do))
