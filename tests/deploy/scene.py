"""A site with one reader, and captures of what it said."""

import json
from pathlib import Path

SITE_TOML = """\
schema = 1
id = "store-7"
timezone = "Europe/Berlin"

[[zone]]
id = "floor"
kind = "sales_floor"
polygon = [[0, 0], [8, 0], [8, 8], [0, 8]]

[[reader]]
id = "r1"
profile = "tagtide"
mqtt_topic = "store-7/r1"
clock = "trusted"

[[reader.antenna]]
port = 1
x = 4.0
y = 4.0
"""

START_US = 1_795_000_000_000_000


def line(number: int, *, every_s: float = 1.0) -> str:
    """Return a line of a capture: one read, a number of intervals after the start."""
    at_us = START_US + round(number * every_s * 1e6)
    payload = json.dumps({"type": "read", "epc": f"30{number:022X}", "antenna": 1, "rssi_dbm": -55, "time_us": at_us})
    seconds, fraction_us = divmod(at_us, 1_000_000)
    stamp = f"{_stamp(seconds)}.{fraction_us:06d}Z"
    return json.dumps({"tst": stamp, "topic": "store-7/r1", "qos": 1, "retain": 0, "payload": payload})


def write_capture(path: Path, publications: int, *, every_s: float = 1.0) -> Path:
    """Write a capture of a number of reads."""
    path.write_text("".join(line(number, every_s=every_s) + "\n" for number in range(publications)))
    return path


def _stamp(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
