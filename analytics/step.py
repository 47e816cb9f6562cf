"""The step interface: what every job is, and what runners may rely on.

A step is a pure, columnar function of its state and one chunk of one site: no clock, no I/O, no randomness. The
same step runs in one process, behind Kafka and in Spark. Three laws, held by `tests/analytics/step_laws.py`:

1. *Chunking changes nothing.* Running a chunk, or the same rows cut into any smaller chunks, gives the same rows
   in the same order and an equivalent state.
2. *State goes to bytes and back.* `load(dump(state))` behaves as `state` does.
3. *Event time alone.* Nothing depends on when the step runs.

How law 1 is kept: the arrival step runs first and gives every row an `effective_us`, and the whole chunk a
`watermark_us`. A row's effective time always lies behind the watermark that was in force before the row, so
"everything effective at or before the watermark" is complete whenever the watermark gets there, whatever the
chunks were. Later steps keep rows until the watermark passes them and then work in effective order, on an
event-time grid of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from devices.chunk import Chunk, ClockMark
from devices.site.model import Site

__all__ = ["Arrived", "Chunk", "ClockMark", "Outputs", "Step"]

Outputs = Mapping[str, pa.Table]
"""Rows to land, by table name, in `analytics.schemas.TABLES` form (without the lake's `date` column)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A chunk after the arrival step: repeats removed, clocks corrected, lateness decided."""

    site: str
    """Site identifier."""
    edge_id: str
    """Edge log it came from."""
    batches: Mapping[str, pa.RecordBatch]
    """Canonical streams with `event_time` corrected and `late` filled in."""
    effective_us: Mapping[str, npt.NDArray[np.int64]]
    """Per stream, each row's effective time: its event time, or the watermark in force before it plus one
    microsecond where it came later than that. Rows with `late` true are those where the two differ."""
    watermark_us: int
    """Everything effective at or before this has arrived. Never falls from chunk to chunk; 0 before anything."""
    previous_watermark_us: int
    """The watermark after the chunk before."""
    wait_us: int = 0
    """How far the watermark stays behind the newest event time at the chunk's end: the allowed lateness at most."""
    derived: Mapping[str, pa.Table] = field(default_factory=dict)
    """What steps before this one derived from the same chunk, by table name."""


S = TypeVar("S")


class Step(Protocol[S]):
    """A job behind the arrival step."""

    name: str
    """Name under which its state is kept."""

    def initial(self, site: Site) -> S:
        """Return the state before anything was seen."""
        ...

    def step(self, state: S, arrived: Arrived, site: Site) -> tuple[S, Outputs]:
        """Take one chunk in. The given state may be changed and returned; callers do not use it again."""
        ...

    def dump(self, state: S) -> bytes:
        """Turn a state to bytes, beginning with its own format version."""
        ...

    def load(self, blob: bytes, site: Site) -> S:
        """Turn bytes back to a state."""
        ...
