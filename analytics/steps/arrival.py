"""The arrival step, first of every pipeline: from a chunk as decoded to rows that jobs can rely on.

In this order, over the rows of all streams together, in the order of the edge log:

1. *Repeats* are dropped and counted (`repeats.py`): rows with a device time or a running number that agree with an
   earlier row in everything that the device sent, and business events whose `event_id` is known.
2. *Clocks* are corrected (`clocks.py`): `event_time` becomes the device's time plus its clock's offset.
3. *Lateness* is decided: a row's effective time is its event time, or just behind the watermark where that has
   already passed.

What it derives - `clock` and `repeat` device events, `clock_implausible` alerts - goes into `Arrived.derived`.
Rejects pass through. Every decision depends on the sequence of rows alone, so chunking changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.schemas import ALERTS
from analytics.step import Arrived
from analytics.steps import clocks as ck
from analytics.steps.derived import Telling, derived_index, device_event_rows, table_of, timestamps
from analytics.steps.repeats import RepeatMemory
from analytics.steps.row_order import STREAM_ORDER, Rows, Speaker, changes, gather
from analytics.steps.state_bytes import pack, unpack
from devices.chunk import Chunk
from devices.observations import DeviceEventKind, SourceKind
from devices.site.model import ReaderClock, Site

_VERSION = 1
_REPEAT_GRID_US = 60_000_000
"""Repeats are told once a minute of receive time, per source and stream: a replay of 150,000 reports is a few rows."""
_MODES = {ReaderClock.ESTIMATE: ck.ESTIMATE, ReaderClock.TRUSTED: ck.TRUSTED, ReaderClock.ARRIVAL: ck.ARRIVAL}
_REPEAT_TELLINGS = (
    Telling.REPEAT_OF_READS,
    Telling.REPEAT_OF_READINGS,
    Telling.REPEAT_OF_DEVICE_EVENTS,
    Telling.REPEAT_OF_BUSINESS_EVENTS,
)
_CLOCK_TELLINGS = (Telling.CLOCK_OF_READS, Telling.CLOCK_OF_READINGS, Telling.CLOCK_OF_DEVICE_EVENTS)


@dataclass(slots=True)
class _Counted:
    """Repeats of one speaker in one minute."""

    count: int = 0
    first_us: int = 0
    last_us: int = 0
    edge_id: str = ""
    edge_offset: int = 0
    edge_index: int = 0


@dataclass(slots=True, kw_only=True)
class ArrivalState:
    """What the arrival step remembers of a site."""

    memory: RepeatMemory = field(default_factory=RepeatMemory)
    """Keys of recent rows."""
    speakers: dict[Speaker, int] = field(default_factory=dict)
    """Speakers and their rows in `clocks`. Sources come from site files, so there are a bounded number."""
    clocks: ck.Times = field(default_factory=lambda: ck.new_clocks(0))
    """Numbers of the speakers' clocks."""
    site: ck.Times = field(default_factory=ck.new_site)
    """Numbers of the site's time."""
    repeat_minute: int = 0
    """Minute of receive time that `counted` is of."""
    counted: dict[Speaker, _Counted] = field(default_factory=dict)
    """Repeats in it."""


class ArrivalStep:
    """Removes repeats, corrects clocks, decides lateness."""

    name = "arrival"

    def initial(self, site: Site) -> ArrivalState:  # noqa: ARG002  every step is asked with the site
        """Return the state before anything was seen."""
        return ArrivalState()

    def step(self, state: ArrivalState, chunk: Chunk, site: Site) -> tuple[ArrivalState, Arrived]:
        """Take one chunk in.

        Args:
            state: What is remembered; changed.
            chunk: Decoded rows of the site.
            site: Its site file.

        Returns:
            The state, and the chunk with times that can be relied on.
        """
        batches = {name: batch for name, batch in chunk.batches.items() if batch.num_rows}
        watermark_before = int(state.site[ck.WATERMARK])
        rows = gather(batches, chunk, state.speakers)
        repeated = state.memory.admit(rows.key, rows.comparable, rows.received_us)
        told = _Told(site=site.id, edge_id=chunk.edge_id)
        _count_repeats(state, rows, repeated, told)
        event_us, effective_us = _place(state, rows, ~repeated, site, told)
        arrived, effective = _streams(batches, rows, ~repeated, event_us, effective_us)
        return state, Arrived(
            site=site.id,
            edge_id=chunk.edge_id,
            batches=arrived,
            effective_us=effective,
            watermark_us=int(state.site[ck.WATERMARK]),
            previous_watermark_us=watermark_before,
            derived=told.tables(),
        )

    def dump(self, state: ArrivalState) -> bytes:
        """Turn a state to bytes; equal states give equal bytes, whatever the chunks were."""
        life, young, elder = state.memory.dump()
        speakers = sorted(state.speakers)
        counted = [[*speaker, *astuple(state.counted[speaker])] for speaker in sorted(state.counted)]
        return pack(
            _VERSION,
            {
                "speakers": json.dumps(speakers),
                "counted": json.dumps(counted),
                "repeat_minute": state.repeat_minute,
            },
            {
                "memory": life,
                "young": young,
                "elder": elder,
                "clocks": state.clocks[[state.speakers[speaker] for speaker in speakers]],
                "site": state.site,
            },
        )

    def load(self, blob: bytes, site: Site) -> ArrivalState:  # noqa: ARG002  every step is asked with the site
        """Turn bytes back to a state."""
        values, arrays = unpack(_VERSION, blob)
        speakers = [_speaker(row) for row in json.loads(str(values["speakers"]))]
        return ArrivalState(
            memory=RepeatMemory.load(arrays["memory"], arrays["young"], arrays["elder"]),
            speakers={speaker: number for number, speaker in enumerate(speakers)},
            clocks=arrays["clocks"],
            site=arrays["site"],
            repeat_minute=int(values["repeat_minute"] or 0),
            counted={_speaker(row): _Counted(*row[3:]) for row in json.loads(str(values["counted"]))},
        )


def _speaker(row: list[Any]) -> Speaker:
    return int(row[0]), str(row[1]), str(row[2])


@dataclass(slots=True, kw_only=True)
class _Told:
    """Derived rows of a chunk, each with the place in row order at which it is told."""

    site: str
    edge_id: str
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    alerts: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def event(self, at: int, **columns: Any) -> None:
        """Tell a derived device event."""
        self.events.append((at, {"edge_id": self.edge_id, "site": self.site, **columns}))

    def alert(self, at: int, **columns: Any) -> None:
        """Tell an alert."""
        self.alerts.append((at, {"site": self.site, **columns}))

    def tables(self) -> dict[str, pa.Table]:
        """Return what was told, in row order, by table."""
        tables = {}
        if self.events:
            tables["device_events"] = device_event_rows([row for _, row in sorted(self.events, key=lambda e: e[0])])
        if self.alerts:
            tables["alerts"] = table_of([row for _, row in sorted(self.alerts, key=lambda e: e[0])], ALERTS)
        return tables


def _count_repeats(state: ArrivalState, rows: Rows, repeated: ck.Flags, told: _Told) -> None:
    """Count repeats by minute of receive time; tell a minute's counts at the first row of another minute."""
    minute = rows.received_us // _REPEAT_GRID_US
    if not state.counted and not repeated.any():
        state.repeat_minute = int(minute[-1]) if rows.count else state.repeat_minute
        return
    speakers = list(state.speakers)
    for first, end in changes(minute):
        if minute[first] != state.repeat_minute:
            for speaker in sorted(state.counted):
                _tell_repeats(told, first, speaker, state.counted[speaker])
            state.counted.clear()
            state.repeat_minute = int(minute[first])
        places = first + np.flatnonzero(repeated[first:end])
        for number in np.unique(rows.clock[places]):
            mine = places[rows.clock[places] == number]
            counted = state.counted.setdefault(speakers[number], _Counted(first_us=int(rows.received_us[mine[0]])))
            counted.count += mine.size
            counted.last_us = int(rows.received_us[mine[-1]])
            counted.edge_id = told.edge_id
            counted.edge_offset = int(rows.edge_offset[mine[-1]])
            counted.edge_index = int(rows.edge_index[mine[-1]])


def _tell_repeats(told: _Told, at: int, speaker: Speaker, counted: _Counted) -> None:
    stream, source_kind, source = speaker
    told.event(
        at,
        source_kind=source_kind,
        source=source,
        event=DeviceEventKind.REPEAT.value,
        event_time=counted.last_us,
        received_time=counted.last_us,
        from_time=counted.first_us,
        until_time=counted.last_us,
        count=counted.count,
        detail=json.dumps({"stream": STREAM_ORDER[stream]}),
        edge_id=counted.edge_id,
        edge_offset=counted.edge_offset,
        edge_index=derived_index(counted.edge_index, _REPEAT_TELLINGS[stream]),
    )


def _place(state: ArrivalState, rows: Rows, kept: ck.Flags, site: Site, told: _Told) -> tuple[ck.Times, ck.Times]:
    """Return event times and effective times in row order, and tell what was found about clocks."""
    missing = len(state.speakers) - len(state.clocks)
    if missing:
        state.clocks = np.concatenate([state.clocks, ck.new_clocks(missing)])
    event_us = np.full(rows.count, ck.NEVER, dtype=np.int64)
    effective_us = np.zeros(rows.count, dtype=np.int64)
    announced = np.zeros(rows.count, dtype=np.bool_)
    implausible = np.zeros(rows.count, dtype=np.bool_)
    previous_us = np.zeros(rows.count, dtype=np.int64)
    ck.correct_times(
        state.clocks,
        _modes(state.speakers, site),
        rows.clock,
        rows.received_us,
        rows.reader_us,
        kept,
        event_us,
        announced,
        previous_us,
        implausible,
    )
    ck.place_in_time(
        state.site,
        round(site.allowed_lateness_s * 1e6),
        bool(site.readers),
        rows.kind,
        rows.received_us,
        kept,
        event_us,
        effective_us,
    )
    speakers = list(state.speakers)
    for at in np.flatnonzero(announced).tolist():
        offsets_us = int(previous_us[at]), int(event_us[at] - rows.reader_us[at])
        _tell_clock(told, rows, at, speakers[rows.clock[at]], offsets_us)
    for at in np.flatnonzero(implausible).tolist():
        _tell_implausible(told, rows, at, speakers[rows.clock[at]])
    return event_us, effective_us


def _modes(speakers: Mapping[Speaker, int], site: Site) -> ck.Codes:
    """Return how far each speaker's clock is believed.

    A business system's times say when something was true for the business, hours from when it was published: there
    is no clock offset to be found in them.
    """
    readers = {reader.id: _MODES[reader.clock] for reader in site.readers}
    return np.array(
        [
            ck.TRUSTED
            if source_kind == SourceKind.FEED
            else readers.get(source, ck.ESTIMATE)
            if source_kind == SourceKind.READER
            else ck.ESTIMATE
            for _, source_kind, source in speakers
        ],
        dtype=np.int8,
    )


def _tell_clock(told: _Told, rows: Rows, at: int, speaker: Speaker, offsets_us: tuple[int, int]) -> None:
    stream, source_kind, source = speaker
    previous_us, offset_us = offsets_us
    told.event(
        at,
        source_kind=source_kind,
        source=source,
        event=DeviceEventKind.CLOCK.value,
        event_time=int(rows.reader_us[at]) + offset_us,
        received_time=int(rows.received_us[at]),
        reader_time=int(rows.reader_us[at]),
        detail=json.dumps(
            {"stream": STREAM_ORDER[stream], "offset_s": offset_us / 1e6, "previous_offset_s": previous_us / 1e6}
        ),
        edge_offset=int(rows.edge_offset[at]),
        edge_index=derived_index(int(rows.edge_index[at]), _CLOCK_TELLINGS[stream]),
    )


def _tell_implausible(told: _Told, rows: Rows, at: int, speaker: Speaker) -> None:
    stream, source_kind, source = speaker
    lag_us = int(rows.received_us[at] - rows.reader_us[at])
    way = "behind" if lag_us > 0 else "ahead"
    taken = "times are taken as history published again" if lag_us > 0 else "times are corrected"
    told.alert(
        at,
        alert="clock_implausible",
        subject_kind=source_kind,
        subject=source,
        severity="warning",
        event_time=int(rows.received_us[at]),
        detail=json.dumps(
            {
                "stream": STREAM_ORDER[stream],
                "lag_s": lag_us / 1e6,
                "text": f"its clock is {abs(lag_us) / 86.4e9:.1f} days {way}; {taken}. Set its NTP server, or in the "
                'site file clock = "arrival" (ignore its times) or clock = "trusted" (they are right)',
            }
        ),
    )


def _streams(
    batches: Mapping[str, pa.RecordBatch],
    rows: Rows,
    kept: ck.Flags,
    event_us: ck.Times,
    effective_us: ck.Times,
) -> tuple[dict[str, pa.RecordBatch], dict[str, npt.NDArray[np.int64]]]:
    """Return the streams without repeats and with their times, and effective times by stream."""
    arrived, effective = {}, {}
    for stream, batch in batches.items():
        if stream not in STREAM_ORDER:
            arrived[stream] = batch
            continue
        keep, event, effect = (rows.of_stream(stream, v, batch.num_rows) for v in (kept, event_us, effective_us))
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns["event_time"] = timestamps(event)
        columns["late"] = pa.array(effect != event)
        timed = pa.RecordBatch.from_arrays([columns[name] for name in batch.schema.names], schema=batch.schema)
        if not keep.all():
            timed, effect = timed.filter(pa.array(keep)), effect[keep]
        if timed.num_rows:
            arrived[stream], effective[stream] = timed, effect
    return arrived, effective
