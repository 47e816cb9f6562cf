"""The device-health step: what devices lost, dropped, and when they fell silent.

Four findings, each a derived device event: `gap` (running numbers that never came, `sequences.py`), `dropped` (a
heartbeat's counter of dropped reports rose), `silent` and `resumed` (`silence.py`). What a device says itself, such
as `overflow`, is in the canonical stream already. A silence is an alert, too.

Findings are written when the watermark makes them certain, in the order in which it does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.step import Arrived, Outputs
from analytics.steps import silence
from analytics.steps.derived import Telling, microseconds
from analytics.steps.findings import Cause, Finding, Sender, write
from analytics.steps.sequences import TELLINGS, Counter, NumberedRows, begin_counter
from analytics.steps.state_bytes import pack, unpack
from devices.observations import DeviceEventKind, SourceKind
from devices.site.model import Site

_VERSION = 1


class _Dropped(msgspec.Struct, array_like=True, frozen=True):
    """What a device's last heartbeat counted."""

    total: int
    event_us: int


class Known(msgspec.Struct):
    """What the device-health step remembers of a site. Devices come from site files: a bounded number."""

    counters: dict[tuple[str, str, str], Counter] = msgspec.field(default_factory=dict)
    """Counters by stream, source kind and source."""
    dropped: dict[Sender, _Dropped] = msgspec.field(default_factory=dict)
    """Last heartbeats by source kind and source."""
    lives: dict[str, silence.Life] = msgspec.field(default_factory=dict)
    """Readers that have read, by name."""
    names: silence.Names = msgspec.field(default_factory=silence.Names)
    """Readers and edge logs by number, as `HealthState.waiting` has them."""
    pending: list[Finding] = msgspec.field(default_factory=list)
    """Findings that the watermark has not reached."""
    absences: silence.Absences = msgspec.field(default_factory=silence.Absences)
    """When our own bridge did not listen."""


@dataclass(slots=True, kw_only=True)
class HealthState:
    """State of the step."""

    known: Known = field(default_factory=Known)
    """What is remembered."""
    waiting: silence.Columns = silence.NO_READS
    """Reads that the watermark has not passed, thinned to two a reader and second."""


class DeviceHealthStep:
    """What devices lost, dropped, and when they fell silent."""

    name = "device_health"

    def initial(self, site: Site) -> HealthState:  # noqa: ARG002  every step is asked with the site
        """Return the state before anything was seen."""
        return HealthState()

    def step(self, state: HealthState, arrived: Arrived, site: Site) -> tuple[HealthState, Outputs]:
        """Take one chunk in; return findings that its watermark makes certain."""
        watermark_us, known = arrived.watermark_us, state.known
        for stream in TELLINGS:
            for sender, rows in _numbered(arrived, stream):
                counter = known.counters.get((stream, *sender))
                if counter is None:
                    counter = known.counters[stream, *sender] = begin_counter(rows)
                counter.take(rows)
        for (stream, kind, source), counter in known.counters.items():
            known.pending += counter.certain(watermark_us, (kind, source), stream)
        known.pending += _count_dropped(known, arrived)
        _note_absences(known.absences, arrived)
        state.waiting = silence.joined(state.waiting, silence.thinned(_reads(arrived, known.names)))
        due_reads, state.waiting = silence.split(state.waiting, watermark_us)
        known.pending += silence.listen(known.lives, known.names, known.absences, due_reads)
        known.pending += silence.notice(known.lives, known.absences, watermark_us)
        due = [finding for finding in known.pending if finding.due_us <= watermark_us]
        known.pending = [finding for finding in known.pending if finding.due_us > watermark_us]
        return state, write(due, site)

    def dump(self, state: HealthState) -> bytes:
        """Turn a state to bytes."""
        known = np.frombuffer(msgspec.msgpack.encode(state.known), dtype=np.uint8)
        return pack(_VERSION, {}, {"known": known, "waiting": np.stack(state.waiting)})

    def load(self, blob: bytes, site: Site) -> HealthState:  # noqa: ARG002  every step is asked with the site
        """Turn bytes back to a state."""
        _, arrays = unpack(_VERSION, blob)
        known = msgspec.msgpack.decode(arrays["known"].tobytes(), type=Known)
        return HealthState(known=known, waiting=tuple(arrays["waiting"]))


def _numbered(arrived: Arrived, stream: str) -> Iterator[tuple[Sender, NumberedRows]]:
    """Yield each device's rows that have a running number.

    Bluetooth advertisements are left out: whether their numbers are of the data or the management counter, or of
    one of their own, differs between firmwares.
    """
    batch = arrived.batches.get(stream)
    if batch is None or batch.column("source_seq").null_count == batch.num_rows:
        return
    has_seq: npt.NDArray[np.bool_] = batch.column("source_seq").is_valid().to_numpy(zero_copy_only=False)
    if stream == "device_events":
        has_seq &= np.array([event != DeviceEventKind.BLE for event in batch.column("event").to_pylist()])
    columns = {
        "seq": batch.column("source_seq").fill_null(0).to_numpy(),
        "event_us": microseconds(batch.column("event_time")),
        "effective_us": arrived.effective_us[stream],
        "received_us": microseconds(batch.column("received_time")),
        "edge_offset": batch.column("edge_offset").to_numpy(),
        "edge_index": batch.column("edge_index").to_numpy(),
    }
    for sender, rows in _by_sender(batch, stream):
        mine = rows & has_seq
        if mine.any():
            yield (
                sender,
                NumberedRows(edge_id=arrived.edge_id, **{name: column[mine] for name, column in columns.items()}),
            )


def _by_sender(batch: pa.RecordBatch, stream: str) -> Iterator[tuple[Sender, npt.NDArray[np.bool_]]]:
    source = batch.column("reader" if stream == "reads" else "source").dictionary_encode()
    kinds = None if stream == "reads" else batch.column("source_kind").dictionary_encode()
    for number, name in enumerate(source.dictionary.to_pylist()):
        is_name: npt.NDArray[np.bool_] = source.indices.to_numpy() == number
        if kinds is None:
            yield (SourceKind.READER.value, name), is_name
            continue
        for kind_number, kind in enumerate(kinds.dictionary.to_pylist()):
            yield (kind, name), is_name & (kinds.indices.to_numpy() == kind_number)


def _count_dropped(known: Known, arrived: Arrived) -> list[Finding]:
    """Return a finding for each heartbeat whose counter of dropped reports rose, or fell to more than nothing."""
    batch = arrived.batches.get("device_events")
    if batch is None:
        return []
    findings = []
    effective_us = arrived.effective_us["device_events"]
    beats = [event == DeviceEventKind.HEARTBEAT for event in batch.column("event").to_pylist()]
    for row in np.flatnonzero(beats).tolist():
        total = batch.column("count")[row].as_py()
        if total is None:
            continue
        sender = (batch.column("source_kind")[row].as_py(), batch.column("source")[row].as_py())
        cause = _cause(arrived.edge_id, batch, row)
        before = known.dropped.get(sender)
        if before is not None and cause.event_us < before.event_us:
            continue  # a heartbeat that was overtaken: it says less than what is known, and is no restart
        known.dropped[sender] = _Dropped(total=total, event_us=cause.event_us)
        if before is None or total == before.total:
            continue
        dropped = total - before.total if total > before.total else total  # a fall: it has restarted, from 0
        if dropped:
            findings.append(_dropped_finding(sender, dropped, before.event_us, cause, int(effective_us[row])))
    return findings


def _note_absences(absences: silence.Absences, arrived: Arrived) -> None:
    batch = arrived.batches.get("device_events")
    if batch is None:
        return
    for row in np.flatnonzero([event == DeviceEventKind.AWAY for event in batch.column("event").to_pylist()]).tolist():
        first, last = batch.column("from_time")[row], batch.column("until_time")[row]
        if batch.column("source_kind")[row].as_py() == SourceKind.BRIDGE and first.is_valid and last.is_valid:
            absences.add(first.value, last.value)


def _dropped_finding(sender: Sender, dropped: int, from_us: int, cause: Cause, due_us: int) -> Finding:
    return Finding(
        due_us=due_us,
        sender=sender,
        event=DeviceEventKind.DROPPED,
        telling=Telling.DROPPED,
        cause=cause,
        event_us=cause.event_us,
        from_us=from_us,
        until_us=cause.event_us,
        count=dropped,
        detail={},
    )


def _cause(edge_id: str, batch: pa.RecordBatch, row: int) -> Cause:
    return Cause(
        event_us=batch.column("event_time")[row].value,
        received_us=batch.column("received_time")[row].value,
        edge_id=edge_id,
        edge_offset=batch.column("edge_offset")[row].as_py(),
        edge_index=batch.column("edge_index")[row].as_py(),
    )


def _reads(arrived: Arrived, names: silence.Names) -> silence.Columns:
    """Return the chunk's reads as columns, giving new readers and edge logs the next numbers."""
    batch = arrived.batches.get("reads")
    if batch is None:
        return silence.NO_READS
    reader = batch.column("reader").dictionary_encode()
    numbers = np.array([_number(names.readers, name) for name in reader.dictionary.to_pylist()], dtype=np.int64)
    edge = _number(names.edges, arrived.edge_id)
    return (
        numbers[reader.indices.to_numpy()],
        arrived.effective_us["reads"],
        microseconds(batch.column("event_time")),
        microseconds(batch.column("received_time")),
        np.full(batch.num_rows, edge, dtype=np.int64),
        batch.column("edge_offset").to_numpy(),
        batch.column("edge_index").to_numpy().astype(np.int64),
    )


def _number(names: list[str], name: str) -> int:
    """Return a name's number, giving a new one the next."""
    if name not in names:
        names.append(name)
    return names.index(name)
