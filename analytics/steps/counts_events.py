"""What the counts step works through: rows of a chunk, as events, and the reads of fixed readers."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.schemas import OUTSIDE
from analytics.step import Arrived
from devices.observations import BusinessEventKind

LOCATION, BUSINESS, READ = range(3)
OPENS, SILENT, MOVED, BEYOND, RESTATED = range(5)
_ENDS = {None: SILENT, OUTSIDE: BEYOND}
SOLD = (BusinessEventKind.SALE, BusinessEventKind.TRANSFER_OUT)
_BACK = (BusinessEventKind.RETURN, BusinessEventKind.TRANSFER_IN)


class Event(msgspec.Struct, array_like=True, frozen=True):
    """Something that waits for the watermark."""

    time_us: int
    kind: int
    what: str
    """Reader of a read, kind of a business event, zone of a location row."""
    epc: str
    weight: int
    """Air reads; for a location row, whether it opens or restates a stay, or how that ends."""
    at_us: int
    """When it was heard: until when, for a row that closes a stay."""
    confidence: float = 1.0
    """Of a location row, its own."""


@dataclass(slots=True)
class FixedReads:
    """Reads of fixed readers that wait for the watermark, in arrival order."""

    time_us: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    epc: list[str] = field(default_factory=list)
    reader: list[str] = field(default_factory=list)

    def add(self, more: "FixedReads") -> None:
        """Add reads that arrived later."""
        self.time_us = np.concatenate([self.time_us, more.time_us])
        self.epc += more.epc
        self.reader += more.reader

    def take_until(self, time_us: int) -> "FixedReads":
        """Take out the reads until a time, in order of time."""
        order = np.argsort(self.time_us, kind="stable")
        cut = int(np.searchsorted(self.time_us[order], time_us, side="right"))
        taken, rest = self._of(order[:cut]), self._of(np.sort(order[cut:]))
        self.time_us, self.epc, self.reader = rest.time_us, rest.epc, rest.reader
        return taken

    def _of(self, places: npt.NDArray[np.int64]) -> "FixedReads":
        chosen = places.tolist()
        return FixedReads(
            self.time_us[places], [self.epc[place] for place in chosen], [self.reader[place] for place in chosen]
        )


def location_events(arrived: Arrived) -> list[Event]:
    """Return stays that begin, are restated, or end."""
    table = arrived.derived.get("locations")
    if table is None:
        return []
    times = [table[name].cast("int64").to_pylist() for name in ("as_of_time", "from_time", "until_time")]
    columns = [table[name].to_pylist() for name in ("epc_hex", "zone", "revision", "left_for", "confidence")]
    return [
        Event(as_of_us, LOCATION, zone, epc, _what(revision, until_us, left), until_us or from_us, sure)
        for as_of_us, from_us, until_us, epc, zone, revision, left, sure in zip(*times, *columns, strict=True)
    ]


def _what(revision: int, until_us: int | None, left_for: str | None) -> int:
    if until_us is not None:
        return _ENDS.get(left_for, MOVED)
    return OPENS if revision == 0 else RESTATED


def business_events(arrived: Arrived) -> list[Event]:
    """Return what business systems say of single items."""
    batch = arrived.batches.get("business_events")
    if batch is None or batch.num_rows == 0:
        return []
    times = arrived.effective_us["business_events"].tolist()
    columns = [batch[name].to_pylist() for name in ("event", "epc_hex")]
    return [
        Event(time_us, BUSINESS, what, epc, 0, time_us)
        for time_us, what, epc in zip(times, *columns, strict=True)
        if epc is not None and what in (*SOLD, *_BACK)
    ]


def reads(arrived: Arrived, mobile: frozenset[str]) -> tuple[list[Event], FixedReads]:
    """Return the reads of mobile readers, and those of fixed ones."""
    batch = arrived.batches.get("reads")
    if batch is None or batch.num_rows == 0:
        return [], FixedReads()
    times = np.asarray(arrived.effective_us["reads"], dtype=np.int64)
    of_mobile = pc.is_in(batch["reader"], value_set=pa.array(sorted(mobile), pa.string()))
    moving = np.asarray(of_mobile.to_numpy(zero_copy_only=False), dtype=np.bool_)
    columns = [batch[name].filter(of_mobile).to_pylist() for name in ("reader", "epc_hex", "read_count")]
    events = [
        Event(time_us, READ, reader, epc, max(1, count or 1), time_us)
        for time_us, reader, epc, count in zip(times[moving].tolist(), *columns, strict=True)
    ]
    fixed = batch.filter(pc.invert(of_mobile))
    return events, FixedReads(times[~moving], fixed["epc_hex"].to_pylist(), fixed["reader"].to_pylist())
