"""RFID readers: from what they hear on the air to the payloads that Impinj, Zebra and our own dialect publish.

Each reader keeps its own clock. A publisher is given the reads of its reader slice by slice, in order of true time,
and returns what it has sent by the end of the slice.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, repeat
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from devices.site.model import Reader
from simulators.publishers.sent import Sent, microsecond_text, millisecond_text, nanosecond_text, second_text
from simulators.radio_law import AirReads

REPORT_INTERVAL_US = 1_000_000
"""How often readers that batch send a report."""
HEARTBEAT_INTERVAL_US = 60_000_000
"""How often a Zebra reader sends a heartbeat."""

Rows = npt.NDArray[np.int64]
"""Row numbers of `AirReads`."""

ClockOffset = Callable[[int], int]
"""How far a reader's clock is ahead of true time, in microseconds, at a true time."""


class ReaderPublisher(Protocol):
    """A reader as the network sees it."""

    def start(self, at_us: int) -> list[Sent]:
        """Connect."""
        ...

    def publish(self, reads: AirReads, rows: Rows, until_us: int) -> list[Sent]:
        """Take in the rows of `reads` that are this reader's, and return everything sent before a time."""
        ...


class ImpinjPublisher:
    """An Impinj R700 on its IoT Device Interface: one publication for each read.

    Every second reader of the kind has been told to add the read time and the phase to the default fields.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        epcs: Sequence[str],
        first_antenna: int,
        all_fields: bool,
        clock_offset: ClockOffset,
        rng: np.random.Generator,
    ) -> None:
        self._reader = reader
        self._all_fields = all_fields
        self._clock_offset = clock_offset
        self._rng = rng
        self._epcs = [base64.urlsafe_b64encode(bytes.fromhex(epc)).decode() for epc in epcs]
        self._heads = [f'"antennaPort":{antenna.port},"peakRssiCdbm":' for antenna in reader.antennas]
        self._powers = [
            f',"transmitPowerCdbm":{round((antenna.tx_power_dbm or 30.0) * 100)}' for antenna in reader.antennas
        ]
        self._first = first_antenna

    def start(self, at_us: int) -> list[Sent]:
        """Publish the connect message, which is plain text."""
        return [Sent(at_us, topic, b"connected") for topic in self._reader.status_mqtt_topics]

    def publish(self, reads: AirReads, rows: Rows, until_us: int) -> list[Sent]:
        """Report each read some hundred microseconds after it happened."""
        del until_us
        count = len(rows)
        lags = self._rng.integers(300, 3_000, size=count).tolist()
        nanos = self._rng.integers(0, 1000, size=count).tolist()
        time_us, item = reads.time_us[rows].tolist(), reads.item[rows].tolist()
        port = (reads.antenna[rows] - self._first).tolist()
        rssi = (np.rint(reads.rssi_dbm[rows] * 2.0) * 50.0).astype(np.int64).tolist()  # half decibels
        frequency, phase = reads.frequency_khz[rows].tolist(), reads.phase_deg[rows].tolist()
        topic, heads, powers, epcs = self._reader.mqtt_topic, self._heads, self._powers, self._epcs
        sent = []
        for n in range(count):
            offset = self._clock_offset(time_us[n])
            queued_us = time_us[n] + lags[n]
            extra = ""
            if self._all_fields:
                seen = nanosecond_text(time_us[n] + offset, nanos[n])
                extra = f',"lastSeenTime":"{seen}","phaseAngle":{phase[n]:.2f}'
            payload = (
                f'{{"timestamp":"{nanosecond_text(queued_us + offset, nanos[-1 - n])}","eventType":"tagInventory",'
                f'"tagInventoryEvent":{{"epc":"{epcs[item[n]]}",{heads[port[n]]}{rssi[n]},'
                f'"frequency":{frequency[n]}{powers[port[n]]}{extra}}}}}'
            )
            sent.append(Sent(queued_us, topic, payload.encode()))
        return sent


class _Report(NamedTuple):
    """The reads of one reporting interval, column by column."""

    end_us: int
    """True time at which the interval ends."""
    time_us: list[int]
    """True time of each read."""
    port: list[int]
    """Place of the antenna among the reader's, 0 and up."""
    item: list[int]
    """Item number."""
    rssi_dbm: list[float]
    """Signal strength."""
    frequency_khz: list[int]
    """Carrier."""
    phase_deg: list[float]
    """Phase."""


class _Intervals:
    """Reads of a reader that reports in intervals, waiting for the end of theirs."""

    def __init__(self, *, first_antenna: int, phase_us: int) -> None:
        self._first = first_antenna
        self._phase_us = phase_us
        self._waiting: list[tuple[npt.NDArray[Any], ...]] = []

    def add(self, reads: AirReads, rows: Rows, until_us: int) -> list[_Report]:
        """Take reads in, in order of time; return the intervals that have ended by `until_us` and have reads."""
        if len(rows):
            named = (reads.time_us, reads.antenna, reads.item, reads.rssi_dbm, reads.frequency_khz, reads.phase_deg)
            self._waiting.append(tuple(column[rows] for column in named))
        if not self._waiting:
            return []
        columns: tuple[npt.NDArray[Any], ...] = tuple(
            np.concatenate(parts) for parts in zip(*self._waiting, strict=True)
        )
        interval = (columns[0] - self._phase_us) // REPORT_INTERVAL_US
        ended = int(np.searchsorted(interval, (until_us - self._phase_us) // REPORT_INTERVAL_US))
        self._waiting = [tuple(column[ended:] for column in columns)] if ended < len(interval) else []
        if not ended:
            return []
        edges = [0, *(np.flatnonzero(np.diff(interval[:ended])) + 1).tolist(), ended]
        ends_us = ((interval[edges[:-1]] + 1) * REPORT_INTERVAL_US + self._phase_us).tolist()
        time_us, antenna, *others = (column[:ended] for column in columns)
        lists = [values.tolist() for values in (time_us, antenna - self._first, *others)]
        return [
            _Report(end_us, *(values[first:last] for values in lists))
            for end_us, (first, last) in zip(ends_us, pairwise(edges), strict=True)
        ]


class ZebraPublisher:
    """A Zebra FX9600 on its IoT Connector in INVENTORY mode: an array of events each second, and heartbeats."""

    def __init__(
        self,
        reader: Reader,
        *,
        epcs: Sequence[str],
        first_antenna: int,
        clock_offset: ClockOffset,
        phase_us: int,
        first_event: int,
    ) -> None:
        self._reader = reader
        self._clock_offset = clock_offset
        self._phase_us = phase_us
        self._intervals = _Intervals(first_antenna=first_antenna, phase_us=phase_us)
        self._epcs = [epc.lower() for epc in epcs]
        self._event = first_event
        self._management_event = first_event // 50
        self._reads_of_port = [0] * len(reader.antennas)
        self._next_heartbeat_us: int | None = None
        self._started_us = 0

    def start(self, at_us: int) -> list[Sent]:
        """Begin sending heartbeats."""
        self._next_heartbeat_us, self._started_us = at_us + self._phase_us, at_us
        return []

    def publish(self, reads: AirReads, rows: Rows, until_us: int) -> list[Sent]:
        """Report each tag and antenna once an interval, with its peak and how often it was read."""
        sent = [self._send(report) for report in self._intervals.add(reads, rows, until_us)]
        while self._next_heartbeat_us is not None and self._next_heartbeat_us < until_us:
            sent += [
                Sent(self._next_heartbeat_us, topic, self._heartbeat(self._next_heartbeat_us))
                for topic in self._reader.status_mqtt_topics
            ]
            self._next_heartbeat_us += HEARTBEAT_INTERVAL_US
        return sent

    def _send(self, report: _Report) -> Sent:
        offset = self._clock_offset(report.end_us)
        epcs, event, events = self._epcs, self._event, []
        for time_us, port, item, rssi, count in _merged(report):
            event += 1
            self._reads_of_port[port] += count
            second, rest = divmod(time_us + offset, 1_000_000)
            events.append(
                f'{{"data":{{"antenna":{port + 1},"eventNum":{event},"format":"epc","idHex":"{epcs[item]}",'
                f'"peakRssi":{rssi:.0f},"reads":{count}}},'
                f'"timestamp":"{second_text(second)}.{rest // 1000:03d}+0000","type":"INVENTORY"}}'
            )
        self._event = event
        return Sent(report.end_us + 2_000, self._reader.mqtt_topic, f"[{','.join(events)}]".encode())

    def _heartbeat(self, at_us: int) -> bytes:
        self._management_event += 1
        now_us = at_us + self._clock_offset(at_us)
        ports = len(self._reader.antennas)
        total = sum(self._reads_of_port)
        minutes, seconds = divmod((at_us - self._started_us) // 1_000_000 + 7_261, 60)
        uptime = f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
        wired = ",".join(f'"{port}":"{"connected" if port <= ports else "disconnected"}"' for port in range(1, 9))
        per_port = ",".join(f'"{port}":{self._reads_of_port[port - 1] if port <= ports else 0}' for port in range(1, 9))
        return (
            '{"component":"RG","data":{"radio_control":{"antennas":{' + wired + '},"cpu":0.3,'
            f'"numDataMessagesTxed":{self._event},"numErrors":0,"numRadioPacketsRxed":{total * 61},'
            f'"numTagReads":{total},"numTagReadsPerAntenna":{{{per_port}}},"numWarnings":0,'
            f'"radioActivity":"active","radioConnection":"connected","ram":2.2,"status":"running","uptime":"{uptime}"}},'
            '"reader_gateway":{"cpu":0.5,"dataPathStatistics":[{"numDataMessagesDropped":0,'
            f'"numDataMessagesRetained":0,"numDataMessagesRxed":0,"numDataMessagesTxed":{self._event}}}],'
            '"interfaceConnectionStatus":{"data":[{"connectionError":"","connectionStatus":"connected",'
            f'"description":"{self._reader.id}","interface":"mqtt"}}]}},"numDataMessagesRxedFromExt":{self._event},'
            f'"numErrors":0,"numManagementEventsTxed":{self._management_event},"numWarnings":0,"ram":2.9,'
            f'"uptime":"{uptime}"}},"system":{{"GPI":{{"1":"HIGH","2":"HIGH"}},"GPO":{{"1":"LOW","2":"LOW"}},'
            '"cpu":{"system":7,"user":3},"ntp":{"offset":-1,"reach":377},"powerSource":"POE+",'
            '"ram":{"free":108285952,"total":252334080,"used":144048128},'
            f'"systemtime":"{millisecond_text(now_us)}","temperature":{{"ambient":31,"pa":38}},"uptime":"{uptime}"}},'
            f'"userapps":[]}},"eventNum":{self._management_event},"timestamp":"{millisecond_text(now_us)}",'
            '"type":"heartbeat"}'
        ).encode()


class TagtidePublisher:
    """A reader of another make behind a small bridge that speaks our own dialect: a batch each second."""

    def __init__(
        self, reader: Reader, *, epcs: Sequence[str], first_antenna: int, clock_offset: ClockOffset, phase_us: int
    ) -> None:
        self._reader = reader
        self._clock_offset = clock_offset
        self._intervals = _Intervals(first_antenna=first_antenna, phase_us=phase_us)
        self._epcs = epcs
        self._sequence = 0

    def start(self, at_us: int) -> list[Sent]:
        """Say nothing: the dialect has no connect message."""
        del at_us
        return []

    def publish(self, reads: AirReads, rows: Rows, until_us: int) -> list[Sent]:
        """Report every read of an interval with all that is known of it."""
        return [self._send(report) for report in self._intervals.add(reads, rows, until_us)]

    def _send(self, report: _Report) -> Sent:
        offset, parts = self._clock_offset(report.end_us), []
        for time_us, port, item, rssi, frequency, phase in zip(*report[1:], strict=True):
            self._sequence += 1
            parts.append(
                f'{{"epc":"{self._epcs[item]}","antenna":{port + 1},"time_us":{time_us + offset},'
                f'"rssi_dbm":{rssi:.1f},"phase_deg":{phase:.1f},"frequency_khz":{frequency},"seq":{self._sequence}}}'
            )
        payload = f'{{"type":"reads","time":"{microsecond_text(report.end_us + offset)}","reads":[{",".join(parts)}]}}'
        return Sent(report.end_us + 1_000, self._reader.mqtt_topic, payload.encode())


def _merged(report: _Report) -> Iterable[tuple[int, int, int, float, int]]:
    """Return (last time, port, item, peak, count) of each tag and port, in the order in which they were first read."""
    keys = list(zip(report.port, report.item, strict=True))
    if len(set(keys)) == len(keys):  # nearly always: tags keep quiet longer than an interval lasts
        return zip(report.time_us, report.port, report.item, report.rssi_dbm, repeat(1), strict=False)
    merged: dict[tuple[int, int], tuple[int, float, int]] = {}
    for key, time_us, rssi in zip(keys, report.time_us, report.rssi_dbm, strict=True):
        _, peak, count = merged.get(key, (0, rssi, 0))
        merged[key] = (time_us, max(rssi, peak), count + 1)
    return [(time_us, port, item, peak, count) for (port, item), (time_us, peak, count) in merged.items()]
