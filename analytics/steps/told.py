"""What the arrival step tells: `repeat` and `clock` device events, `clock_implausible` alerts, in row order."""

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from analytics.schemas import ALERTS
from analytics.steps.derived import Telling, derived_index, device_event_rows, table_of
from analytics.steps.row_order import STREAM_ORDER, Rows, Speaker
from devices.observations import DeviceEventKind, SourceKind

_REPEAT_TELLINGS = (
    Telling.REPEAT_OF_READS,
    Telling.REPEAT_OF_READINGS,
    Telling.REPEAT_OF_DEVICE_EVENTS,
    Telling.REPEAT_OF_BUSINESS_EVENTS,
)
_CLOCK_TELLINGS = (Telling.CLOCK_OF_READS, Telling.CLOCK_OF_READINGS, Telling.CLOCK_OF_DEVICE_EVENTS)


@dataclass(slots=True)
class Counted:
    """Repeats of one speaker in one minute."""

    count: int = 0
    first_us: int = 0
    last_us: int = 0
    edge_id: str = ""
    edge_offset: int = 0
    edge_index: int = 0


@dataclass(slots=True, kw_only=True)
class Told:
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


def tell_repeats(told: Told, at: int, speaker: Speaker, counted: Counted) -> None:
    """Tell how many reports of a speaker came again within a minute."""
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


def tell_clock(told: Told, rows: Rows, at: int, speaker: Speaker, offsets_us: tuple[int, int]) -> None:
    """Tell that the correction of a clock changed, from one offset to another."""
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


def tell_implausible(told: Told, rows: Rows, at: int, speaker: Speaker) -> None:
    """Tell that a device's clock is days off, and what to do about it."""
    stream, source_kind, source = speaker
    lag_us = int(rows.received_us[at] - rows.reader_us[at])
    way = "behind" if lag_us > 0 else "ahead"
    taken = "times are taken as history published again" if lag_us > 0 else "times are corrected, or ignored"
    mend = (
        'Set its NTP server, or in the site file clock = "arrival" (ignore its times) or clock = "trusted" '
        "(they are right)"
    )
    if source_kind == SourceKind.FEED:
        mend = "Events more than 30 days ahead count when they were received: correct their time"
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
                "text": f"its clock is {abs(lag_us) / 86.4e9:.1f} days {way}; {taken}. {mend}",
            }
        ),
    )
