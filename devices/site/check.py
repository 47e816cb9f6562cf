"""Checks across the entries of a site: identifiers, references, topics, profiles and geometry.

Works on the draft of `devices.site.draft`; an entry that could not be read was reported there and is skipped here.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

import numpy as np
import shapely

from devices.site.calibration import MOVED_M
from devices.site.draft import antenna_label, label
from devices.site.gates import check_gates
from devices.site.geometry import DOOR_M, SiteGeometry, polygon_of
from devices.site.model import Site, Zone
from devices.site.table import Findings, did_you_mean, shown, unknown_zone
from devices.site.values import topic_fault

V = TypeVar("V", int, str)

OVERLAP_M2 = 0.01
"""Zones that overlap by less than 10 by 10 cm share a border that was drawn twice."""
AREA_M2_MIN = 0.01
"""A zone smaller than 10 by 10 cm is a line or a point."""
AREA_M2_USUAL_MIN = 0.25
"""A zone smaller than half a metre squared is probably not drawn in metres."""


def check_draft(site: Site, findings: Findings, profiles: Collection[str]) -> None:
    """Check a draft as a whole.

    Args:
        site: The draft.
        findings: Where problems and warnings go.
        profiles: Names of the dialects that exist.
    """
    _check_presence(site, findings)
    _check_ids(site, findings)
    geometry, broken = _check_outlines(site, findings)
    _check_overlaps(geometry, findings)
    _check_antennas(site, geometry, broken, findings)
    _check_zone_references(site, geometry, findings)
    check_gates(site, findings)
    _check_calibration(site, findings)
    _check_shelves(site, findings)
    _check_profiles(site, findings, profiles)
    _check_topics(site, findings)


def _check_calibration(site: Site, findings: Findings) -> None:
    """Warn of a calibration that is another site's, or of antennas that stand elsewhere now."""
    if site.surveyed is None:
        return
    if site.surveyed.site != site.id:
        findings.warning("site", f"calibration is of site {shown(site.surveyed.site)}: is it the right file?")
    now = {(reader.id, antenna.port): antenna for reader in site.readers for antenna in reader.antennas}
    for one in site.surveyed.antenna:
        antenna = now.get((one.reader, one.port))
        if antenna is None or math.dist((antenna.x, antenna.y, antenna.z), (one.x, one.y, one.z)) > MOVED_M:
            what = "is not in this file" if antenna is None else "has been moved"
            findings.warning(
                antenna_label(label("reader", 0, one.reader), 0, one.port),
                f"{what} since it was calibrated: its part of the calibration is ignored. Calibrate again",
            )


def topics_of(site: Site) -> Iterator[tuple[str, str, str]]:
    """Yield (place, key, topic) of every MQTT topic that a site or draft names."""
    for number, reader in enumerate(site.readers, start=1):
        place = label("reader", number, reader.id)
        yield place, "mqtt_topic", reader.mqtt_topic
        yield from ((place, "status_mqtt_topics", topic) for topic in reader.status_mqtt_topics)
    for number, shelf in enumerate(site.shelves, start=1):
        place = label("shelf", number, shelf.id)
        if shelf.mqtt_topic is not None:
            yield place, "mqtt_topic", shelf.mqtt_topic
        yield from ((place, "status_mqtt_topics", topic) for topic in shelf.status_mqtt_topics)
    for number, sensor in enumerate(site.sensors, start=1):
        yield label("sensor", number, sensor.id), "mqtt_topic", sensor.mqtt_topic
    for number, feed in enumerate(site.feeds, start=1):
        yield label("feed", number, feed.id), "mqtt_topic", feed.mqtt_topic


def shared_across(sites: Sequence[tuple[str, Site]]) -> list[str]:
    """Find site identifiers and topics that two files claim.

    Args:
        sites: File name and site or draft of each.

    Returns:
        One line a problem.
    """
    problems: list[str] = []
    file_of_id: dict[str, str] = {}
    owner_of_topic: dict[str, tuple[str, str]] = {}
    for name, site in sites:
        if site.id and site.id in file_of_id:
            problems.append(
                f"{name}: site id {shown(site.id)} is also that of {file_of_id[site.id]}: give each its own"
            )
        file_of_id.setdefault(site.id, name)
        for place, _, topic in topics_of(site):
            owner, owner_place = owner_of_topic.setdefault(topic, (name, place))
            if owner != name and topic:
                problems.append(
                    f"{name}: {place}: topic {shown(topic)} is also that of {owner_place} in {owner}: "
                    "give each device its own"
                )
    return problems


def _check_presence(site: Site, findings: Findings) -> None:
    if not site.zones:
        findings.problem("site", "has no zones: write at least one [[zone]] with an id, a kind and a polygon")
    if not site.readers:
        findings.warning("site", "has no readers: nothing can be located")
    for number, reader in enumerate(site.readers, start=1):
        if reader.mobile and reader.antennas:
            findings.problem(
                label("reader", number, reader.id),
                "is mobile and has antennas with a place: leave its [[reader.antenna]] out, or mobile = true",
            )
        elif not reader.antennas and not reader.mobile:
            findings.warning(label("reader", number, reader.id), "has no antennas: its reads have no place")


def _check_ids(site: Site, findings: Findings) -> None:
    _unique(findings, "zone", [zone.id for zone in site.zones])
    _unique(findings, "reader", [reader.id for reader in site.readers])
    _unique(findings, "gate", [gate.id for gate in site.gates])
    _unique(findings, "shelf", [shelf.id for shelf in site.shelves])
    _unique(findings, "sensor", [sensor.id for sensor in site.sensors])
    _unique(findings, "feed", [feed.id for feed in site.feeds])
    for number, reader in enumerate(site.readers, start=1):
        place = label("reader", number, reader.id)
        ports = [antenna.port for antenna in reader.antennas if antenna.port >= 0]
        for port in _repeated(ports):
            findings.problem(place, f"antenna port {port} is there {_times(ports.count(port))}: keep one")
        names = [antenna.name for antenna in reader.antennas if antenna.name is not None]
        for name in _repeated(names):
            findings.problem(place, f"antenna name {shown(name)} is there {_times(names.count(name))}: rename one")


def _unique(findings: Findings, kind: str, ids: list[str]) -> None:
    for entry_id in _repeated([entry_id for entry_id in ids if entry_id]):
        places = [number for number, found in enumerate(ids, start=1) if found == entry_id]
        numbers = " and ".join(f"#{number}" for number in places[:10]) + (" and more" if len(places) > 10 else "")
        findings.problem(f"{kind} {shown(entry_id)}", f"duplicate id: {kind} {numbers} have it, rename all but one")


def _check_outlines(site: Site, findings: Findings) -> tuple[SiteGeometry, list[shapely.Geometry]]:
    """Report unusable outlines; return the geometry of the usable zones and the rough areas of the others."""
    usable: list[Zone] = []
    broken: list[shapely.Geometry] = []
    for number, zone in enumerate(site.zones, start=1):
        place = label("zone", number, zone.id)
        if not zone.polygon:
            continue
        if fault := _outline_fault(zone.polygon):
            findings.problem(place, fault)
            broken.append(shapely.MultiPoint(zone.polygon).convex_hull)
            continue
        usable.append(zone)
        if (area := polygon_of(zone).area) < AREA_M2_USUAL_MIN:
            findings.warning(place, f"has an area of {area:.2g} m2. Are its corners in metres?")
    return SiteGeometry(Site(id=site.id, zones=tuple(usable), readers=site.readers)), broken


def _outline_fault(corners: Sequence[tuple[float, float]]) -> str | None:
    if len(corners) < 3:
        return f"polygon has {len(corners)} different corners: it needs three or more"
    polygon = shapely.Polygon(corners)
    if (area := polygon.convex_hull.area) < AREA_M2_MIN:
        return f"polygon has no area ({area:.2g} m2): its corners lie on a line or too close, in metres"
    if not polygon.is_valid:
        reason = str(shapely.is_valid_reason(polygon))
        kind, _, where = reason.partition("[")
        at = f" at ({', '.join(where.rstrip(']').split())})" if where else ""
        crosses = "crosses or touches itself" if "intersection" in kind.lower() else f"is not valid ({kind.strip()})"
        return f"polygon {crosses}{at}: write its corners in order around it"
    return None


def _check_overlaps(geometry: SiteGeometry, findings: Findings) -> None:
    tree = shapely.STRtree(geometry.polygons)
    for a, polygon in enumerate(geometry.polygons):
        if findings.is_full:
            return
        others = np.sort(tree.query(polygon, predicate="intersects"))
        others = others[others > a]
        areas = shapely.area(shapely.intersection(geometry.polygons[others], polygon))
        for b, area in zip(others[areas > OVERLAP_M2].tolist(), areas[areas > OVERLAP_M2].tolist(), strict=True):
            findings.problem(
                f"zone {shown(geometry.zones[a].id)} and zone {shown(geometry.zones[b].id)}",
                f"overlap by {area:.2f} m2: move a border, so that each place is in one zone",
            )


def _check_antennas(site: Site, geometry: SiteGeometry, broken: Sequence[shapely.Geometry], findings: Findings) -> None:
    zone_ids = dict.fromkeys(zone.id for zone in site.zones)
    for number, reader in enumerate(site.readers, start=1):
        reader_place = label("reader", number, reader.id)
        for below, antenna in enumerate(reader.antennas, start=1):
            place = antenna_label(reader_place, below, antenna.port)
            if antenna.zone is not None:
                if antenna.zone not in zone_ids:
                    findings.problem(place, unknown_zone(antenna.zone, zone_ids, findings))
            elif not math.isnan(antenna.x) and not math.isnan(antenna.y):
                at = shapely.Point(antenna.x, antenna.y)
                if not any(area.intersects(at) for area in broken):  # its zone is drawn wrongly, and that was said
                    _check_antenna_place(geometry, antenna.x, antenna.y, place, findings)


def _check_antenna_place(geometry: SiteGeometry, x: float, y: float, place: str, findings: Findings) -> None:
    # A warning, not a problem: a file that describes a part of a site is usable, and is to load.
    nearest = geometry.nearest_zone(x, y)
    if nearest is None or geometry.zone_at(x, y) is not None:
        return
    zone, distance = shown(nearest[0]), nearest[1]
    taken = f"it is taken to read in {zone}" if distance <= DOOR_M else "its reads count for no zone"
    findings.warning(
        place,
        f"stands outside all zones at ({x:g}, {y:g}), {distance:.2f} m from zone {zone}: {taken}. "
        f"Correct x and y, or write zone = {zone}",
    )


def _check_zone_references(site: Site, geometry: SiteGeometry, findings: Findings) -> None:
    zone_ids = dict.fromkeys(zone.id for zone in site.zones)
    for number, shelf in enumerate(site.shelves, start=1):
        place = label("shelf", number, shelf.id)
        if shelf.zone and shelf.zone not in zone_ids:
            findings.problem(place, unknown_zone(shelf.zone, zone_ids, findings))
        elif shelf.x is not None and shelf.y is not None and shelf.zone in geometry.zone_number:
            at = geometry.zone_at(shelf.x, shelf.y)
            if at != shelf.zone:
                where = "outside all zones" if at is None else f"in zone {shown(at)}"
                findings.warning(place, f"its x and y are {where}, but it is said to be in {shown(shelf.zone)}")
    for number, sensor in enumerate(site.sensors, start=1):
        if sensor.zone is not None and sensor.zone not in zone_ids:
            findings.problem(label("sensor", number, sensor.id), unknown_zone(sensor.zone, zone_ids, findings))


def _check_shelves(site: Site, findings: Findings) -> None:
    for number, shelf in enumerate(site.shelves, start=1):
        place = label("shelf", number, shelf.id)
        low, high = shelf.minimum_units, shelf.capacity_units
        if low is not None and high is not None and low > high:
            findings.problem(place, f"minimum_units {low} is more than capacity_units {high}: exchange or correct them")
        if shelf.profile == "weight" and shelf.unit_grams is None:
            findings.warning(place, "has a scale but no unit_grams: its mass cannot be turned into units")


def _check_profiles(site: Site, findings: Findings, profiles: Collection[str]) -> None:
    named = [(label("reader", number, reader.id), reader.profile) for number, reader in enumerate(site.readers, 1)]
    named += [
        (label("shelf", number, shelf.id), shelf.profile)
        for number, shelf in enumerate(site.shelves, 1)
        if shelf.profile is not None
    ]
    named += [(label("sensor", number, sensor.id), sensor.profile) for number, sensor in enumerate(site.sensors, 1)]
    named += [(label("feed", number, feed.id), feed.profile) for number, feed in enumerate(site.feeds, 1)]
    for place, profile in named:
        if profile and profile not in profiles:
            hint = did_you_mean(profile, profiles) or f": use one of {', '.join(sorted(profiles))}"
            findings.problem(place, f"unknown profile {shown(profile)}{hint}")


def _check_topics(site: Site, findings: Findings) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for place, key, topic in topics_of(site):
        if not topic and key == "mqtt_topic" and not place.startswith("shelf"):
            continue  # missing or empty: the draft has said so
        if fault := topic_fault(topic):
            findings.problem(place, f"{key} {fault}")
        else:
            places[topic].append(place)
        if topic != topic.strip():
            findings.warning(place, f"{key} {shown(topic)} begins or ends with a space, which is part of the topic")
    for topic, owners in places.items():
        if len(owners) > 1:
            names = list(dict.fromkeys(owners))
            who = " and ".join(names[:10]) + (" and more" if len(names) > 10 else "")
            findings.problem(who, f"duplicate mqtt_topic {shown(topic)}: give each device its own, write it once")


def _repeated(values: list[V]) -> list[V]:
    return [value for value, count in Counter(values).items() if count > 1]


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
