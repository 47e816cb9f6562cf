"""A small store, written by hand, of which every named question's answer can be worked out on paper.

One morning, 2026-11-20 UTC, in site `s1` (Berlin); "now", the newest event, is 12:00. Site `s2` has said nothing; of
`s3`, which has no site file, there are a few rows that must not be taken for those of `s1`.
Times are written `HH:MM` or `HH:MM:SS`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from analytics.query import create_views
from analytics.schemas import TABLES
from devices.site.model import Antenna, Gate, GateKind, Reader, Shelf, Site, Zone, ZoneKind

SHIRT = "09506000134352"
JEANS = "00614141123452"
HAT = "04012345123456"
SOCKS = "07612345000008"
GLOVES = "05012345678900"

_SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))


def _zone(name: str, kind: ZoneKind) -> Zone:
    return Zone(id=name, kind=kind, polygon=_SQUARE, name=name.upper())


def _reader(name: str, *zones: str) -> Reader:
    antennas = tuple(Antenna(port=port, x=0.5, y=0.5, zone=zone) for port, zone in enumerate(zones, 1))
    return Reader(id=name, profile="tagtide", mqtt_topic=f"readers/{name}", antennas=antennas)


SITES = [
    Site(
        id="s1",
        name="Store One",
        timezone="Europe/Berlin",
        zones=(
            _zone("floor.a", ZoneKind.SALES_FLOOR),
            _zone("floor.b", ZoneKind.SALES_FLOOR),
            _zone("back", ZoneKind.BACK_ROOM),
            _zone("dock", ZoneKind.RECEIVING),
            _zone("till", ZoneKind.POINT_OF_SALE),
            _zone("exit", ZoneKind.EXIT),
        ),
        readers=(
            _reader("r1", "floor.a", "floor.b", "till", "exit"),
            _reader("r2", "back", "dock"),
            _reader("r3", "exit"),
            _reader("r4", "back"),
        ),
        gates=(
            Gate(id="dock-1", kind=GateKind.DOCK, inside=("r2:2",), outside=("r4:1",), inside_zone="dock", name="Dock"),
            Gate(id="way-out", kind=GateKind.EXIT, inside=("r1:4",), outside=("r3:1",), inside_zone="exit"),
        ),
        shelves=(
            Shelf(id="a1", zone="floor.a", gtin=SHIRT, capacity_units=20, minimum_units=5, mqtt_topic="a1"),
            Shelf(id="a2", zone="floor.a", gtin=SHIRT, capacity_units=20, minimum_units=5, mqtt_topic="a2"),
            Shelf(id="b1", zone="floor.b", gtin=JEANS, capacity_units=8),
            Shelf(id="b2", zone="floor.b", gtin=JEANS, capacity_units=8),
            Shelf(id="c1", zone="floor.a", gtin=HAT, capacity_units=8),
            Shelf(id="e1", zone="floor.a", gtin=SOCKS, minimum_units=1),
            Shelf(id="g1", zone="floor.b", gtin=GLOVES, capacity_units=4, minimum_units=1),
        ),
    ),
    Site(id="s2", name="Store Two"),
]


def at(clock: str) -> dt.datetime:
    """An instant of the morning; `-1 23:30` is on the day before."""
    day, _, time = clock.rpartition(" ")
    hours, minutes, *rest = (int(part) for part in time.split(":"))
    midnight = dt.datetime(2026, 11, 20, tzinfo=dt.UTC) + dt.timedelta(days=int(day or 0))
    return midnight + dt.timedelta(hours=hours, minutes=minutes, seconds=rest[0] if rest else 0)


def seconds_after(clock: str, seconds: float) -> dt.datetime:
    return at(clock) + dt.timedelta(seconds=seconds)


_offset = iter(range(1, 1_000_000))


def _stream_row(clock: str, *, delay_s: float = 1.0, **columns: Any) -> dict[str, Any]:
    """A row of a canonical stream: a publication of its own, received a second after it happened."""
    row = {
        "site": "s1",
        "event_time": at(clock),
        "received_time": seconds_after(clock, delay_s),
        "reader_time": at(clock),
        "event_time_source": "read",
        "late": False,
        "edge_id": "edge-1",
        "edge_offset": next(_offset),
        "edge_index": 0,
    }
    return row | columns


def read(clock: str, reader: str, antenna: int | None, epc_hex: str, **columns: Any) -> dict[str, Any]:
    return _stream_row(clock, reader=reader, antenna=antenna, epc_hex=epc_hex, **columns)


def device(clock: str, source: str, event: str, **columns: Any) -> dict[str, Any]:
    return _stream_row(clock, source_kind="reader", source=source, event=event, **columns)


def noticed(clock: str, source: str, event: str, **columns: Any) -> dict[str, Any]:
    """A device event that a job derived."""
    return device(clock, source, event, event_time_source="derived", reader_time=None, **columns)


def business(clock: str, event: str, quantity: int, gtin: str | None, **columns: Any) -> dict[str, Any]:
    number = next(_offset)
    return _stream_row(clock, source="erp", event=event, event_id=f"e{number}", quantity=quantity, gtin=gtin, **columns)


def stays(epc_hex: str, gtin: str | None, *path: str, confidence: float = 0.9) -> list[dict[str, Any]]:
    """Stays of an item: zones and clocks in turn; an odd number of words means that the last stay lasts.

    `stays("AA01", SHIRT, "08:00", "dock", "09:00", "back")` is in the dock for an hour and then in the back.
    """
    clocks, zones = path[0::2], path[1::2]
    rows = []
    for index, zone in enumerate(zones):
        until = clocks[index + 1] if index + 1 < len(clocks) else None
        rows.append(
            {
                "site": "s1",
                "epc_hex": epc_hex,
                "epc_uri": None if gtin is None else f"urn:epc:id:sgtin:{epc_hex.lower()}",
                "gtin": gtin,
                "zone": zone,
                "from_time": at(clocks[index]),
                "until_time": None if until is None else at(until),
                "confidence": confidence,
                "x": 1.5,
                "y": 2.5,
                "left_for": zones[index + 1] if index + 1 < len(zones) else None,
                "as_of_time": at(until or clocks[index]),
                "revision": 0 if until is None else 1,
            }
        )
    return rows


def _inventory(clock: str, zone: str | None, gtin: str | None, accuracy: float | None) -> dict[str, Any]:
    return {
        "site": "s1",
        "zone": zone,
        "gtin": gtin,
        "as_of_time": at(clock),
        "book_quantity": None if zone else 10,
        "seen_quantity": 7,
        "on_hand": 7.5,
        "on_hand_low": 6.0,
        "on_hand_high": 9.0,
        "accuracy": accuracy,
        "misplaced_quantity": 1,
    }


def _shelf(clock: str, shelf: str, units: int | None) -> dict[str, Any]:
    return {
        "site": "s1",
        "shelf": shelf,
        "zone": "floor.a",
        "gtin": SHIRT,
        "from_time": at(clock),
        "mass_kg": 1.0,
        "units": units,
        "available": None if units is None else units >= 1,
        "confidence": None,
    }


def _learnt(version: int, antenna: str | None, parameter: str, value: float, **columns: Any) -> dict[str, Any]:
    row = {
        "site": "s1",
        "antenna": antenna,
        "parameter": parameter,
        "value": value,
        "unit": "dB",
        "prior_value": 0.0,
        "spread": None,
        "items": 7,
        "version": version,
        "as_of_time": at("10:00") if version == 1 else at("11:00"),
    }
    return row | columns


def _count(name: str, clock: str, gtin: str | None, seen: int, **columns: Any) -> dict[str, Any]:
    row = {
        "site": "s1",
        "pass": name,
        "reader": "hand",
        "from_time": at(clock),
        "until_time": at(clock),
        "passes": 1,
        "gtin": gtin,
        "seen_quantity": seen,
        "estimate": seen + 2.0,
        "estimate_low": float(seen),
        "estimate_high": seen + 4.0,
        "recall": 0.9,
        "further_quantity": None if gtin else 1.5,
        "missing_quantity": 1.0,
        "as_of_time": at(clock),
    }
    return row | columns


def _counted(name: str, clock: str, epc_hex: str, gtin: str | None, missing: float | None) -> dict[str, Any]:
    return {
        "site": "s1",
        "pass": name,
        "epc_hex": epc_hex,
        "epc_uri": None,
        "gtin": gtin,
        "zone": None if missing is None else "floor.a",
        "heard": missing is None,
        "reads": 3 if missing is None else 0,
        "last_heard_time": at("08:30"),
        "missing_probability": missing or 0.0,
        "recall": 0.9,
        "as_of_time": at(clock),
    }


def _contained(parent: str, child: str, gtin: str | None, clock: str, until: str | None = None) -> dict[str, Any]:
    return {
        "site": "s1",
        "parent_epc_hex": parent,
        "parent_epc_uri": f"urn:epc:id:sscc:{parent.lower()}",
        "child_epc_hex": child,
        "child_epc_uri": None if gtin is None else f"urn:epc:id:sgtin:{child.lower()}",
        "child_gtin": gtin,
        "from_time": at(clock),
        "until_time": None if until is None else at(until),
        "confidence": 0.9,
        "evidence": '{"trips":2,"last_trip_us":0,"log_odds":3.0}',
        "as_of_time": at(until or clock),
        "revision": 0 if until is None else 1,
    }


def _passage(clock: str, gate: str, direction: str, epc_hex: str, gtin: str, **columns: Any) -> dict[str, Any]:
    """A passage of ten seconds, known 10 s later."""
    row = {
        "site": "s1",
        "gate": gate,
        "epc_hex": epc_hex,
        "epc_uri": f"urn:epc:id:sgtin:{epc_hex.lower()}",
        "gtin": gtin,
        "from_time": at(clock),
        "until_time": at(clock) + dt.timedelta(seconds=10),
        "direction": direction,
        "confidence": 0.95,
        "probabilities": "{}",
        "load": f"{gate}/{clock}",
        "reads": 40,
        "evidence": None,
        "model": "simulated-1",
        "as_of_time": at(clock) + dt.timedelta(seconds=20),
    }
    return row | columns


def _reject(clock: str, **columns: Any) -> dict[str, Any]:
    row = {
        "site": "s1",
        "source": "r1",
        "topic": "readers/r1",
        "bytes": b"{",
        "reason_code": "json_invalid",
        "reason": f"cut short at {clock}",
        "received_time": at(clock),
        "edge_id": "edge-1",
        "edge_offset": next(_offset),
        "edge_index": 0,
    }
    return row | columns


STORE: dict[str, list[dict[str, Any]]] = {
    "locations": [
        *stays("AA01", SHIRT, "09:00", "dock", "09:10", "back", "10:00", "floor.a"),
        *stays("AA02", SHIRT, "09:01", "dock", "09:12", "back"),
        *stays("AA03", SHIRT, "08:00", "floor.a", "11:00", "till", "11:05", "exit", "11:06"),
        *stays("AA04", SHIRT, "08:00", "floor.a", "10:30", "exit", "10:31"),
        *stays("AA05", SHIRT, "08:00", "floor.a", "11:30", "floor.b", confidence=0.8),
        *stays("AA06", SHIRT, "08:00", "floor.a", "11:58", "floor.b", confidence=0.6),
        *stays("AA07", SHIRT, "11:49", "till"),
        *stays("AA08", SHIRT, "09:00", "exit", "09:01"),
        *stays("AA09", SHIRT, "11:00", "floor.b"),
        *stays("AA10", SHIRT, "11:10", "floor.b"),
        *stays("AA11", SHIRT, "11:00", "floor.b"),
        *stays("AA12", SHIRT, "11:20", "floor.b"),
        *stays("AA13", SHIRT, "09:10", "floor.a", "10:00", "exit", "10:01"),
        *stays("BB01", JEANS, "08:00", "floor.b"),
        *stays("BB02", JEANS, "08:00", "back"),
        *stays("BB03", JEANS, "08:00", "floor.b", "10:45", "exit", "10:46"),
        *stays("BB04", JEANS, "08:00", "back", "09:30"),
        *stays("BB05", JEANS, "08:00", "floor.b", "11:30"),
        *stays("DD01", None, "10:00", "floor.a"),
        *stays("EE05", SOCKS, "08:50", "dock", "08:55", "back"),
        *stays("EE06", SOCKS, "08:00", "floor.a", "11:30", "exit", "11:31"),
        *stays("EE07", SOCKS, "11:45", "dock"),
        *stays("GG01", GLOVES, "10:00", "till"),
        *[row | {"site": "s3"} for row in stays("CC01", HAT, "10:00", "shed")],
    ],
    "reads": [
        read("09:00", "r2", 1, "FF01", rssi_dbm=-65.0),
        read("09:00", "r2", None, "FF01", rssi_dbm=-60.0),
        read("09:12", "r2", 1, "AA02", rssi_dbm=-55.0, late=True, delay_s=90.0),
        read("10:00:00", "r1", 1, "AA01", rssi_dbm=-50.0, read_count=2),
        read("10:00:10", "r1", 1, "AA01", rssi_dbm=-48.0, read_count=3),
        read("10:00:20", "r1", 1, "AA01", rssi_dbm=-52.0, read_count=1),
        read("10:01:00", "r1", 1, "AA01", rssi_dbm=-51.0, read_count=1),
        read("10:30:00", "r1", 4, "AA04"),
        read("10:30:20", "r1", 4, "AA04"),
        read("10:50:00", "r2", 1, "AA02", rssi_dbm=-57.0),
        read("10:55:00", "r4", 1, "BB02", rssi_dbm=-57.0),
        read("11:59:00", "r1", 1, "AA01", rssi_dbm=-49.0, read_count=4, delay_s=3.0),
        read("11:59:30", "r1", 2, "EE01", rssi_dbm=-70.0),
    ],
    "readings": [
        _stream_row("11:59", source_kind="shelf", source="a1", quantity="mass", value=1.6, unit="KGM"),
        _stream_row("12:00", source_kind="shelf", source="a1", quantity="mass", value=1.6, unit="KGM"),
    ],
    "device_events": [
        device("08:00", "r1", "connected"),
        device("08:30", "r1", "lost", detail='{"will":1}'),
        device("08:40", "r1", "connected"),
        noticed("09:40", "r1", "silent", from_time=at("09:35")),
        noticed("09:50", "r1", "resumed"),
        device("10:05", "r1", "error", detail='{"code":7}'),
        device("10:10", "r1", "overflow", count=7, detail='{"purged":7}'),
        noticed("10:20", "r1", "gap", count=2),
        noticed("10:25", "r1", "gap", count=1),
        device("09:00", "r6", "disconnected"),
        device("10:06", "r4", "warning"),
        device("10:07", "r4", "dropped", count=5),
        device("10:08", "r4", "disconnected"),
        device("10:20", "r4", "heartbeat"),
        device("11:00", "r2", "heartbeat"),
        noticed("11:05", "r2", "silent", from_time=at("11:00")),
        device("11:20", "r2", "lost"),
        device("11:59:50", "r9", "heartbeat"),
    ],
    "business_events": [
        business("07:30", "expected", 1, SHIRT, epc_hex="AA04", business_transaction="ASN-2"),
        business("07:30", "expected", 1, HAT, epc_hex="CC99", business_transaction="ASN-2"),
        business("08:30", "expected", 2, SHIRT, business_transaction="ASN-1"),
        business("08:30", "expected", 3, JEANS, business_transaction="ASN-1"),
        business("08:40", "expected", 1, JEANS, business_transaction="ASN-1"),
        business("08:45", "expected", 3, SOCKS, business_transaction="ASN-3"),
        business("08:58", "sale", 1, SHIRT, epc_hex="AA08"),
        business("09:05", "receipt", 2, SHIRT, business_transaction="ASN-1"),
        business("09:05", "receipt", 3, JEANS, business_transaction="ASN-1"),
        business("09:20", "receipt", 2, JEANS, business_transaction="ASN-1"),
        business("09:30", "return", 1, SHIRT, epc_hex="AA08"),
        business("09:30", "receipt", 4, HAT, business_transaction="D-9"),
        business("10:40", "sale", 1, JEANS),
        business("11:03", "sale", 1, SHIRT, epc_hex="AA03"),
        business("11:50", "sale", 1, SHIRT, epc_hex="AA07"),
        business("10:58", "sale", 1, SHIRT, epc_hex="AA09"),
        business("10:00", "sale", 1, SHIRT, epc_hex="AA10"),
        business("11:05", "return", 1, SHIRT, epc_hex="AA10"),
        business("11:01", "transfer_out", 1, SHIRT, epc_hex="AA11"),
        business("10:00", "transfer_out", 1, SHIRT, epc_hex="AA12"),
        business("11:00", "transfer_in", 1, SHIRT, epc_hex="AA12"),
        business("08:00", "sale", 1, SHIRT, epc_hex="AA13"),
        business("09:00", "return", 1, SHIRT, epc_hex="AA13"),
        business("09:00", "sale", 1, JEANS),
        business("09:00", "sale", 1, SOCKS),
        business("11:37", "sale", 1, SOCKS),
        business("10:00", "sale", 1, SHIRT, epc_hex="AA04", site="s3"),
    ],
    "rejects": [
        _reject("09:00", edge_offset=700),
        _reject("09:00", edge_offset=700, edge_index=1, bytes=b""),
        _reject("09:30", edge_offset=701),
        _reject("09:10", reason_code="epc_hex_invalid", edge_offset=702),
        _reject("09:20", site=None, source=None, topic="what/ever", reason_code="topic_unknown", bytes=b"hello"),
    ],
    "inventory": [
        _inventory("-1 22:30", None, None, 0.8),  # 23:30 in Berlin: the 19th
        _inventory("-1 23:30", None, None, 0.9),  # 00:30 in Berlin: the 20th
        _inventory("10:00", None, None, 0.7),
        _inventory("10:00", None, SHIRT, 0.5),
        _inventory("10:00", "floor.a", SHIRT, None),
        _inventory("10:00", None, None, 0.6) | {"site": "s3"},
    ],
    "shelves": [
        _shelf("08:00", "a1", 10),
        _shelf("10:00", "a1", 0),
        _shelf("10:30", "a1", 4),
        _shelf("09:00", "a2", 5),
        _shelf("09:00", "z9", None),
    ],
    "alerts": [
        {
            "site": "s1",
            "alert": "exit_without_sale",
            "subject_kind": "item",
            "subject": "AA04",
            "zone": "exit",
            "severity": "error",
            "event_time": at("10:31"),
            "detail": None,
        }
    ],
    "passages": [
        _passage("08:49", "dock-1", "inbound", "EE05", SOCKS),
        _passage("08:49", "dock-1", "inbound", "EE09", SOCKS, confidence=0.6),
        _passage("08:59", "dock-1", "inbound", "AA01", SHIRT),
        _passage("08:59", "dock-1", "inbound", "AA02", SHIRT),
        _passage("08:59", "dock-1", "static", "BB04", JEANS, confidence=0.9),
        _passage("09:29", "dock-1", "outbound", "BB04", JEANS),
        _passage("10:30", "way-out", "outbound", "AA04", SHIRT),
        _passage("10:45", "way-out", "outbound", "BB03", JEANS),
        _passage("11:05", "way-out", "outbound", "AA03", SHIRT),
        _passage("11:44", "way-out", "outbound", "EE07", SOCKS, confidence=0.7),
        _passage("11:10", "way-out", "outbound", "AA06", SHIRT),
        _passage("-1 22:30", "dock-1", "inbound", "AA05", SHIRT),
    ],
    "aggregations": [
        _contained("DD01", "AA01", SHIRT, "09:00", "09:50"),
        _contained("DD01", "AA02", SHIRT, "09:01"),
        _contained("DD02", "DD01", None, "09:00"),
        _contained("DD02", "AA02", SHIRT, "09:01"),
    ],
    "counts": [
        _count("hand-1", "09:20", None, 8),
        _count("hand-1", "09:20", SHIRT, 5),
        _count("hand-2", "09:40", None, 9, passes=2),
    ],
    "counted": [
        _counted("hand-1", "09:20", "AA05", SHIRT, 0.95),
        _counted("hand-1", "09:20", "EE01", SOCKS, 0.92),
        _counted("hand-1", "09:20", "BB04", JEANS, 0.2),
        _counted("hand-2", "09:40", "AA05", SHIRT, 0.99),
        _counted("hand-2", "09:40", "EE01", SOCKS, None),
        _counted("hand-2", "09:40", "BB04", JEANS, 0.5),
    ],
    "radio_laws": [
        _learnt(1, None, "path_loss_exponent", 2.4, prior_value=2.2, unit="1"),
        _learnt(1, "r1:1", "offset_db", -1.0),
        _learnt(2, None, "path_loss_exponent", 2.5, prior_value=2.2, unit="1", spread=0.1),
        _learnt(2, "r1:1", "offset_db", -4.0, spread=1.0),
        _learnt(2, "r1:2", "offset_db", 6.0),
        _learnt(2, "r2", "level_db", 0.0, items=None),
        _learnt(1, "q9:1", "offset_db", 1.0, site="s3"),
    ],
}


def open_store(tables: Mapping[str, Iterable[Mapping[str, Any]]], sites: list[Site]) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with the views that questions may use, over rows written by hand."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET threads = 1")  # a hundred rows: starting threads would take longer than answering
    for name, schema in TABLES.items():
        rows = [dict(row) for row in tables.get(name, [])]
        connection.register(f"_{name}", pa.Table.from_pylist(rows, schema=schema))
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM "_{name}"')
    create_views(connection, sites)
    return connection
