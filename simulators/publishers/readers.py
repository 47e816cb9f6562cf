"""RFID readers: from what they hear on the air to the payloads that Impinj, Zebra and our own dialect publish.

Each reader keeps its own clock. A publisher is given the reads of its reader slice by slice, in order of true time,
and returns what it has sent by the end of the slice.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from devices.site.model import Reader
from simulators.publishers.sent import Sent, microsecond_text, millisecond_text, nanosecond_text
from simulators.radio import AirReads

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

    Every second reader of the kind has been told to add the time, the phase and the antenna's name to the default
    fields.
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


class _Batching:
    """What readers that report in intervals have in common: reads wait for the end of theirs."""

    def __init__(self, reader: Reader, *, first_antenna: int, clock_offset: ClockOffset, phase_us: int) -> None:
        self._reader = reader
        self._first = first_antenna
        self._clock_offset = clock_offset
        self._phase_us = phase_us
        self._open: list[tuple[int, int, int, float, int, float]] = []
        self._open_window = -1

    def _window(self, time_us: int) -> int:
        return (time_us - self._phase_us) // REPORT_INTERVAL_US

    def _end_us(self, window: int) -> int:
        return (window + 1) * REPORT_INTERVAL_US + self._phase_us

    def _gather(
        self, reads: AirReads, rows: Rows, until_us: int
    ) -> list[tuple[int, list[tuple[int, int, int, float, int, float]]]]:
        """Sort reads into intervals; return those that end by a time, as (end, reads)."""
        closed = []
        columns = (reads.time_us, reads.antenna, reads.item, reads.rssi_dbm, reads.frequency_khz, reads.phase_deg)
        for read in zip(*(column[rows].tolist() for column in columns), strict=True):
            window = self._window(read[0])
            if window != self._open_window:
                if self._open:
                    closed.append((self._end_us(self._open_window), self._open))
                self._open, self._open_window = [], window
            self._open.append(read)
        if self._open and self._end_us(self._open_window) <= until_us:
            closed.append((self._end_us(self._open_window), self._open))
            self._open = []
        return closed


class ZebraPublisher(_Batching):
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
        super().__init__(reader, first_antenna=first_antenna, clock_offset=clock_offset, phase_us=phase_us)
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
        sent = [self._report(end_us, batch) for end_us, batch in self._gather(reads, rows, until_us)]
        while self._next_heartbeat_us is not None and self._next_heartbeat_us < until_us:
            sent += [
                Sent(self._next_heartbeat_us, topic, self._heartbeat(self._next_heartbeat_us))
                for topic in self._reader.status_mqtt_topics
            ]
            self._next_heartbeat_us += HEARTBEAT_INTERVAL_US
        return sent

    def _report(self, end_us: int, batch: list[tuple[int, int, int, float, int, float]]) -> Sent:
        merged: dict[tuple[int, int], tuple[int, float, int]] = {}
        for time_us, antenna, item, rssi, _, _ in batch:
            last = merged.get((item, antenna))
            merged[item, antenna] = (time_us, rssi, 1) if last is None else (time_us, max(rssi, last[1]), last[2] + 1)
        events, event = [], self._event
        offset = self._clock_offset(end_us)
        for (item, antenna), (time_us, rssi, count) in merged.items():
            event += 1
            port = antenna - self._first
            self._reads_of_port[port] += count
            events.append(
                f'{{"data":{{"antenna":{port + 1},"eventNum":{event},"format":"epc","idHex":"{self._epcs[item]}",'
                f'"peakRssi":{round(rssi)},"reads":{count}}},'
                f'"timestamp":"{millisecond_text(time_us + offset)}","type":"INVENTORY"}}'
            )
        self._event = event
        return Sent(end_us + 2_000, self._reader.mqtt_topic, f"[{','.join(events)}]".encode())

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


class TagtidePublisher(_Batching):
    """A reader of another make behind a small bridge that speaks our own dialect: a batch each second."""

    def __init__(
        self, reader: Reader, *, epcs: Sequence[str], first_antenna: int, clock_offset: ClockOffset, phase_us: int
    ) -> None:
        super().__init__(reader, first_antenna=first_antenna, clock_offset=clock_offset, phase_us=phase_us)
        self._epcs = epcs
        self._sequence = 0

    def start(self, at_us: int) -> list[Sent]:
        """Say nothing: the dialect has no connect message."""
        del at_us
        return []

    def publish(self, reads: AirReads, rows: Rows, until_us: int) -> list[Sent]:
        """Report every read of an interval with all that is known of it."""
        sent = []
        for end_us, batch in self._gather(reads, rows, until_us):
            offset = self._clock_offset(end_us)
            parts = []
            for time_us, antenna, item, rssi, frequency, phase in batch:
                self._sequence += 1
                parts.append(
                    f'{{"epc":"{self._epcs[item]}","antenna":{antenna - self._first + 1},"time_us":{time_us + offset},'
                    f'"rssi_dbm":{rssi:.1f},"phase_deg":{phase:.1f},"frequency_khz":{frequency},"seq":{self._sequence}}}'
                )
            payload = f'{{"type":"reads","time":"{microsecond_text(end_us + offset)}","reads":[{",".join(parts)}]}}'
            sent.append(Sent(end_us + 1_000, self._reader.mqtt_topic, payload.encode()))
        return sent
