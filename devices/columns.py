"""From decoded observations to Arrow columns: rows are collected per site and turned to columns all at once."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from devices.observations import Decoded, Source
from devices.publication import CAPTURE_PROBLEM_TOPIC, LoggedPublication, Publication
from devices.schemas import STREAMS, TIMESTAMP

_Values: TypeAlias = Callable[[Sequence[Any]], list[Any]]

# One comprehension a column: Python specialises the attribute access in each, which halves its cost against
# `attrgetter`, and thirteen columns of every read pass here.
_TIMED: dict[str, _Values] = {
    "reader_time": lambda rows: [row.reader_time_us for row in rows],
    "event_time_source": lambda rows: [row.event_time_source for row in rows],
}
_VALUES: dict[str, dict[str, _Values]] = {
    "reads": {
        **_TIMED,
        "antenna": lambda rows: [row.antenna for row in rows],
        "epc_hex": lambda rows: [row.epc_hex for row in rows],
        "rssi_dbm": lambda rows: [row.rssi_dbm for row in rows],
        "rssi_linear": lambda rows: [row.rssi_linear for row in rows],
        "phase_deg": lambda rows: [row.phase_deg for row in rows],
        "frequency_khz": lambda rows: [row.frequency_khz for row in rows],
        "tx_power_dbm": lambda rows: [row.tx_power_dbm for row in rows],
        "read_count": lambda rows: [row.read_count for row in rows],
        "tid_hex": lambda rows: [row.tid_hex for row in rows],
        "source_seq": lambda rows: [row.source_seq for row in rows],
        "extra": lambda rows: [row.extra for row in rows],
    },
    "readings": {
        **_TIMED,
        "quantity": lambda rows: [row.quantity for row in rows],
        "value": lambda rows: [row.value for row in rows],
        "unit": lambda rows: [row.unit for row in rows],
        "source_seq": lambda rows: [row.source_seq for row in rows],
        "extra": lambda rows: [row.extra for row in rows],
    },
    "device_events": {
        **_TIMED,
        "event": lambda rows: [row.event for row in rows],
        "antenna": lambda rows: [row.antenna for row in rows],
        "from_time": lambda rows: [row.from_us for row in rows],
        "until_time": lambda rows: [row.until_us for row in rows],
        "count": lambda rows: [row.count for row in rows],
        "source_seq": lambda rows: [row.source_seq for row in rows],
        "detail": lambda rows: [row.detail for row in rows],
    },
    "business_events": {
        **_TIMED,
        "event": lambda rows: [row.event for row in rows],
        "event_id": lambda rows: [row.event_id for row in rows],
        "quantity": lambda rows: [row.quantity for row in rows],
        "gtin": lambda rows: [row.gtin for row in rows],
        "epc_hex": lambda rows: [row.epc_hex for row in rows],
        "zone": lambda rows: [row.zone for row in rows],
        "business_transaction": lambda rows: [row.business_transaction for row in rows],
        "extra": lambda rows: [row.extra for row in rows],
    },
    "rejects": {
        "reason_code": lambda rows: [row.reason_code for row in rows],
        "reason": lambda rows: [row.reason for row in rows],
    },
}
"""By stream, the columns that an observation fills by itself."""


class SiteRows:
    """Rows of one site, stream by stream, in the order in which they are added."""

    def __init__(self, site: str | None) -> None:
        self._site = site
        self._reads = _StreamRows()
        self._readings = _StreamRows()
        self._device_events = _StreamRows()
        self._business_events = _StreamRows()
        self._rejects = _StreamRows()

    def add(self, logged: LoggedPublication, source: Source | None, decoded: Decoded, *, first_index: int = 0) -> None:
        """Add what one publication says, numbering its rows across all streams.

        Args:
            logged: The publication, behind all that were added before.
            source: Who published; `None` where nobody is known.
            decoded: What it says.
            first_index: `edge_index` of its first row; rows of other sites come before it.
        """
        index = first_index
        if decoded.reads:
            index = self._reads.add(logged, source, decoded.reads, index)
        if decoded.readings:
            index = self._readings.add(logged, source, decoded.readings, index)
        if decoded.device_events:
            index = self._device_events.add(logged, source, decoded.device_events, index)
        if decoded.business_events:
            index = self._business_events.add(logged, source, decoded.business_events, index)
        if decoded.rejects:
            self._rejects.add(logged, source, decoded.rejects, index)

    def batches(self, edge_id: str) -> dict[str, pa.RecordBatch]:
        """Return the rows of every stream that has any, in `devices.schemas` form."""
        streams = {
            "reads": self._reads,
            "readings": self._readings,
            "device_events": self._device_events,
            "business_events": self._business_events,
            "rejects": self._rejects,
        }
        return {name: stream.batch(name, self._site, edge_id) for name, stream in streams.items() if stream.rows}


class _StreamRows:
    """Rows of one stream, and for each publication who sent it and how many of the rows are its own."""

    __slots__ = ("counts", "firsts", "publications", "rows", "sources")

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.publications: list[LoggedPublication] = []
        self.sources: list[Source | None] = []
        self.counts: list[int] = []
        self.firsts: list[int] = []

    def add(self, logged: LoggedPublication, source: Source | None, rows: Sequence[Any], first: int) -> int:
        """Add one publication's rows, the first of which has the given `edge_index`; return the next one's."""
        count = len(rows)
        self.rows += rows
        self.publications.append(logged)
        self.sources.append(source)
        self.counts.append(count)
        self.firsts.append(first)
        return first + count

    def batch(self, stream: str, site: str | None, edge_id: str) -> pa.RecordBatch:
        schema = STREAMS[stream]
        columns = {name: _array(values(self.rows), schema.field(name).type) for name, values in _VALUES[stream].items()}
        columns |= self._edge_columns(edge_id)
        columns |= self._source_columns(site)
        if stream == "rejects":
            columns |= self._publication_columns()
        else:
            columns["event_time"] = pc.coalesce(columns["reader_time"], columns["received_time"])
            columns["late"] = pa.nulls(len(self.rows), pa.bool_())
        return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)

    def _edge_columns(self, edge_id: str) -> dict[str, pa.Array]:
        counts, firsts = np.array(self.counts), np.array(self.firsts)
        offsets = np.array([each.edge_offset for each in self.publications])
        received = np.array([each.publication.received_us for each in self.publications])
        index = np.arange(len(self.rows)) - np.repeat(np.cumsum(counts) - counts - firsts, counts)
        return {
            "edge_id": pa.repeat(pa.scalar(edge_id, pa.string()), len(self.rows)),
            "edge_offset": pa.array(np.repeat(offsets, counts)),
            "edge_index": pa.array(index.astype(np.int32)),
            "received_time": pa.array(np.repeat(received, counts)).view(TIMESTAMP),
        }

    def _source_columns(self, site: str | None) -> dict[str, pa.Array]:
        names: list[str | None] = []
        kinds: list[str | None] = []
        numbers: dict[int, int] = {}
        of_publication = []
        for source in self.sources:
            number = numbers.setdefault(id(source), len(names))
            of_publication.append(number)
            if number == len(names):
                names.append(None if source is None else source.id)
                kinds.append(None if source is None else source.kind.value)
        of_row = pa.array(np.repeat(of_publication, self.counts))
        named = pa.array(names, pa.string()).take(of_row)
        return {
            "site": pa.repeat(pa.scalar(site, pa.string()), len(self.rows)),
            "reader": named,
            "source": named,
            "source_kind": pa.array(kinds, pa.string()).take(of_row),
        }

    def _publication_columns(self) -> dict[str, pa.Array]:
        """Return topic and bytes of rejects: a publication's bytes stand in its first row only."""
        topics: list[str] = []
        payloads: list[bytes] = []
        for logged, count in zip(self.publications, self.counts, strict=True):
            topics += [_storable(logged.publication.topic)] * count
            payloads += [_rejected_bytes(logged.publication), *[b""] * (count - 1)]
        return {"topic": pa.array(topics, pa.string()), "bytes": pa.array(payloads, pa.binary())}


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, pa.int64()).view(TIMESTAMP) if kind == TIMESTAMP else pa.array(values, kind)


def _rejected_bytes(publication: Publication) -> bytes:
    if publication.topic == CAPTURE_PROBLEM_TOPIC:
        return publication.payload.partition(b"\n")[2]
    return publication.payload


def _storable(text: str) -> str:
    """Return a topic as a text column holds it: a capture may name topics that are not Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()
