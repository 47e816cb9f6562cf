"""The arrival step, first of every pipeline: from a chunk as decoded to rows that jobs can rely on.

In this order, over the rows of all streams together, in the order of the edge log:

1. *Repeats* are dropped and counted (`repeats.py`): rows with a device time or a running number that agree with an
   earlier row in everything that the device sent, and business events whose `event_id` is known.
2. *Clocks* are corrected (`clocks.py`): `event_time` becomes the device's time plus its clock's offset.
3. *Lateness* is decided: a row's effective time is its event time, or just behind the watermark where that has
   already passed. How far the watermark stays behind follows how late rows are at the site.

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

from analytics.step import Arrived
from analytics.steps import clocks as ck
from analytics.steps.derived import timestamps
from analytics.steps.repeats import RepeatMemory
from analytics.steps.row_order import STREAM_ORDER, Rows, Speaker, changes, gather
from analytics.steps.state_bytes import pack, unpack
from analytics.steps.told import Counted, Told, tell_clock, tell_implausible, tell_repeats
from devices.chunk import Chunk
from devices.observations import SourceKind
from devices.site.model import ReaderClock, Site

_VERSION = 2
_REPEAT_GRID_US = 60_000_000
"""Repeats are told once a minute of receive time, per source and stream: a replay of 150,000 reports is a few rows."""
_MODES = {ReaderClock.ESTIMATE: ck.ESTIMATE, ReaderClock.TRUSTED: ck.TRUSTED, ReaderClock.ARRIVAL: ck.ARRIVAL}


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
    counted: dict[Speaker, Counted] = field(default_factory=dict)
    """Repeats in it."""
    complained_us: dict[tuple[str, str], int] = field(default_factory=dict)
    """When each source's clock was last complained about, whichever of its streams gave rise to it."""


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
        told = Told(site=site.id, edge_id=chunk.edge_id)
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
            wait_us=ck.wait_us(state.site, round(site.allowed_lateness_s * 1e6)),
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
                "complained_us": json.dumps([[*source, us] for source, us in sorted(state.complained_us.items())]),
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
            site=np.concatenate([arrays["site"], ck.new_site()[arrays["site"].size :]]),
            repeat_minute=int(values["repeat_minute"] or 0),
            complained_us={(row[0], row[1]): row[2] for row in json.loads(str(values["complained_us"]))},
            counted={_speaker(row): Counted(*row[3:]) for row in json.loads(str(values["counted"]))},
        )


def _speaker(row: list[Any]) -> Speaker:
    return int(row[0]), str(row[1]), str(row[2])


def _count_repeats(state: ArrivalState, rows: Rows, repeated: ck.Flags, told: Told) -> None:
    """Count repeats by minute of receive time; tell a minute's counts at the first row of another minute."""
    minute = rows.received_us // _REPEAT_GRID_US
    if not state.counted and not repeated.any():
        state.repeat_minute = int(minute[-1]) if rows.count else state.repeat_minute
        return
    speakers = list(state.speakers)
    for first, end in changes(minute):
        if minute[first] != state.repeat_minute:
            for speaker in sorted(state.counted):
                tell_repeats(told, first, speaker, state.counted[speaker])
            state.counted.clear()
            state.repeat_minute = int(minute[first])
        places = first + np.flatnonzero(repeated[first:end])
        for number in np.unique(rows.clock[places]):
            mine = places[rows.clock[places] == number]
            counted = state.counted.setdefault(speakers[number], Counted(first_us=int(rows.received_us[mine[0]])))
            counted.count += mine.size
            counted.last_us = int(rows.received_us[mine[-1]])
            counted.edge_id = told.edge_id
            counted.edge_offset = int(rows.edge_offset[mine[-1]])
            counted.edge_index = int(rows.edge_index[mine[-1]])


def _place(state: ArrivalState, rows: Rows, kept: ck.Flags, site: Site, told: Told) -> tuple[ck.Times, ck.Times]:
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
        tell_clock(told, rows, at, speakers[rows.clock[at]], offsets_us)
    for at in np.flatnonzero(implausible).tolist():
        received_us = int(rows.received_us[at])
        speaker = speakers[rows.clock[at]]
        last_us = state.complained_us.get(speaker[1:])
        if last_us is None or abs(received_us - last_us) >= ck.COMPLAIN_EVERY_US:
            state.complained_us[speaker[1:]] = received_us
            tell_implausible(told, rows, at, speaker)
    return event_us, effective_us


def _modes(speakers: Mapping[Speaker, int], site: Site) -> ck.Codes:
    """Return how far each speaker's clock is believed.

    A business system's times say when something was true for the business, hours from when it was published: there
    is no clock offset to be found in them.
    """
    readers = {reader.id: _MODES[reader.clock] for reader in site.readers}
    return np.array(
        [
            ck.BUSINESS
            if source_kind == SourceKind.FEED
            else readers.get(source, ck.ESTIMATE)
            if source_kind == SourceKind.READER
            else ck.ESTIMATE
            for _, source_kind, source in speakers
        ],
        dtype=np.int8,
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
