"""What a broker that died had acknowledged and we never got: read from the journal of its plugin, once it is back.

Mosquitto acknowledges from memory and saves every two seconds at best. With our plugin (`deploy/mosquitto/journal/`)
it writes each publication to a file before its PUBACK, and a broker that starts leaves what its predecessor wrote as
`left-*`. After each reconnection, when what the broker itself still delivers has been taken:

1. read those files, oldest first; where the broker had forgotten our session, also what it writes now, since until we
   subscribed again it queued nothing for us;
2. of their publications, store those that the edge log does not hold, as often as the files have them;
3. remove the files that were left.

A crash between 2 and 3 changes nothing: then the log holds them. What the broker delivers again later is a repeat
like any other. Of this module, only `BrokerJournal` touches files; it stores nothing itself.
"""

import contextlib
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from paho.mqtt.client import topic_matches_sub

from devices.oversized import oversized
from devices.publication import LoggedPublication, Publication
from ingest.errors import BrokerJournalError

LEFT = "left-*"
"""Files that a broker which died has left, in the order of their names."""

LIVE = ("previous", "current")
"""Files of the broker that runs."""

_LENGTHS_BYTES = 8  # length and checksum
_HEAD_BYTES = 12  # receive time, QoS, retain, length of the topic
_RECORD_BYTES_MAX = 256 * 2**20 + 65_600  # the largest that MQTT can carry, its topic and our head
_CLOCKS_APART_US = 10_000_000  # the broker's clock is this machine's; ten seconds allow for a step between the two
_READ_ROWS = 1_000
_READ_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A publication that a broker acknowledged."""

    topic: str
    """MQTT topic."""
    payload: bytes
    """Its bytes."""
    qos: int
    """Quality of service, 1 or 2."""
    received_us: int
    """When the broker received it, microseconds since the epoch."""


class SearchedLog(Protocol):
    """What is asked of an edge log."""

    @property
    def first_offset(self) -> int:
        """Oldest offset."""
        ...

    @property
    def last_offset(self) -> int:
        """Newest offset."""
        ...

    def read(self, after: int, limit_rows: int, limit_bytes: int) -> list[LoggedPublication]:
        """Return publications behind an offset."""
        ...


class BrokerJournal:
    """The folder in which a broker's plugin writes."""

    def __init__(self, folder: Path, topic_filters: Sequence[str], payload_bytes_max: int) -> None:
        """Name the folder; it need not be there yet.

        Args:
            folder: `plugin_opt_folder` of the broker's configuration.
            topic_filters: What we subscribe to; publications on other topics are none of ours.
            payload_bytes_max: Of a larger payload only the beginning is stored, as when it is delivered.
        """
        self._folder = folder
        self._topic_filters = topic_filters
        self._payload_bytes_max = payload_bytes_max

    def left(self) -> list[Path]:
        """Return the files that brokers which died have left, oldest first."""
        return sorted(self._folder.glob(LEFT))

    def live(self) -> list[Path]:
        """Return the files that the running broker writes."""
        return [path for name in LIVE if (path := self._folder / name).exists()]

    def lost(self, files: Sequence[Path], log: SearchedLog, now_us: int) -> list[Publication]:
        """Return what the files have and the edge log has not, as received now.

        Args:
            files: As `left` named them.
            log: The edge log.
            now_us: The time, microseconds since the epoch: what is stored later cannot have been received before.

        Raises:
            BrokerJournalError: A file cannot be read.
            EdgeLogError: The edge log cannot be read.
        """
        entries = [entry for file in files for entry in entries_of(_bytes_of(file)) if self._is_ours(entry)]
        if not entries:
            return []
        since_us = min(entry.received_us for entry in entries) - _CLOCKS_APART_US
        stored = Counter(hash((row.topic, row.payload)) for row in _stored_since(log, since_us))
        lost = []
        for entry in entries:
            publication = self._as_received(entry, now_us)
            key = hash((publication.topic, publication.payload))
            if stored[key]:
                stored[key] -= 1
            else:
                lost.append(publication)
        return lost

    def _as_received(self, entry: JournalEntry, now_us: int) -> Publication:
        publication = Publication(topic=entry.topic, payload=entry.payload, received_us=now_us, qos=1)
        if len(entry.payload) <= self._payload_bytes_max:
            return publication
        return oversized(publication, len(entry.payload))

    def remove(self, files: Sequence[Path]) -> None:
        """Remove files whose publications are stored.

        Raises:
            BrokerJournalError: One cannot be removed: it would be read again at each reconnection.
        """
        try:
            for file in files:
                file.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                folder = os.open(self._folder, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)
        except OSError as cause:
            raise _unusable(self._folder, cause) from cause

    def _is_ours(self, entry: JournalEntry) -> bool:
        return any(topic_matches_sub(topic_filter, entry.topic) for topic_filter in self._topic_filters)


def entries_of(data: bytes) -> Iterator[JournalEntry]:
    """Yield the records of a journal file, up to one that was not written whole.

    What follows a record that breaks off was never acknowledged: the broker died over it.
    """
    position = 0
    while len(data) - position >= _LENGTHS_BYTES + _HEAD_BYTES:
        length = int.from_bytes(data[position : position + 4], "little")
        checksum = int.from_bytes(data[position + 4 : position + 8], "little")
        record = data[position + _LENGTHS_BYTES : position + _LENGTHS_BYTES + length]
        if not _HEAD_BYTES <= length <= _RECORD_BYTES_MAX or len(record) < length or zlib.crc32(record) != checksum:
            return
        topic_end = _HEAD_BYTES + int.from_bytes(record[10:12], "little")
        yield JournalEntry(
            topic=record[_HEAD_BYTES:topic_end].decode("utf-8", "backslashreplace"),
            payload=record[topic_end:],
            qos=record[8],
            received_us=int.from_bytes(record[:8], "little"),
        )
        position += _LENGTHS_BYTES + length


def _stored_since(log: SearchedLog, since_us: int) -> Iterator[Publication]:
    """Yield what the log has received since a time, and perhaps a little more."""
    low, high = log.first_offset - 1, log.last_offset
    while low < high:
        middle = (low + high) // 2
        row = log.read(middle, 1, 1)
        if row and row[0].publication.received_us < since_us:
            low = row[0].edge_offset
        else:
            high = middle
    while rows := log.read(low, _READ_ROWS, _READ_BYTES):
        yield from (row.publication for row in rows)
        low = rows[-1].edge_offset


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as cause:
        raise _unusable(file, cause) from cause


def _unusable(path: Path, cause: OSError) -> BrokerJournalError:
    return BrokerJournalError(
        f"the broker's journal {path} cannot be used: {cause.strerror}",
        hint="let the bridge's user read and remove its files (deploy/mosquitto/README.md); it is tried again",
    )
