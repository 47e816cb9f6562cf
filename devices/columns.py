"""From decoded observations to Arrow columns: rows are collected per site and turned to columns all at once."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from devices.observations import Decoded, Source
from devices.publication import CAPTURE_PROBLEM_TOPIC, LoggedPublication, Publication
from devices.schemas import STREAMS, TIMESTAMP

_ATTRIBUTES = {"reader_time": "reader_time_us", "from_time": "from_us", "until_time": "until_us"}
"""Columns whose observation attribute is named otherwise."""


class SiteRows:
    """Rows of one site, stream by stream, in the order in which they are added."""

    def __init__(self, site: str | None) -> None:
        self._site = site
        self._streams = {name: _StreamRows() for name in STREAMS}

    def add(self, logged: LoggedPublication, source: Source | None, decoded: Decoded) -> None:
        """Add what one publication says.

        Args:
            logged: The publication, behind all that were added before.
            source: Who published; `None` where nobody is known.
            decoded: What it says.
        """
        index = 0
        for name, rows in (
            ("reads", decoded.reads),
            ("readings", decoded.readings),
            ("device_events", decoded.device_events),
            ("business_events", decoded.business_events),
            ("rejects", decoded.rejects),
        ):
            if rows:
                self._streams[name].add(logged, source, rows, index)
                index += len(rows)

    def batches(self, edge_id: str) -> dict[str, pa.RecordBatch]:
        """Return the rows of every stream that has any, in `devices.schemas` form."""
        return {name: stream.batch(name, self._site, edge_id) for name, stream in self._streams.items() if stream.rows}


class _StreamRows:
    """Rows of one stream, and for each publication who sent it and how many of the rows are its own."""

    __slots__ = ("counts", "firsts", "publications", "rows", "sources")

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.publications: list[LoggedPublication] = []
        self.sources: list[Source | None] = []
        self.counts: list[int] = []
        self.firsts: list[int] = []

    def add(self, logged: LoggedPublication, source: Source | None, rows: Sequence[Any], first: int) -> None:
        """Add one publication's rows, the first of which has the given `edge_index`."""
        self.rows += rows
        self.publications.append(logged)
        self.sources.append(source)
        self.counts.append(len(rows))
        self.firsts.append(first)

    def batch(self, stream: str, site: str | None, edge_id: str) -> pa.RecordBatch:
        schema = STREAMS[stream]
        columns = self._edge_columns(edge_id) | self._source_columns(site)
        if stream == "rejects":
            columns |= self._publication_columns()
        for field in schema:
            if field.name not in columns and field.name not in ("event_time", "late"):
                columns[field.name] = _column(self.rows, field)
        if "event_time" in schema.names:
            columns["event_time"] = pc.coalesce(columns["reader_time"], columns["received_time"])
            columns["late"] = pa.nulls(len(self.rows), pa.bool_())
        return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)

    def _edge_columns(self, edge_id: str) -> dict[str, pa.Array]:
        counts = np.array(self.counts)
        offsets = np.fromiter((each.edge_offset for each in self.publications), np.int64, len(counts))
        received = np.fromiter((each.publication.received_us for each in self.publications), np.int64, len(counts))
        starts = np.cumsum(counts) - counts - np.array(self.firsts)
        index = np.arange(len(self.rows)) - np.repeat(starts, counts)
        return {
            "edge_id": pa.repeat(pa.scalar(edge_id, pa.string()), len(self.rows)),
            "edge_offset": pa.array(np.repeat(offsets, counts)),
            "edge_index": pa.array(index.astype(np.int32)),
            "received_time": pa.array(np.repeat(received, counts)).view(TIMESTAMP),
        }

    def _source_columns(self, site: str | None) -> dict[str, pa.Array]:
        names = pa.array([None if each is None else each.id for each in self.sources], pa.string())
        kinds = pa.array([None if each is None else each.kind.value for each in self.sources], pa.string())
        of_row = pa.array(np.repeat(np.arange(len(self.counts)), self.counts))
        named = names.take(of_row)
        return {
            "site": pa.repeat(pa.scalar(site, pa.string()), len(self.rows)),
            "reader": named,
            "source": named,
            "source_kind": kinds.take(of_row),
        }

    def _publication_columns(self) -> dict[str, pa.Array]:
        """Return topic and bytes of rejects: a publication's bytes stand in its first row only."""
        topics: list[str] = []
        payloads: list[bytes] = []
        for logged, count in zip(self.publications, self.counts, strict=True):
            topics += [_storable(logged.publication.topic)] * count
            payloads += [_rejected_bytes(logged.publication), *[b""] * (count - 1)]
        return {"topic": pa.array(topics, pa.string()), "bytes": pa.array(payloads, pa.binary())}


def _column(rows: Sequence[Any], field: pa.Field) -> pa.Array:
    values = list(map(attrgetter(_ATTRIBUTES.get(field.name, field.name)), rows))
    return pa.array(values, pa.int64()).view(TIMESTAMP) if field.type == TIMESTAMP else pa.array(values, field.type)


def _rejected_bytes(publication: Publication) -> bytes:
    if publication.topic == CAPTURE_PROBLEM_TOPIC:
        return publication.payload.partition(b"\n")[2]
    return publication.payload


def _storable(text: str) -> str:
    """Return a topic as a text column holds it: a capture may name topics that are not Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()
