"""The 45 real gate sessions as publications in our own dialect.

RSSI of that reader is linear, without a defined relation to dBm: it travels as `rssi_linear` and is converted nowhere.
Times are Korean local time, as the data's authors worked in Seoul; they are sent with that offset.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import msgspec

TOPIC = "warehouse/gate/reads"
ZONE_OFFSET = "+09:00"
BATCH = 25
"""Reads a publication: what the reader would have sent about three times a second."""


def read_rows(folder: Path) -> Iterator[list[str]]:
    """Yield the rows of all sessions with a tag in them, in order of time."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as stream:
            yield from (row for row in csv.reader(stream) if row[0])


def publications(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload of every publication."""
    waiting: list[dict[str, object]] = []
    for number, (epc, local_time, antenna, count, rssi, _class) in enumerate(read_rows(folder)):
        stamp = local_time.replace("/", "-").replace(" ", "T") + ZONE_OFFSET
        waiting.append(
            {
                "epc": epc,
                "time": stamp,
                "antenna": int(antenna),
                "read_count": int(count),
                "rssi_linear": float(rssi),
                "seq": number,
            }
        )
        if len(waiting) == BATCH:
            yield TOPIC, msgspec.json.encode({"type": "reads", "reads": waiting})
            waiting = []
    if waiting:
        yield TOPIC, msgspec.json.encode({"type": "reads", "reads": waiting})
