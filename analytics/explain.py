"""Why Tagtide thinks that an item is where it says: everything that the lake knows of one item, put together.

The evidence of a stay names the antennas that heard the item. What the radio law expects of them, and what the item's
own reads, the shelf plan and its kin each contribute to the answer, is worked out anew (`analytics.contributions`).
Where all three together differ from the stay's confidence, the difference comes from what the item did before.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from analytics.contributions import Contributions, HeardBy, ZoneChance, find_contributions
from analytics.data_directory import DataDirectory
from analytics.item_name import find_item
from analytics.query import ask, connect
from analytics.schemas import OUTSIDE
from devices.site.model import Site

ODD_DB = 12.0
"""An antenna that hears an item this much stronger or weaker than expected is worth a word,"""
READS_MIN = 1.5
"""where it is not one that heard it once."""
WORTH_A_WORD = 0.02
"""A probability that changes by less than this has changed little."""
HISTORY_ROWS = 20
"""Stays, passages and business events that are shown, newest first."""


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
    """The likeliest zones, by its own reads the likeliest first; and how likely with plan and kin beside them."""
    shelf_zones: tuple[str, ...]
    """Where goods of its GTIN belong, by the site file."""
    plan_followed: float | None
    """Share of the goods that have a shelf which are in a zone of theirs; `None` where its GTIN has none."""
    off_shelf_zone: str | None
    """Where the others lie most."""
    law_version: int | None
    """Of `radio_laws`; `None` for physics, or a calibration, alone."""
    kin: Mapping[str, int]
    """Other items of its GTIN that are located now, by zone."""
    verdict: str | None
    """What of all this the answer rests on, in a sentence; `None` where that cannot be worked out."""
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
    rests_on = Contributions() if last is None or site is None else find_contributions(lake, site, last)
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
        heard_by=rests_on.heard_by,
        by_reads_alone=rests_on.zones,
        shelf_zones=_shelf_zones(site, gtin),
        plan_followed=rests_on.plan_followed,
        off_shelf_zone=rests_on.off_shelf_zone,
        law_version=rests_on.law_version,
        kin=_kin(lake, where, epc, gtin),
        verdict=None,
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
    return replace(found, verdict=_verdict(found), against=tuple(_against(found)))


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


def _shelf_zones(site: Site | None, gtin: str | None) -> tuple[str, ...]:
    if site is None or gtin is None:
        return ()
    return tuple(sorted({shelf.zone for shelf in site.shelves if shelf.gtin == gtin}))


def _verdict(found: Explanation) -> str | None:
    """Say what the answer rests on: which of reads, plan and kin is for the zone, and which of them decides."""
    if found.stay is None or not found.by_reads_alone:
        return None
    told = found.stay.zone
    stages = [{one.zone: one.probability for one in found.by_reads_alone}]
    best = [max(stages[0], key=lambda zone: stages[0][zone])]
    said = [f"its own reads say {told}" if best[0] == told else f"its own reads alone would say {best[0]}"]
    beside = (
        ("the shelf plan {}s", [(one.zone, one.with_plan) for one in found.by_reads_alone]),
        ("its kin {}", [(one.zone, one.with_kin) for one in found.by_reads_alone]),
    )
    for who, chances in beside:
        stage = {zone: chance for zone, chance in chances if chance is not None}
        if not stage:
            continue
        change = stage[told] - stages[-1][told]
        stages.append(stage)
        best.append(max(stage, key=lambda zone: stage[zone]))
        if best[-1] != best[-2]:
            said.append(f"{who.format('decide')} for {best[-1]}")
        elif abs(change) < WORTH_A_WORD:
            said.append(f"{who.format('change')} little")
        else:
            said.append(f"{who.format('speak')} {'for' if change > 0 else 'against'} {told}")
    if best[-1] != told:
        said.append(f"that it is said to be in {told} comes from what it did before")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def _by_all(zone: ZoneChance) -> float:
    return next(chance for chance in (zone.with_kin, zone.with_plan, zone.probability) if chance is not None)


def _against(found: Explanation) -> list[str]:
    """List what speaks against the answer, or what somebody should look at."""
    said: list[str] = []
    stay = found.stay
    if stay is None:
        return [
            "it was read, but never often enough, or by no antenna that the site file places, to be located",
            "or it is read from beyond the site's outline",
        ]
    here = stay.until_time is None
    likeliest = found.by_reads_alone[0] if found.by_reads_alone else None
    if likeliest is not None and likeliest.zone != stay.zone:
        said.append(f"by its own reads alone it is in {likeliest.zone} with {likeliest.probability:.0%}")
    if found.by_reads_alone and stay.confidence < 0.5:
        by_all = [(_by_all(one), one.zone) for one in found.by_reads_alone]
        chance, zone = max(by_all)
        if zone != stay.zone and chance > stay.confidence:
            said.append(f"it is more likely in {zone} by now ({chance:.0%}): the site says so once it is surer")
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
    if here and found.shelf_zones and stay.zone not in found.shelf_zones:
        said.append(f"goods of its GTIN belong in {', '.join(found.shelf_zones)}")
    return said
