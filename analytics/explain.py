"""Why Tagtide thinks that an item is where it says: everything that the lake knows of one item, put together.

The evidence of a stay names the antennas that heard the item. What the radio law expects of them, at the best place in
the zone and at the best place in the zone that comes next, is worked out anew with the law that was in force, from
reads alone. Where that differs from the stay's confidence, the difference comes from what is not in the item's own
reads: where it was before, and where its kin lie.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np

from analytics.data_directory import DataDirectory
from analytics.item_name import find_item
from analytics.location import radio
from analytics.location.places import Floats, Places, map_site
from analytics.query import ask, connect
from analytics.schemas import OUTSIDE
from devices.site.model import Site

ODD_DB = 12.0
"""An antenna that hears an item this much stronger or weaker than expected is worth a word,"""
READS_MIN = 1.5
"""where it is not one that heard it once."""
HISTORY_ROWS = 20
"""Stays, passages and business events that are shown, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardBy:
    """An antenna that heard the item during the stay, and what the law expects of it."""

    antenna: str
    """`reader:port`, or a reader where the port is not known."""
    reads: float
    """Reads that count, older ones less."""
    rssi_dbm: float | None
    """Their mean."""
    expected_dbm: float | None
    """By the law, at the best place in the zone."""
    elsewhere_dbm: float | None
    """By the law, at the best place in the zone that comes next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneChance:
    """What the item's own reads say of a zone."""

    zone: str
    """Which."""
    probability: float
    """Of all zones, by reads alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A stay of the item."""

    zone: str
    from_time: dt.datetime
    until_time: dt.datetime | None
    confidence: float
    left_for: str | None
    as_of_time: dt.datetime
    revisions: int

    @property
    def is_taken_back(self) -> bool:
        """Whether it never was: the item is heard from beyond the site's outline."""
        return self.left_for == OUTSIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that is known of an item."""

    site: str
    epc_hex: str
    epc_uri: str | None
    gtin: str | None
    now_time: dt.datetime
    """The newest time in the lake."""
    stay: Stay | None
    """Where it is, or was last."""
    x: float | None
    y: float | None
    radius_m: float | None
    """Around x and y; holds the item with 90 %, where that is known."""
    heard_by: tuple[HeardBy, ...]
    by_reads_alone: tuple[ZoneChance, ...]
    """The likeliest zones, likeliest first."""
    law_version: int | None
    """Of `radio_laws`; `None` for physics, or a calibration, alone."""
    kin: Mapping[str, int]
    """Other items of its GTIN that are located now, by zone."""
    against: tuple[str, ...]
    """What speaks against it, or should be looked at; one sentence each."""
    stays: tuple[Stay, ...]
    reads: int
    first_read_time: dt.datetime | None
    last_read_time: dt.datetime | None
    last_antenna: str | None
    departed_after_s: float | None
    """Silence after which the site takes an item to have left."""
    sold: bool
    business: tuple[Mapping[str, Any], ...]
    """What business systems said of this very item, newest first."""
    passages: tuple[Mapping[str, Any], ...]
    """Through gates, newest first."""
    inside: tuple[Mapping[str, Any], ...]
    """Cartons and pallets that it is or was in, newest first."""


def explain(data: Path, wanted: str, site: str | None = None) -> Explanation:
    """Put together what the lake knows of an item.

    Args:
        data: The `--data` directory.
        wanted: EPC in hexadecimal, its URI, or GTIN and serial number.
        site: Site identifier, where the item was in several.

    Raises:
        QuestionError: There is no lake, or no such item in it.
    """
    with connect(data) as lake:
        where, epc = find_item(lake, wanted, site)
        sites = {one.id: one for one in DataDirectory(data).sites()}
        return _explained(lake, where, epc, sites.get(where))


def _explained(lake: duckdb.DuckDBPyConnection, where: str, epc: str, site: Site | None) -> Explanation:
    rows = _rows(
        lake,
        """SELECT * FROM locations WHERE site = $site AND epc_hex = $epc ORDER BY from_time DESC""",
        where,
        epc,
    )
    last = rows[0] if rows else None
    (read,) = _rows(lake, _READS, where, epc)
    now = ask(lake, "SELECT now_time FROM newest")["now_time"][0].as_py()
    weighed = None if last is None or site is None else _weigh(lake, site, last)
    stays = tuple(_stay(row) for row in rows[:HISTORY_ROWS])
    gtin = None if last is None else last["gtin"]
    found = Explanation(
        site=where,
        epc_hex=epc,
        epc_uri=None if last is None else last["epc_uri"],
        gtin=gtin,
        now_time=now,
        stay=stays[0] if stays else None,
        x=None if last is None else last["x"],
        y=None if last is None else last["y"],
        radius_m=None if last is None else last.get("radius_m"),
        heard_by=() if weighed is None else weighed.heard_by,
        by_reads_alone=() if weighed is None else weighed.zones,
        law_version=None if weighed is None else weighed.version,
        kin=_kin(lake, where, epc, gtin),
        against=(),
        stays=stays,
        reads=read["reads"],
        first_read_time=read["first_time"],
        last_read_time=read["last_time"],
        last_antenna=read["last_antenna"],
        departed_after_s=None if site is None else site.departed_after_s,
        sold=bool(_rows(lake, "SELECT 1 AS is_sold FROM sold WHERE site = $site AND epc_hex = $epc", where, epc)),
        business=tuple(_rows(lake, _BUSINESS, where, epc)),
        passages=tuple(_rows(lake, _PASSAGES, where, epc)),
        inside=tuple(_rows(lake, _INSIDE, where, epc)),
    )
    return replace(found, against=tuple(_against(found, _shelf_zones(site, gtin))))


_READS = """
    SELECT
        count(*) AS reads,
        min(event_time) AS first_time,
        max(event_time) AS last_time,
        arg_max(reader || coalesce(':' || antenna, ''), (event_time, edge_offset, edge_index)) AS last_antenna
    FROM reads
    WHERE site = $site AND epc_hex = $epc
"""
_BUSINESS = f"""
    SELECT event_time, event, source, business_transaction
    FROM business_events
    WHERE site = $site AND epc_hex = $epc
    ORDER BY event_time DESC, edge_offset DESC, edge_index DESC
    LIMIT {HISTORY_ROWS}
"""  # noqa: S608 - our own number
_PASSAGES = f"""
    SELECT until_time, gate, direction, confidence
    FROM passages
    WHERE site = $site AND epc_hex = $epc
    ORDER BY until_time DESC
    LIMIT {HISTORY_ROWS}
"""  # noqa: S608 - our own number
_INSIDE = f"""
    SELECT parent_epc_hex, parent_epc_uri, from_time, until_time, confidence
    FROM aggregations
    WHERE site = $site AND child_epc_hex = $epc
    ORDER BY from_time DESC
    LIMIT {HISTORY_ROWS}
"""  # noqa: S608 - our own number


def _rows(lake: duckdb.DuckDBPyConnection, sql: str, site: str, epc: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(lake, sql, {"site": site, "epc": epc}).to_pylist()
    return found


def _stay(row: Mapping[str, Any]) -> Stay:
    return Stay(
        zone=row["zone"],
        from_time=row["from_time"],
        until_time=row["until_time"],
        confidence=row["confidence"],
        left_for=row["left_for"],
        as_of_time=row["as_of_time"],
        revisions=row["revision"] + 1,
    )


def _kin(lake: duckdb.DuckDBPyConnection, site: str, epc: str, gtin: str | None) -> dict[str, int]:
    if gtin is None:
        return {}
    sql = """
        SELECT zone, count(*) AS items
        FROM locations
        WHERE site = $site AND gtin = $gtin AND epc_hex <> $epc AND until_time IS NULL
        GROUP BY zone
        ORDER BY items DESC, zone
    """
    return dict(lake.execute(sql, {"site": site, "gtin": gtin, "epc": epc}).fetchall())


@dataclass(frozen=True, slots=True)
class _Weighed:
    heard_by: tuple[HeardBy, ...]
    zones: tuple[ZoneChance, ...]
    version: int | None


def _weigh(lake: duckdb.DuckDBPyConnection, site: Site, stay: Mapping[str, Any]) -> _Weighed:
    """Weigh the evidence of a stay by the law that was in force when it was last told."""
    places = map_site(site)
    law, version = _law(lake, places, site.id, stay["as_of_time"])
    evidence = msgspec.json.decode(stay["evidence"])["antennas"] if stay["evidence"] else []
    numbers = {label: number for number, label in enumerate(places.antenna_labels)}
    evidence = [one for one in evidence if one["antenna"] in numbers]
    if not evidence or not places.zones or stay["zone"] not in places.zone_ids:
        return _Weighed((), (), version)
    tables = radio.tabulate(places, law)
    antennas = np.array([numbers[one["antenna"]] for one in evidence])
    reads = np.array([one["reads"] for one in evidence], dtype=np.float64)
    level = np.array([np.nan if one["rssi_dbm"] is None else one["rssi_dbm"] for one in evidence])
    cells = _cells(tables, antennas, reads, level)
    bounds = places.zone_cells
    chance = np.array([cells[bounds[zone] : bounds[zone + 1]].sum() for zone in range(places.zones)])
    order = np.argsort(-chance, kind="stable")
    here = places.zone_ids.index(stay["zone"])
    next_one = int(order[0] if order[0] != here else order[min(1, len(order) - 1)])
    best_here, best_next = (int(bounds[z] + np.argmax(cells[bounds[z] : bounds[z + 1]])) for z in (here, next_one))
    heard_by = tuple(
        HeardBy(
            antenna=one["antenna"],
            reads=one["reads"],
            rssi_dbm=one["rssi_dbm"],
            expected_dbm=round(float(tables.mean_dbm[antenna, best_here]), 1),
            elsewhere_dbm=round(float(tables.mean_dbm[antenna, best_next]), 1),
        )
        for one, antenna in zip(evidence, antennas.tolist(), strict=True)
    )
    zones = tuple(
        ZoneChance(zone=places.zone_ids[zone], probability=round(float(chance[zone]), 4))
        for zone in order.tolist()[:5]
        if chance[zone] >= 0.001 or zone in {here, next_one}
    )
    return _Weighed(heard_by, zones, version)


def _cells(tables: radio.RadioTables, antennas: Floats, reads: Floats, level: Floats) -> Floats:
    """Return the probability of each cell by reads alone: what the filter does, in the order of a formula."""
    from analytics.location.cells import SHARE_TRUST, SHARE_TRUST_READS

    trust = SHARE_TRUST * reads / (SHARE_TRUST_READS + reads.sum())
    log = (trust[:, None] * tables.log_share[antennas]).sum(axis=0).astype(np.float64)
    variance = radio.PLACE_SPREAD_DB**2 + radio.FADING_SPREAD_DB**2 / np.maximum(reads, 0.05)
    known = np.isfinite(level)
    off = level[known, None] - tables.mean_dbm[antennas[known]]
    log -= (off**2 / (2.0 * variance[known, None])).sum(axis=0)
    weights = np.exp(log - log.max())
    return np.asarray(weights / weights.sum())


def _law(
    lake: duckdb.DuckDBPyConnection, places: Places, site: str, as_of: dt.datetime
) -> tuple[radio.RadioLaw, int | None]:
    """Return the law of a time: what `radio_laws` says, on physics where it says nothing."""
    law = radio.physics(places)
    rows = lake.execute(
        """
        SELECT antenna, parameter, value, version
        FROM radio_laws
        WHERE site = $site AND as_of_time <= $as_of
        QUALIFY version = max(version) OVER ()
        """,
        {"site": site, "as_of": as_of},
    ).fetchall()
    if not rows:
        return law, None
    offset, level = law.offset_db.copy(), law.level_db.copy()
    labels, readers = list(places.antenna_labels[: len(places.antennas)]), list(places.reader_ids)
    for antenna, parameter, value, _ in rows:
        if parameter == "offset_db" and antenna in labels:
            offset[labels.index(antenna)] = value
        if parameter == "level_db" and antenna in readers:
            level[readers.index(antenna)] = value
    return replace(law, offset_db=offset, level_db=level), int(rows[0][3])


def _shelf_zones(site: Site | None, gtin: str | None) -> set[str]:
    return set() if site is None else {shelf.zone for shelf in site.shelves if shelf.gtin == gtin and gtin is not None}


def _against(found: Explanation, shelf_zones: set[str]) -> list[str]:
    """List what speaks against the answer, or what somebody should look at."""
    said: list[str] = []
    stay = found.stay
    if stay is None:
        return [
            "it was read, but never often enough, or by no antenna that the site file places, to be located",
            "or it is read from beyond the site's outline",
        ]
    here = stay.until_time is None
    others = [one for one in found.by_reads_alone if one.zone != stay.zone]
    if others and others[0].probability >= 0.05:
        said.append(f"by its own reads alone it is in {others[0].zone} with {others[0].probability:.0%}")
    if stay.confidence < 0.8:
        said.append(f"the site itself is only {stay.confidence:.0%} sure of the zone")
    for one in found.heard_by:
        if one.rssi_dbm is None or one.expected_dbm is None or one.reads < READS_MIN:
            continue
        if abs(one.rssi_dbm - one.expected_dbm) > ODD_DB:
            way = "stronger" if one.rssi_dbm > one.expected_dbm else "weaker"
            apart = abs(one.rssi_dbm - one.expected_dbm)
            said.append(f"{one.antenna} hears it {apart:.0f} dB {way} than the law expects there")
    kin = sum(found.kin.values())
    if kin >= 3 and found.kin.get(stay.zone, 0) == 0:
        said.append(f"none of the {kin} other items of its GTIN is there")
    if here and found.last_read_time is not None and found.departed_after_s is not None:
        silent_s = (found.now_time - found.last_read_time).total_seconds()
        if silent_s > found.departed_after_s / 2:
            said.append(f"it has not been read for {silent_s / 60:.0f} minutes")
    if here and found.sold:
        said.append("business systems say that it was sold or sent away")
    if here and shelf_zones and stay.zone not in shelf_zones:
        said.append(f"goods of its GTIN belong in {', '.join(sorted(shelf_zones))}")
    return said
