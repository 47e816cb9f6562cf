"""What an item's own reads, the shelf plan and its kin each contribute to where it is said to be.

The lake keeps what was decided, and the reads behind it; what was expected beside them is not among its rows. It is
worked out anew here, for the time at which a stay was last told, from the radio law that was in force then, from the
site file, and from where all other items were: with the very rules of the location step, one after the other. So the
last of the three figures comes near to the stay's confidence; what is left between them is what the item did before,
such as a move within its zone, after which kin are believed by half. Where the site file has changed since, it is
today's that is asked.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from analytics.location import radio
from analytics.location.assortment import Assortment
from analytics.location.beliefs import KIN_US
from analytics.location.cells import SHARE_TRUST, SHARE_TRUST_READS, Floats32, pool_zones
from analytics.location.items import ItemTable
from analytics.location.kin import KIN_TRUST_MOVED, NO_GROUP, UNIT, Kin, KinTables, weigh_kin
from analytics.location.places import Floats, Places, map_site
from analytics.location.state import fresh_tracks
from analytics.location.tracks import TRACK
from analytics.query import ask
from devices.site.model import Site

LIES_AFTER = dt.timedelta(microseconds=KIN_US)
"""Other items count among its kin once they have lain for this long."""
ZONES_SHOWN = 5
"""Zones that are listed at most, the likeliest ones,"""
SHARE_SHOWN = 0.001
"""and none that is less likely than this all along."""


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
    """How likely a zone is, of all zones, with ever more taken into account."""

    zone: str
    """Which."""
    probability: float
    """By the item's own reads alone."""
    with_plan: float | None
    """With the shelf plan beside them; `None` where the site file has no shelf for its GTIN."""
    with_kin: float | None
    """With where its kin lie as well; `None` where it has no kin, since its code names no GTIN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """What a stay rests on."""

    heard_by: tuple[HeardBy, ...] = ()
    zones: tuple[ZoneChance, ...] = ()
    """The likeliest ones, by its own reads the likeliest first."""
    law_version: int | None = None
    """Of `radio_laws`; `None` for physics, or a calibration, alone."""
    plan_followed: float | None = None
    """Share of the site's goods that are in a zone of their shelves, of those that have any, as was learnt by then."""
    off_shelf_zone: str | None = None
    """Where the others of them lie most."""


def find_contributions(lake: duckdb.DuckDBPyConnection, site: Site, stay: Mapping[str, Any]) -> Contributions:
    """Work out what a stay rested on when it was last told.

    Args:
        lake: Asked.
        site: The site of the stay, as it is now.
        stay: A row of `locations`.
    """
    places = map_site(site)
    law, version = _law(lake, places, site.id, stay["as_of_time"])
    evidence = msgspec.json.decode(stay["evidence"])["antennas"] if stay["evidence"] else []
    numbers = {label: number for number, label in enumerate(places.antenna_labels)}
    evidence = [one for one in evidence if one["antenna"] in numbers]
    if not evidence or not places.zones or stay["zone"] not in places.zone_ids:
        return Contributions(law_version=version)
    tables = radio.tabulate(places, law)
    antennas = np.array([numbers[one["antenna"]] for one in evidence])
    cells = _weigh_cells(tables, antennas, evidence)
    kin, tables_of_kin, group = _kin_then(lake, site, places, stay)
    carried = _was_carried(lake, stay)
    stages = _pool(places, cells, tables_of_kin, group, carried=carried)
    shown = _shown(places, stages, stay["zone"])
    here = places.zone_ids.index(stay["zone"])
    beside = next((zone for zone in np.argsort(-stages[0], kind="stable").tolist() if zone != here), here)
    planned = bool(tables_of_kin.planned[group].any())
    return Contributions(
        heard_by=_heard_by(places, tables, cells, antennas, evidence, (here, beside)),
        zones=tuple(
            ZoneChance(
                zone=places.zone_ids[zone],
                probability=round(float(stages[0][zone]), 4),
                with_plan=round(float(stages[1][zone]), 4) if planned else None,
                with_kin=round(float(stages[2][zone]), 4) if group != NO_GROUP else None,
            )
            for zone in shown
        ),
        law_version=version,
        plan_followed=round(kin.assortment.following, 4) if planned else None,
        off_shelf_zone=places.zone_ids[int(np.argmax(kin.assortment.away))] if planned else None,
    )


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


def _weigh_cells(tables: radio.RadioTables, antennas: Floats, evidence: list[dict[str, Any]]) -> Floats32:
    """Weigh each cell by the item's own reads: what `cells.weigh_cells` does, in the order of a formula."""
    reads = np.array([one["reads"] for one in evidence], dtype=np.float64)
    level = np.array([np.nan if one["rssi_dbm"] is None else one["rssi_dbm"] for one in evidence])
    trust = SHARE_TRUST * reads / (SHARE_TRUST_READS + reads.sum())
    log = (trust[:, None] * tables.log_share[antennas]).sum(axis=0).astype(np.float64)
    variance = tables.weighing_variance + tables.fading_variance / np.maximum(reads, 0.05)
    known = np.isfinite(level)
    off = level[known, None] - tables.mean_dbm[antennas[known]]
    log -= (off**2 / (2.0 * variance[known, None])).sum(axis=0)
    return np.asarray(np.exp(log - log.max()), dtype=np.float32)


def _kin_then(
    lake: duckdb.DuckDBPyConnection, site: Site, places: Places, stay: Mapping[str, Any]
) -> tuple[Kin, KinTables, int]:
    """Return where all other items lay when a stay was told, as kin; and the item's group among them."""
    as_of = stay["as_of_time"]
    rows = ask(
        lake,
        """
        SELECT epc_hex, zone, confidence
        FROM locations
        WHERE site = $site AND epc_hex <> $epc AND from_time <= $lain_since
            AND (until_time IS NULL OR until_time > $as_of)
        ORDER BY epc_hex
        """,
        {"site": site.id, "epc": stay["epc_hex"], "as_of": as_of, "lain_since": as_of - LIES_AFTER},
    )
    table, kin = ItemTable(), Kin(Assortment(site, places))
    others = table.numbers_of(rows["epc_hex"].combine_chunks())
    (item,) = table.numbers_of(pa.array([stay["epc_hex"]], pa.string())).tolist()
    tracks = fresh_tracks(len(table))
    zones = {name: number for number, name in enumerate(places.zone_ids)}
    lies = np.array([zones.get(name, -1) for name in rows["zone"].to_pylist()], dtype=np.int64)
    weight = np.array(rows["confidence"].to_pylist(), dtype=np.float64)
    known = lies >= 0
    tracks["kin_zone"][others[known]] = lies[known]
    tracks["kin_weight"][others[known]] = (weight[known] * UNIT).astype(np.int16)
    kin.extend(table)
    kin.recount(tracks)
    kin.learn()
    kin.learn_strays(tracks)
    return kin, kin.tables, int(kin.group[item])


def _was_carried(lake: duckdb.DuckDBPyConnection, stay: Mapping[str, Any]) -> bool:
    """Whether an item came to its stay from another zone: it may then have been put down anywhere."""
    found = ask(
        lake,
        """
        SELECT 1 AS moved
        FROM locations
        WHERE site = $site AND epc_hex = $epc AND until_time = $from AND left_for = $to
        """,
        {"site": stay["site"], "epc": stay["epc_hex"], "from": stay["from_time"], "to": stay["zone"]},
    )
    return bool(found.num_rows)


def _pool(
    places: Places, cells: Floats32, kin: KinTables, group: int, *, carried: bool
) -> tuple[Floats32, Floats32, Floats32]:
    """Return how likely each zone is: by reads alone, with the plan, with kin as well. Kernels run as plain Python."""
    area = (np.diff(places.zone_cells) / places.zone_cells[-1]).astype(np.float32)
    nobody = cast("Any", np.zeros(1, dtype=TRACK).view(np.recarray))[0]
    trust = KIN_TRUST_MOVED if carried else 1.0

    def likely(tables: KinTables, group: int) -> Floats32:
        factors, zones = np.ones(places.zones, dtype=np.float32), np.zeros(places.zones, dtype=np.float32)
        cast("Any", weigh_kin).py_func(nobody, group, tables, area, trust, factors)
        at = NO_GROUP if carried else group
        shelves = tables.shelf_cell[at], tables.shelf_share[at]
        cast("Any", pool_zones).py_func(cells, places.zone_cells, factors, *shelves, zones)
        return zones

    nowhere = kin._replace(counts=np.zeros_like(kin.counts))
    return likely(kin, NO_GROUP), likely(nowhere, group), likely(kin, group)


def _shown(places: Places, stages: tuple[Floats32, Floats32, Floats32], told: str) -> list[int]:
    """Return the zones that are worth a line: the told one, the likeliest of each stage, and others that are likely."""
    most = np.max(stages, axis=0)
    wanted = {places.zone_ids.index(told), *(int(np.argmax(stage)) for stage in stages)}
    for zone in np.argsort(-most, kind="stable").tolist():
        if len(wanted) < ZONES_SHOWN and most[zone] >= SHARE_SHOWN:
            wanted.add(zone)
    if len(wanted) == 1:
        wanted.update(np.argsort(-most, kind="stable").tolist()[:2])
    return sorted(wanted, key=lambda zone: -float(stages[0][zone]))


def _heard_by(  # noqa: PLR0917 - what was worked out so far
    places: Places,
    tables: radio.RadioTables,
    cells: Floats32,
    antennas: Floats,
    evidence: list[dict[str, Any]],
    zones: tuple[int, int],
) -> tuple[HeardBy, ...]:
    """Set what antennas heard beside what they would hear at the best places of two zones."""
    bounds = places.zone_cells
    here, beside = (int(bounds[zone] + np.argmax(cells[bounds[zone] : bounds[zone + 1]])) for zone in zones)
    return tuple(
        HeardBy(
            antenna=one["antenna"],
            reads=one["reads"],
            rssi_dbm=one["rssi_dbm"],
            expected_dbm=round(float(tables.mean_dbm[antenna, here]), 1),
            elsewhere_dbm=round(float(tables.mean_dbm[antenna, beside]), 1),
        )
        for one, antenna in zip(evidence, antennas.tolist(), strict=True)
    )
