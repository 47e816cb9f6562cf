"""Chunks for tests, said line by line: what each device published when, on which clock."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from devices.chunk import Chunk, ClockMark
from devices.schemas import STREAMS

NOON = 1_763_812_800
"""2025-11-22 12:00:00 UTC in seconds: the zero of the times in tests."""


def us(seconds: float) -> int:
    """Return a test's time, seconds after noon, as microseconds since the epoch."""
    return round((NOON + seconds) * 1e6)


@dataclass(slots=True)
class Sayings:
    """Publications in the order of an edge log. Times are seconds after noon."""

    site: str = "s"
    edge_id: str = "e"
    offset: int = 0
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    marks: list[ClockMark] = field(default_factory=list)

    def read(
        self, received: float, at: float | None = None, *, reader: str = "r1", epc_hex: str = "30", **columns: Any
    ) -> "Sayings":
        """Add a publication with one read."""
        return self.say("reads", received, [{"reader_time": at, "reader": reader, "epc_hex": epc_hex, **columns}])

    def reading(
        self, received: float, value: float, at: float | None = None, *, source: str = "shelf-1", **columns: Any
    ) -> "Sayings":
        """Add a publication with one reading."""
        said = {"source_kind": "shelf", "source": source, "quantity": "mass", "unit": "KGM", "value": value}
        return self.say("readings", received, [{**said, "reader_time": at, **columns}])

    def device_event(
        self, received: float, event: str, at: float | None = None, *, source: str = "r1", **columns: Any
    ) -> "Sayings":
        """Add a publication with one device event of a reader."""
        said = {"source_kind": "reader", "source": source, "event": event, "reader_time": at}
        return self.say("device_events", received, [{**said, **columns}])

    def business_event(
        self, received: float, event_id: str, at: float | None = None, *, event: str = "sale", **columns: Any
    ) -> "Sayings":
        """Add a publication with one business event."""
        said = {"source": "till", "event": event, "event_id": event_id, "quantity": 1, "reader_time": at}
        return self.say("business_events", received, [{**said, **columns}])

    def say(self, stream: str, received: float, rows: list[dict[str, Any]]) -> "Sayings":
        """Add a publication with several rows of one stream."""
        self.offset += 1
        return self.also(stream, received, rows)

    def also(self, stream: str, received: float, rows: list[dict[str, Any]]) -> "Sayings":
        """Add rows to the last publication."""
        held = sum(row["edge_offset"] == self.offset for found in self.rows.values() for row in found[-100:])
        for index, row in enumerate(rows, held):
            at = row.get("reader_time")
            times = {
                "reader_time": None if at is None else us(at),
                "event_time": us(received if at is None else at),
                "event_time_source": "received" if at is None else "read",
            }
            place = {"edge_id": self.edge_id, "edge_offset": self.offset, "edge_index": index}
            common = {"site": self.site, "received_time": us(received), **place}
            said = {**row, **common} if stream == "rejects" else {**row, **times, **common}
            self.rows.setdefault(stream, []).append(said)
        return self

    def mark(self, received: float) -> "Sayings":
        """Add a clock record."""
        self.offset += 1
        self.marks.append(ClockMark(edge_offset=self.offset, received_us=us(received)))
        return self

    def chunk(self) -> Chunk:
        """Return everything said so far as one chunk."""
        return Chunk(
            site=self.site,
            edge_id=self.edge_id,
            first_offset=1,
            last_offset=max(1, self.offset),
            batches={stream: _batch(stream, rows) for stream, rows in self.rows.items()},
            clock=tuple(self.marks),
        )


def _batch(stream: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    schema = STREAMS[stream]
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"{stream} has no columns {unknown}"
    columns = []
    for column in schema:
        values = [row.get(column.name) for row in rows]
        is_time = pa.types.is_timestamp(column.type)
        columns.append(pa.array(values, pa.int64()).cast(column.type) if is_time else pa.array(values, column.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
