"""A chunk: what one site said over a range of an edge log, decoded. The unit that travels from the edge to jobs."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from devices.schemas import STREAMS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMark:
    """A point of an edge log by which everything received before `received_us` is in the log."""

    edge_offset: int
    """Place in the edge log."""
    received_us: int
    """The bridge's clock, microseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Decoded streams of one site over a range of one edge log."""

    site: str | None
    """Site identifier; `None` for what came on topics that no site file names."""
    edge_id: str
    """Which edge log."""
    first_offset: int
    """First edge offset that this chunk covers, whether or not it holds rows of this site."""
    last_offset: int
    """Last edge offset that this chunk covers."""
    batches: Mapping[str, pa.RecordBatch]
    """Stream name to rows, in (`edge_offset`, `edge_index`) order. A stream without rows may be left out."""
    clock: tuple[ClockMark, ...] = ()
    """Clock records in the range, in order."""

    def batch(self, stream: str) -> pa.RecordBatch:
        """Return the rows of a stream, empty where there are none."""
        found = self.batches.get(stream)
        return pa.RecordBatch.from_pylist([], schema=STREAMS[stream]) if found is None else found

    @property
    def rows(self) -> int:
        """Rows of all streams together."""
        return sum(batch.num_rows for batch in self.batches.values())

    @property
    def last_row_offset(self) -> int | None:
        """Edge offset of the last row or clock mark in it; `None` where it holds neither."""
        offsets = [batch["edge_offset"][-1].as_py() for batch in self.batches.values() if batch.num_rows]
        offsets += [mark.edge_offset for mark in self.clock[-1:]]
        return max(offsets, default=None)

    def through(self, last_offset: int) -> "Chunk":
        """Return the part of this chunk up to and including an edge offset."""
        return self._between(self.first_offset, min(last_offset, self.last_offset))

    def after(self, offset: int) -> "Chunk":
        """Return the part of this chunk behind an edge offset."""
        return self._between(max(offset + 1, self.first_offset), self.last_offset)

    def _between(self, first: int, last: int) -> "Chunk":
        if first == self.first_offset and last == self.last_offset:
            return self
        # Typed scalars: for a plain number pyarrow guesses the type, which takes half a millisecond.
        low, high = pa.scalar(first, pa.int64()), pa.scalar(last, pa.int64())
        batches = {
            name: batch.filter(
                pc.and_(pc.greater_equal(batch["edge_offset"], low), pc.less_equal(batch["edge_offset"], high))
            )
            for name, batch in self.batches.items()
        }
        return Chunk(
            site=self.site,
            edge_id=self.edge_id,
            first_offset=first,
            last_offset=last,
            batches={name: batch for name, batch in batches.items() if batch.num_rows},
            clock=tuple(mark for mark in self.clock if first <= mark.edge_offset <= last),
        )
