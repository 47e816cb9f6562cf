"""Checks of a site's gates: each has antennas on both sides, which exist, look at one gate only and stand still."""

from collections.abc import Iterator

from devices.site.draft import label
from devices.site.model import Gate, Reader, Site
from devices.site.table import Findings, did_you_mean, shown, unknown_zone


def check_gates(site: Site, findings: Findings) -> None:
    """Check the gates of a draft.

    Args:
        site: The draft.
        findings: Where problems and warnings go.
    """
    readers = {reader.id: reader for reader in site.readers}
    gate_of: dict[str, str] = {}
    for number, gate in enumerate(site.gates, start=1):
        place = label("gate", number, gate.id)
        for problem in (*_antenna_problems(gate, readers), *_side_problems(gate)):
            findings.problem(place, problem)
        for antenna in dict.fromkeys((*gate.inside, *gate.outside)):
            if gate_of.setdefault(antenna, place) != place:
                findings.problem(place, f"antenna {shown(antenna)} is that of {gate_of[antenna]} too: leave it to one")
        _check_zones(site, gate, place, findings)


def antenna_of(text: str) -> tuple[str, int] | None:
    """Return reader and port of `reader:port`; `None` where it is not written so."""
    reader, colon, port = text.rpartition(":")
    if not colon or not reader or not port.isascii() or not port.isdigit() or len(port) > 5:
        return None
    return reader, int(port)


def _antenna_problems(gate: Gate, readers: dict[str, Reader]) -> Iterator[str]:
    for text in dict.fromkeys((*gate.inside, *gate.outside)):
        named = antenna_of(text)
        if named is None:
            yield f'antenna {shown(text)} is not reader:port: write it like "r1:1"'
            continue
        reader = readers.get(named[0])
        if reader is None:
            hint = did_you_mean(named[0], readers) or ": write the id of a [[reader]]"
            yield f"antenna {shown(text)} is of an unknown reader {shown(named[0])}{hint}"
        elif reader.mobile:
            yield f"antenna {shown(text)} is of a mobile reader: a gate needs antennas that stand still"
        elif named[1] not in {antenna.port for antenna in reader.antennas}:
            ports = ", ".join(str(antenna.port) for antenna in reader.antennas[:12]) or "none"
            yield f"reader {shown(named[0])} has no antenna with port {named[1]}: it has {ports}"


def _side_problems(gate: Gate) -> Iterator[str]:
    for side, antennas in (("inside", gate.inside), ("outside", gate.outside)):
        if not antennas:
            yield f'has no antennas {side}: write {side} = ["r1:1"], reader:port of those that look at that side'
    for antenna in sorted(set(gate.inside) & set(gate.outside)):
        yield f"antenna {shown(antenna)} is both inside and outside: leave it to the side that it looks at"


def _check_zones(site: Site, gate: Gate, place: str, findings: Findings) -> None:
    zone_ids = dict.fromkeys(zone.id for zone in site.zones)
    for key, zone in (("inside_zone", gate.inside_zone), ("outside_zone", gate.outside_zone)):
        if zone and zone not in zone_ids:
            off_site = ". Leave outside_zone out where the gate leads off the site" if key == "outside_zone" else ""
            findings.problem(place, f"{key}: {unknown_zone(zone, zone_ids, findings)}{off_site}")
    if gate.inside_zone and gate.inside_zone == gate.outside_zone:
        findings.problem(place, f"leads from zone {shown(gate.inside_zone)} to itself: correct one of the two")
