"""What a runner took in and landed, counted for people: by stream, reason, site. Pure; nothing of it steers anything.

Sites and reasons are kept to a bounded number each: what comes beyond is counted under `other`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from devices.chunk import Chunk
from devices.observations import DeviceEventKind

SITES_MAX = 500
"""Sites that are kept apart: more do not run in one process."""
REASONS_MAX = 200
"""Reasons of rejects that are kept apart: docs/rejects.md has some fifty."""
OTHER = "other"
"""Where the rest is counted."""

LOSSES = (DeviceEventKind.OVERFLOW, DeviceEventKind.GAP, DeviceEventKind.DROPPED, DeviceEventKind.SESSION_LOST)
"""Device events that tell of reports which were lost before they reached us."""

K = TypeVar("K")

_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(slots=True, kw_only=True)
class LandingReport:
    """Counts since the runner was made, and the newest times landed."""

    decoded: dict[str, int] = field(default_factory=dict)
    """Rows taken in, by stream."""
    repeats: dict[str, int] = field(default_factory=dict)
    """Of these, repeats of earlier ones that were dropped, by stream."""
    late: dict[str, int] = field(default_factory=dict)
    """Rows landed that came later than the watermark, by stream."""
    rejects: dict[str, int] = field(default_factory=dict)
    """Rejects landed, by reason code."""
    device_events: dict[str, int] = field(default_factory=dict)
    """Device events landed, by kind."""
    loss_rows: dict[tuple[str, str], int] = field(default_factory=dict)
    """Device events that tell of a loss, by site and kind."""
    lost: dict[tuple[str, str], int] = field(default_factory=dict)
    """Reports that these say were lost, by site and kind; an event that does not say how many counts as one."""
    received_us: dict[str, int] = field(default_factory=dict)
    """Receive time through which everything is landed, by site, microseconds since the epoch; an idle site's clock
    records move it too."""
    event_us: dict[str, int] = field(default_factory=dict)
    """Newest event time of a read landed, by site, microseconds since the epoch."""

    def take_in(self, chunk: Chunk) -> None:
        """Count a chunk's rows."""
        for stream, batch in chunk.batches.items():
            _add(self.decoded, stream, batch.num_rows)

    def drop(self, repeats: Mapping[str, int]) -> None:
        """Count rows that were dropped as repeats."""
        for stream, count in repeats.items():
            _add(self.repeats, stream, count)

    def land(self, chunks: Sequence[Chunk], rows: Mapping[str, pa.Table]) -> None:
        """Count what was committed.

        Args:
            chunks: What the epoch was made of.
            rows: What was landed, by table.
        """
        for chunk in chunks:
            newest_us = _newest_us(chunk)
            if chunk.site is not None and newest_us is not None:
                _raise(self.received_us, self._site(chunk.site), newest_us)
        for table, landed in rows.items():
            if "late" in landed.schema.names:
                _add(self.late, table, pc.sum(landed["late"]).as_py() or 0)
        self._land_rejects(rows.get("rejects"))
        self._land_device_events(rows.get("device_events"))
        self._land_reads(rows.get("reads"))

    def _land_rejects(self, rejects: pa.Table | None) -> None:
        for entry in [] if rejects is None else pc.value_counts(rejects["reason_code"]).to_pylist():
            reason = entry["values"] if _REASON.fullmatch(entry["values"]) else OTHER
            _add(
                self.rejects,
                reason if reason in self.rejects or len(self.rejects) < REASONS_MAX else OTHER,
                entry["counts"],
            )

    def _land_device_events(self, events: pa.Table | None) -> None:
        if events is None:
            return
        for entry in pc.value_counts(events["event"]).to_pylist():
            _add(self.device_events, entry["values"], entry["counts"])
        losses = events.filter(pc.is_in(events["event"], pa.array([kind.value for kind in LOSSES])))
        for site, kind, count in _rows(losses, "site", "event", "count"):
            key = (self._site(site), kind)
            _add(self.loss_rows, key, 1)
            _add(self.lost, key, 1 if count is None else count)

    def _land_reads(self, reads: pa.Table | None) -> None:
        if reads is None:
            return
        newest = reads.group_by("site").aggregate([("event_time", "max")])
        for site, event_time in _rows(newest, "site", "event_time_max"):
            _raise(self.event_us, self._site(site), round(event_time.timestamp() * 1e6))

    def _site(self, site: str) -> str:
        return site if site in self.received_us or len(self.received_us) < SITES_MAX else OTHER


def _newest_us(chunk: Chunk) -> int | None:
    times = [pc.max(batch["received_time"]).value for batch in chunk.batches.values() if batch.num_rows]
    return max([*times, *(mark.received_us for mark in chunk.clock)], default=None)


def _rows(table: pa.Table, *columns: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[column].to_pylist() for column in columns), strict=True)


def _add(counts: dict[K, int], key: K, count: int) -> None:
    counts[key] = counts.get(key, 0) + count


def _raise(newest: dict[str, int], site: str, us: int) -> None:
    newest[site] = max(newest.get(site, us), us)
