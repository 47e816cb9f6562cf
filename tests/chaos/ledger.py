"""What was published and what the broker acknowledged, kept on disk: one side of the comparison."""

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.publications import Publication


@dataclass(slots=True)
class Entry:
    """A publication and its fate on the way to the broker."""

    publication: Publication
    """What was published."""
    acknowledged_us: int | None = None
    """When the device got its PUBACK, microseconds since the epoch."""
    sends: int = 0
    """How often it was sent: again after each connection that ended without its PUBACK."""


class Ledger:
    """All publications of a run; used by all devices at once."""

    def __init__(self, file: Path) -> None:
        self.entries: list[Entry] = []
        """Every publication, in the order in which devices first sent them."""
        self._sink = file.open("a", encoding="utf-8")
        self._guard = threading.Lock()
        self._acknowledged = 0

    @property
    def acknowledged(self) -> int:
        """How many publications are acknowledged."""
        return self._acknowledged

    def add(self, publication: Publication) -> Entry:
        """Take note of a publication before it is first sent."""
        entry = Entry(publication)
        with self._guard:
            self.entries.append(entry)
        return entry

    def acknowledge(self, entry: Entry) -> None:
        """Take note of a PUBACK; from here on the publication must be in the lake."""
        entry.acknowledged_us = time.time_ns() // 1000
        publication = entry.publication
        line = [publication.device, publication.number, publication.table, publication.key, entry.acknowledged_us]
        with self._guard:
            self._acknowledged += 1
            self._sink.write(json.dumps(line) + "\n")
            self._sink.flush()  # in the kernel's hands: whatever is killed, this stays

    def close(self) -> None:
        """Close the file."""
        self._sink.close()
