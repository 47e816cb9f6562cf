"""What the devices of the crash matrix publish: every dialect, and each publication told from all others by content.

A publication's `key` is what its rows in the lake are found by: source and device time, which no two publications of
a device share; the business system's own event identifier; a scale's number; or, of what is malformed on purpose, the
bytes themselves.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SITE_ID = "chaos"
"""The one site."""

SITE_TOML = """\
schema = 1
id = "chaos"
timezone = "UTC"

[[zone]]
id = "floor"
kind = "sales_floor"
polygon = [[0, 0], [8, 0], [8, 8], [0, 8]]

[[reader]]
id = "impinj-1"
profile = "impinj"
mqtt_topic = "chaos/impinj-1"
antenna = [{ port = 1, x = 2.0, y = 4.0 }, { port = 2, x = 6.0, y = 4.0 }]

[[reader]]
id = "zebra-1"
profile = "zebra"
mqtt_topic = "chaos/zebra-1"
antenna = [{ port = 1, x = 4.0, y = 2.0 }]

[[reader]]
id = "tagtide-1"
profile = "tagtide"
mqtt_topic = "chaos/tagtide-1"
antenna = [{ port = 1, x = 4.0, y = 6.0 }]

[[shelf]]
id = "scale-1"
zone = "floor"
profile = "weight"
mqtt_topic = "chaos/scale-1/mass"

[[sensor]]
id = "sensor-1"
profile = "tagtide"
mqtt_topic = "chaos/sensor-1"
zone = "floor"

[[feed]]
id = "till-1"
profile = "tagtide"
mqtt_topic = "chaos/till-1"
"""
"""Three readers and a sensor whose dialects carry times, a till whose events have identifiers, a bare scale."""

UNKNOWN_TOPIC = "chaos/nobody"
"""A topic that the site file does not name: whatever comes on it is a reject, and belongs to no site."""

MALFORMED_EVERY = 40
"""Of the publications of each device, one in so many is malformed: 2.5 %, as many as a bad day has."""

_TAGS = 60  # tags in the field: few, since location is not what is tested here
_BATCH = 3  # reads in one publication of our own dialect


class Promise(StrEnum):
    """What holds for a publication that the broker acknowledged."""

    EXACTLY_ONCE = "exactly once"
    """Its dialect has a time, a number or an identifier: a repeat is recognised."""
    AT_LEAST_ONCE = "at least once"
    """A bare number, or a reject: nothing in it tells a repeat from a second publication that says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One publication, and what is to become of it."""

    number: int
    """Running number within its device, 1 and up."""
    device: str
    """Who publishes it."""
    topic: str
    """MQTT topic."""
    payload: bytes
    """Its bytes."""
    table: str
    """Lake table of its rows."""
    key: str
    """What its rows are found by, see above."""
    rows: int = 1
    """How many rows it gives."""
    promise: Promise = Promise.EXACTLY_ONCE
    """What holds for it."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device and its dialect."""

    name: str
    """Its name, and its MQTT client identifier."""
    topic: str
    """Where it publishes."""
    make: Callable[[str, str, int, int], Publication]
    """Name, topic, running number and time (us) to a publication."""


def publication(device: Device, number: int, time_us: int) -> Publication:
    """Return the next publication of a device.

    Args:
        device: Which device.
        number: Its running number, 1 and up.
        time_us: Its clock, microseconds since the epoch; higher than in every publication before.
    """
    if number % MALFORMED_EVERY == 0:
        return _malformed(device.name, device.topic, number, time_us)
    return device.make(device.name, device.topic, number, time_us)


def _malformed(name: str, topic: str, number: int, time_us: int) -> Publication:
    del time_us
    text = f'{{"type": "read", "who": "{name}", "number": {number}, "epc":'
    return Publication(
        number=number,
        device=name,
        topic=topic,
        payload=text.encode(),
        table="rejects",
        key=text,
        promise=Promise.AT_LEAST_ONCE,
    )


def _impinj(name: str, topic: str, number: int, time_us: int) -> Publication:
    inventory = {"epcHex": _epc(number), "antennaPort": 1 + number % 2, "peakRssiCdbm": -6000 - number % 100}
    event = {"timestamp": _iso(time_us), "eventType": "tagInventory", "tagInventoryEvent": inventory}
    return _timed(name, topic, number, time_us, table="reads", document=event)


def _zebra(name: str, topic: str, number: int, time_us: int) -> Publication:
    data = {"antenna": 1, "eventNum": number, "idHex": _epc(number).lower(), "peakRssi": -55, "reads": 1}
    event = {"data": data, "timestamp": _iso(time_us), "type": "INVENTORY"}
    return _timed(name, topic, number, time_us, table="reads", document=[event])


def _tagtide(name: str, topic: str, number: int, time_us: int) -> Publication:
    if number % 7 == 0:
        status = {"type": "status", "status": "heartbeat", "time_us": time_us, "seq": number}
        return _timed(name, topic, number, time_us, table="device_events", document=status)
    reads = [
        {"epc": _epc(number + step), "antenna": 1, "rssi_dbm": -50 - step, "seq": number} for step in range(_BATCH)
    ]
    batch = {"type": "reads", "time_us": time_us, "reads": reads}
    return _timed(name, topic, number, time_us, table="reads", document=batch, rows=_BATCH)


def _sensor(name: str, topic: str, number: int, time_us: int) -> Publication:
    measurement = {"type": "measurement", "quantity": "temperature", "value": 20 + number % 5, "time_us": time_us}
    return _timed(name, topic, number, time_us, table="readings", document=measurement)


def _till(name: str, topic: str, number: int, time_us: int) -> Publication:
    event_id = f"{name}/{number}"
    sale = {
        "type": "business",
        "event": "sale",
        "id": event_id,
        "gtin": "9506000134352",
        "quantity": 1,
        "time_us": time_us,
    }
    return Publication(
        number=number,
        device=name,
        topic=topic,
        payload=json.dumps(sale).encode(),
        table="business_events",
        key=event_id,
    )


def _scale(name: str, topic: str, number: int, time_us: int) -> Publication:
    del time_us
    text = f"{number / 1000:.3f}"  # grams, each number once: only the test can tell a repeat from a second weighing
    return Publication(
        number=number,
        device=name,
        topic=topic,
        payload=text.encode(),
        table="readings",
        key=text,
        promise=Promise.AT_LEAST_ONCE,
    )


def _stranger(name: str, topic: str, number: int, time_us: int) -> Publication:
    text = json.dumps({"who": name, "number": number, "time_us": time_us})
    return Publication(
        number=number,
        device=name,
        topic=topic,
        payload=text.encode(),
        table="rejects",
        key=text,
        promise=Promise.AT_LEAST_ONCE,
    )


def _timed(
    name: str, topic: str, number: int, time_us: int, *, table: str, document: object, rows: int = 1
) -> Publication:
    return Publication(
        number=number,
        device=name,
        topic=topic,
        payload=json.dumps(document).encode(),
        table=table,
        key=f"{name} {time_us}",
        rows=rows,
    )


def _epc(number: int) -> str:
    return f"30349AA20421010000{number % _TAGS:06X}"


def _iso(time_us: int) -> str:
    second, rest = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


DEVICES = (
    Device("impinj-1", "chaos/impinj-1", _impinj),
    Device("zebra-1", "chaos/zebra-1", _zebra),
    Device("tagtide-1", "chaos/tagtide-1", _tagtide),
    Device("scale-1", "chaos/scale-1/mass", _scale),
    Device("sensor-1", "chaos/sensor-1", _sensor),
    Device("till-1", "chaos/till-1", _till),
    Device("stranger-1", UNKNOWN_TOPIC, _stranger),
)
"""Who publishes."""
