"""From the tables of a site file to a draft `Site`, entry by entry, with every fault of a single entry reported.

A draft has stand-ins where a value could not be used, so that what is written beside it is still checked: an empty
identifier, topic, profile or polygon, not-a-number as an antenna's place. `devices.site.check` skips these.
A draft only leaves this package as a `Site` when no problem was found.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from devices.site.calibration import CalibrationFile
from devices.site.gate_model import GateModelFile
from devices.site.model import (
    ALLOWED_LATENESS_S,
    ANTENNA_HEIGHT_M,
    DEPARTED_AFTER_S,
    FALSE_MOVES_PER_ITEM_HOUR,
    Antenna,
    Feed,
    Gate,
    GateKind,
    GeoReference,
    LocationSettings,
    Reader,
    ReaderClock,
    Sensor,
    Shelf,
    Site,
    Wall,
    Zone,
    ZoneKind,
)
from devices.site.table import Findings, Point, Table, shown
from devices.site.values import gtin_fault, id_fault, site_id_fault, timezone_fault

SCHEMA = 1
"""Version of the site file that this code reads and writes."""
ZONES_MAX = 2_000
"""Zones: their borders are compared pair by pair. A department store has some hundred."""
LATENESS_S_MAX = 3600.0
"""Reads wait for the allowed lateness before they count: an hour is a report, not a location."""
DEPARTED_S_MAX = 30 * 86_400.0
"""Thirty days: past that, an item is not departed but forgotten."""
ANTENNA_PORT_MAX = 32_767
"""The `antenna` column holds 16 bits."""

Outlines = Mapping[str, tuple[Point, ...]]
ModelReader = Callable[[str], GateModelFile | str]
"""Reads the gate model of a file name, or says what is wrong with it."""
CalibrationReader = Callable[[str], CalibrationFile | str]
"""Reads the calibration of a file name, or says what is wrong with it."""


def draft_site(
    raw: dict[str, Any],
    findings: Findings,
    outlines_of: Callable[[str], Outlines],
    model_of: ModelReader,
    calibration_of: CalibrationReader,
    *,
    place: str = "site",
) -> Site:
    """Read the tables of a site file.

    Args:
        raw: The parsed TOML document.
        findings: Where problems and warnings go.
        outlines_of: Reads the zone outlines of a GeoJSON file that the site file names.
        model_of: Reads what was learnt of a gate from a file that the site file names.
        calibration_of: Reads what a survey found from a file that the site file names.
        place: How findings name the top of the file.

    Returns:
        The draft; usable as a site only if there are no problems.
    """
    table = Table(raw, place, findings)
    _check_schema(table)
    site_id = table.text("id", required="store-042")
    if site_id is not None and (fault := site_id_fault(site_id)):
        table.problem(fault)
    name, sgln = table.text("name"), table.text("sgln")
    timezone = table.text("timezone")
    if timezone is not None and (fault := timezone_fault(timezone)):
        table.problem(fault)
    lateness_s = table.number("allowed_lateness_s", low=0, high=LATENESS_S_MAX)
    departed_s = table.number("departed_after_s", low=1, high=DEPARTED_S_MAX)
    geojson = table.text("geojson")
    outlines = {} if geojson is None else outlines_of(geojson)
    calibration = table.text("calibration")
    surveyed = None if calibration is None else calibration_of(calibration)
    if isinstance(surveyed, str):
        table.problem(f"calibration {shown(calibration or '')} {surveyed}")
        surveyed = None
    geo = table.table("geo")
    geo, location = table.table("geo"), table.table("location")
    site = Site(
        id=site_id or "",
        name=name or "",
        timezone=timezone or "UTC",
        zones=tuple(_zone(_entry(table, "zone", *entry), outlines) for entry in table.tables("zone", most=ZONES_MAX)),
        readers=tuple(_reader(_entry(table, "reader", *entry)) for entry in table.tables("reader")),
        gates=tuple(_gate(_entry(table, "gate", *entry), model_of) for entry in table.tables("gate")),
        shelves=tuple(_shelf(_entry(table, "shelf", *entry)) for entry in table.tables("shelf")),
        sensors=tuple(_sensor(_entry(table, "sensor", *entry)) for entry in table.tables("sensor")),
        feeds=tuple(_feed(_entry(table, "feed", *entry)) for entry in table.tables("feed")),
        walls=tuple(_wall(Table(raw, f"wall #{number}", findings)) for number, raw in table.tables("wall")),
        sgln=sgln,
        geo=None if geo is None else _geo(Table(geo, "geo", findings)),
        allowed_lateness_s=_or(lateness_s, ALLOWED_LATENESS_S),
        departed_after_s=_or(departed_s, DEPARTED_AFTER_S),
        calibration=calibration,
        surveyed=surveyed,
        location=LocationSettings() if location is None else _location(Table(location, "location", findings)),
    )
    for zone in sorted(set(outlines) - {zone.id for zone in site.zones}):
        table.warning(f'geojson has an outline of zone "{zone}", which this file does not have. It is ignored')
    table.close()
    return site


def label(kind: str, number: int, entry_id: str) -> str:
    """Return how findings name an entry: by identifier, or by its place in the file (1 and up)."""
    return f"{kind} {shown(entry_id)}" if entry_id else f"{kind} #{number}"


def antenna_label(reader: str, number: int, port: int) -> str:
    """Return how findings name an antenna: by port, or by its place below its reader (1 and up)."""
    return f"{reader} antenna {port}" if port >= 0 else f"{reader} antenna #{number}"


def _check_schema(table: Table) -> None:
    if not table.has("schema"):
        table.problem(f"schema is missing: write schema = {SCHEMA} as the first line")
        return
    version = table.whole("schema", low=1)
    if version is not None and version > SCHEMA:
        table.problem(
            f"schema {version} is newer than this Tagtide reads, which is {SCHEMA}: upgrade Tagtide, "
            f"or write the file in schema {SCHEMA}"
        )


def _entry(top: Table, kind: str, number: int, raw: dict[str, Any]) -> Table:
    entry_id = raw.get("id")
    return Table(raw, label(kind, number, entry_id if isinstance(entry_id, str) else ""), top.findings)


def _identifier(table: Table, example: str) -> str:
    found = table.text("id", required=example)
    if found is not None and (fault := id_fault(found)):
        table.problem(fault)
    return found or ""


def _zone(table: Table, outlines: Outlines) -> Zone:
    zone_id = _identifier(table, "floor.denim")
    polygon = table.points("polygon")
    if zone_id in outlines and polygon is not None:
        table.warning("has an outline here and in the geojson file. The one here is used")
    elif not table.has("polygon"):
        polygon = outlines.get(zone_id)
        if polygon is None:
            table.problem("polygon is missing: write polygon = [[0, 0], [8, 0], [8, 6], [0, 6]], in metres")
    zone = Zone(
        id=zone_id,
        kind=table.choice("kind", ZoneKind, required=True) or ZoneKind.SALES_FLOOR,
        polygon=_corners(polygon or ()),
        name=table.text("name") or zone_id,
        sgln=table.text("sgln"),
    )
    table.close()
    return zone


def _corners(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Leave out a corner that repeats the one before it, and a last one that repeats the first."""
    corners = [point for number, point in enumerate(points) if number == 0 or point != points[number - 1]]
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
    return tuple(corners)


def _reader(table: Table) -> Reader:
    reader = Reader(
        id=_identifier(table, "r1"),
        profile=table.text("profile", required="impinj") or "",
        mqtt_topic=_topic(table, required="impinj/r1/events"),
        status_mqtt_topics=table.texts("status_mqtt_topics"),
        antennas=tuple(_antenna(raw, number, table) for number, raw in table.tables("antenna", inside="reader.")),
        clock=table.choice("clock", ReaderClock) or ReaderClock.ESTIMATE,
        model=table.text("model"),
        mobile=table.truth("mobile") or False,
    )
    table.close()
    return reader


def _antenna(raw: dict[str, Any], number: int, reader: Table) -> Antenna:
    port = raw.get("port")
    known_port = port if isinstance(port, int) and not isinstance(port, bool) else -1
    table = Table(raw, antenna_label(reader.place, number, known_port), reader.findings)
    antenna = Antenna(
        port=_or(table.whole("port", required="1", high=ANTENNA_PORT_MAX), -1),
        x=_or(table.number("x", required="4.5"), math.nan),
        y=_or(table.number("y", required="2.0"), math.nan),
        z=_or(table.number("z", low=-100, high=1000), ANTENNA_HEIGHT_M),
        zone=table.text("zone"),
        name=table.text("name"),
        gain_dbi=table.number("gain_dbi", low=-50, high=50),
        tx_power_dbm=table.number("tx_power_dbm", low=-50, high=50),
        azimuth_deg=table.number("azimuth_deg", low=-360, high=360),
        downtilt_deg=table.number("downtilt_deg", low=-90, high=90),
        beamwidth_deg=table.number("beamwidth_deg", low=1, high=360),
        sgln=table.text("sgln"),
    )
    table.close()
    return antenna


def _gate(table: Table, model_of: ModelReader) -> Gate:
    gate_id = _identifier(table, "dock-1")
    model = table.text("model")
    learnt = None if model is None else model_of(model)
    if isinstance(learnt, str):
        table.problem(f"model {shown(model)} {learnt}")
    gate = Gate(
        id=gate_id,
        kind=table.choice("kind", GateKind, required=True) or GateKind.DOOR,
        inside=table.texts("inside"),
        outside=table.texts("outside"),
        inside_zone=table.text("inside_zone", required="receiving") or "",
        outside_zone=table.text("outside_zone"),
        name=table.text("name") or gate_id,
        model=model,
        learnt=None if isinstance(learnt, str) else learnt,
    )
    table.close()
    return gate


def _shelf(table: Table) -> Shelf:
    topic = table.text("mqtt_topic")
    shelf = Shelf(
        id=_identifier(table, "denim-3"),
        zone=table.text("zone", required="floor.denim") or "",
        gtin=_gtin(table),
        unit_grams=table.number("unit_grams", low=0.001),
        capacity_units=table.whole("capacity_units"),
        minimum_units=table.whole("minimum_units"),
        profile=table.text("profile"),
        mqtt_topic=topic,
        status_mqtt_topics=table.texts("status_mqtt_topics"),
        x=table.number("x"),
        y=table.number("y"),
    )
    if table.has("profile") != table.has("mqtt_topic"):
        table.problem("a scale needs both profile and mqtt_topic: write the missing one, or neither")
    if table.has("x") != table.has("y"):
        table.problem("a place needs both x and y: write the missing one, or neither")
    table.close()
    return shelf


def _sensor(table: Table) -> Sensor:
    sensor = Sensor(
        id=_identifier(table, "t1"),
        profile=table.text("profile", required="tagtide") or "",
        mqtt_topic=_topic(table, required="sensors/t1"),
        zone=table.text("zone"),
    )
    table.close()
    return sensor


def _feed(table: Table) -> Feed:
    feed = Feed(
        id=_identifier(table, "till"),
        profile=table.text("profile", required="tagtide") or "",
        mqtt_topic=_topic(table, required="business/till"),
    )
    table.close()
    return feed


def _wall(table: Table) -> Wall:
    if table.has("line"):
        line = table.points("line")
        if line is not None and len(line) != 2:
            table.problem("line must have two points: write one wall for each straight part")
        start, end = line if line is not None and len(line) == 2 else (None, None)
        if table.has("start") or table.has("end"):
            table.problem("has both line and start or end: keep one of them")
    else:
        start, end = table.point("start", required="[0, 0]"), table.point("end", required="[8, 0]")
    if start is not None and start == end:
        table.problem("has no length: its start is its end")
    unusable = (math.nan, math.nan)
    wall = Wall(start=start or unusable, end=end or unusable, loss_db=table.number("loss_db", low=0, high=200))
    table.close()
    return wall


def _geo(table: Table) -> GeoReference:
    geo = GeoReference(
        latitude_deg=_or(table.number("latitude_deg", required="53.5503", low=-90, high=90), math.nan),
        longitude_deg=_or(table.number("longitude_deg", required="9.9937", low=-180, high=180), math.nan),
        bearing_deg=_or(table.number("bearing_deg", low=-360, high=360), 0.0),
    )
    table.close()
    return geo


def _location(table: Table) -> LocationSettings:
    sensitivity = table.number("move_sensitivity", low=0, high=1)
    false_moves = table.number("false_moves_per_item_hour", low=0.01, high=10)
    table.close()
    return LocationSettings(
        false_moves_per_item_hour=_or(false_moves, FALSE_MOVES_PER_ITEM_HOUR), move_sensitivity=sensitivity
    )


def _topic(table: Table, *, required: str) -> str:
    topic = table.text("mqtt_topic", required=required)
    if topic == "":
        table.problem("mqtt_topic is empty: write the topic that the device publishes on")
    return topic or ""


def _gtin(table: Table) -> str | None:
    gtin = table.text("gtin")
    if gtin is None:
        return None
    digits = gtin.strip()
    if fault := gtin_fault(digits):
        table.problem(fault)
        return None
    return digits.zfill(14)


def _or(value: Any, stand_in: Any) -> Any:
    return stand_in if value is None else value
