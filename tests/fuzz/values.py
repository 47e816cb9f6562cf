"""Values: what stands in a payload is what stands in its row, or a reject; never another value."""

import random
import re
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from devices.errors import DecodeError
from devices.registry import PROFILES
from tests.fuzz import hostile, landing
from tests.fuzz.target import Outcome, hold

_EPC = b"3034257BF7194E4000001A85"
_FIELDS: list[tuple[str, str, bytes, str, int]] = [
    # dialect, stream, payload with %s for the value, column, how many of the payload's units make one of the column's
    *(
        ("tagtide", "reads", b'{"type":"read","epc":"' + _EPC + b'","' + name + b'":%s}', column, 1)
        for name, column in (
            (b"antenna", "antenna"),
            (b"time_us", "reader_time_us"),
            (b"rssi_dbm", "rssi_dbm"),
            (b"rssi_linear", "rssi_linear"),
            (b"phase_deg", "phase_deg"),
            (b"frequency_khz", "frequency_khz"),
            (b"tx_power_dbm", "tx_power_dbm"),
            (b"read_count", "read_count"),
            (b"seq", "source_seq"),
        )
    ),
    ("tagtide", "readings", b'{"type":"measurement","quantity":"odd","unit":"C62","value":%s}', "value", 1),
    ("tagtide", "device_events", b'{"type":"status","status":"heartbeat","count":%s}', "count", 1),
    (
        "tagtide",
        "business_events",
        b'{"type":"business","event":"adjustment","id":"a","gtin":"09506000134352","quantity":%s}',
        "quantity",
        1,
    ),
    *(
        (
            "impinj",
            "reads",
            b'{"eventType":"tagInventory","tagInventoryEvent":{"epcHex":"' + _EPC + b'","' + name + b'":%s}}',
            column,
            unit,
        )
        for name, column, unit in (
            (b"antennaPort", "antenna", 1),
            (b"peakRssiCdbm", "rssi_dbm", 100),
            (b"transmitPowerCdbm", "tx_power_dbm", 100),
            (b"frequency", "frequency_khz", 1),
            (b"phaseAngle", "phase_deg", 1),
        )
    ),
    *(
        ("zebra", "reads", b'{"type":"SIMPLE","data":{"idHex":"' + _EPC + b'","' + name + b'":%s}}', column, 1)
        for name, column in (
            (b"eventNum", "source_seq"),
            (b"antenna", "antenna"),
            (b"peakRssi", "rssi_dbm"),
            (b"reads", "read_count"),
        )
    ),
    ("weight", "readings", b"%s", "value", 1),
]
_TIMES: list[tuple[str, bytes]] = [
    ("tagtide", b'{"type":"read","epc":"' + _EPC + b'","time":%s}'),
    ("impinj", b'{"timestamp":%s,"eventType":"tagInventory","tagInventoryEvent":{"epcHex":"' + _EPC + b'"}}'),
    ("zebra", b'{"timestamp":%s,"type":"SIMPLE","data":{"idHex":"' + _EPC + b'"}}'),
]
_TEXT = re.compile(rb'"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)"')
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class ValueTarget:
    """Numbers and times of every dialect, against a slow and obvious reading of the same text."""

    name = "values"
    reads = "one field at a time, with any number or time: the row's value is that number, or there is no row"

    def make(self, rng: random.Random) -> bytes:
        """Return the field's number and the value's text, as msgpack."""
        if rng.random() < 0.3:
            return msgspec.msgpack.encode((len(_FIELDS) + rng.randrange(len(_TIMES)), _a_time(rng)))
        return msgspec.msgpack.encode((rng.randrange(len(_FIELDS)), _a_number(rng)))

    def check(self, data: bytes) -> Outcome:
        """Decode a payload with the value in it, and compare."""
        number, text = msgspec.msgpack.decode(data, type=tuple[int, bytes])
        if number < len(_FIELDS):
            profile, stream, payload, column, unit = _FIELDS[number]
            found = _row(profile, stream, payload % text, column)
            wanted: Decimal | int | None = _number(text)
            if found is not None and wanted is not None:
                wanted = Decimal(wanted) / unit
        else:
            profile, payload = _TIMES[number - len(_FIELDS)]
            found, wanted = _row(profile, "reads", payload % text, "reader_time_us"), _time_us(text)
        if found is None:
            return Outcome(rejects=["no_value"])
        hold(wanted is not None, f"{text[:80]!r} is read as {found!r}")
        assert wanted is not None
        exact = Decimal(wanted)
        allowed = Decimal(0) if isinstance(found, int) else abs(exact) * Decimal("1e-15") + Decimal("1e-307")
        hold(abs(Decimal(found) - exact) <= allowed, f"{text[:80]!r} is read as {found!r}")
        return Outcome(rows=1)

    def settle(self) -> None:
        """Nothing is about several values."""


def _row(profile: str, stream: str, payload: bytes, column: str) -> Any:
    """Return what the row says in a column; `None` where there is no row, or nothing in it."""
    topic = landing.topic_of(profile, last="mass" if profile == "weight" else "events")
    route = landing.DIRECTORY.route(topic)
    assert route is not None
    try:
        rows = getattr(PROFILES[profile].decode(payload, topic, route.source), stream)
    except DecodeError:
        return None
    return getattr(rows[0], column) if len(rows) == 1 else None


def _number(text: bytes) -> Decimal | None:
    try:
        value = Decimal(text.strip().decode("ascii"))
    except (InvalidOperation, UnicodeDecodeError):
        return None
    return value if value.is_finite() and b"_" not in text else None


def _time_us(text: bytes) -> int | None:
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    second, fraction, zone = found.groups()
    zone = b"+00:00" if zone == b"Z" else zone[:3] + b":" + zone[-2:]
    try:
        at = datetime.fromisoformat((second + b"+00:00").decode())
        sign = -1 if zone[:1] == b"-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    except ValueError:
        return None
    return (at - _EPOCH - offset) // timedelta(microseconds=1) + int((fraction or b"0")[:6].ljust(6, b"0"))


def _a_number(rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(hostile.NUMBERS)
    if kind == 1:
        return b"%d" % (rng.choice([-1, 1]) * rng.getrandbits(rng.randrange(1, 70)))
    if kind == 2:
        return b"%d%s" % (rng.randrange(-999, 999), rng.choice([b".0", b"e0", b".5", b"e1", b"E-2", b".000"]))
    if kind == 3:
        return repr(rng.uniform(-200, 400)).encode()
    if kind == 4:
        return repr(rng.choice([-1, 1]) * 10.0 ** rng.uniform(-320, 308)).encode()
    return b"%d.%s" % (rng.randrange(-300, 300), b"%d" % rng.getrandbits(rng.randrange(1, 200)))


def _a_time(rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return rng.choice(hostile.TIMES)
    at = _EPOCH + timedelta(seconds=rng.randrange(-(10**8), 8 * 10**9))
    text = at.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0").encode()
    fraction = b"" if rng.random() < 0.3 else b".%d" % rng.getrandbits(rng.randrange(1, 40))
    zone = rng.choice([b"Z", b"+01:00", b"-0330", b"+0000", b"+23:59", b"-12:00", b"", b"z", b"+1", b"+24:00"])
    data = bytearray(b'"' + text + fraction + zone + b'"')
    if rng.random() < 0.2:
        data[rng.randrange(len(data))] = rng.choice(b"0123456789:-+.TZ ")
    return bytes(data)
