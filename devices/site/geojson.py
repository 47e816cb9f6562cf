"""Zone outlines from a GeoJSON file beside the site file: features with a property `id`, coordinates in metres."""

import json
from pathlib import Path
from typing import Any

from devices.site.table import Findings, Point, Table, shown

GEOJSON_BYTES_MAX = 64 * 1024 * 1024
"""A plan of 1000 zones with 1000 corners each is some 40 MB; more is not a floor plan."""


def read_outlines(path: Path, findings: Findings) -> dict[str, tuple[Point, ...]]:
    """Read zone outlines by zone identifier; what cannot be used is reported and left out.

    Args:
        path: GeoJSON file, a FeatureCollection of Polygons.
        findings: Where problems go.
    """
    place = f"geojson {shown(path.name)}"
    try:
        if path.stat().st_size > GEOJSON_BYTES_MAX:
            findings.problem(place, f"is larger than {GEOJSON_BYTES_MAX} bytes: it must hold zone outlines only")
            return {}
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        findings.problem(place, f"cannot be read ({error.strerror}): put the file beside the site file")
        return {}
    except (ValueError, RecursionError) as error:
        findings.problem(place, f"is not JSON ({error}): export it again")
        return {}
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        findings.problem(place, "must be a FeatureCollection with a list of features")
        return {}
    outlines: dict[str, tuple[Point, ...]] = {}
    for number, feature in enumerate(features, start=1):
        _read_feature(feature, f"{place} feature {number}", findings, outlines)
    return outlines


def _read_feature(feature: Any, place: str, findings: Findings, outlines: dict[str, tuple[Point, ...]]) -> None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    zone = properties.get("id") if isinstance(properties, dict) else None
    if not isinstance(zone, str):
        findings.warning(place, "has no property id that names a zone. It is ignored")
        return
    place = f"{place} ({shown(zone)})"
    ring = _outer_ring(feature.get("geometry"))
    if ring is None:
        findings.problem(place, "must be a Polygon without holes: split the zone, or leave the hole out")
        return
    flat = [entry[:2] if isinstance(entry, list) else entry for entry in ring]  # a third coordinate is the height
    outline = Table({}, place, findings).as_points("outline", flat)
    if zone in outlines:
        findings.problem(place, "is there twice: keep one of them")
    elif outline is not None:
        outlines[zone] = outline


def _outer_ring(geometry: Any) -> list[Any] | None:
    if not isinstance(geometry, dict):
        return None
    rings = geometry.get("coordinates")
    if geometry.get("type") == "MultiPolygon" and isinstance(rings, list) and len(rings) == 1:
        rings = rings[0]
    elif geometry.get("type") != "Polygon":
        return None
    if not isinstance(rings, list) or len(rings) != 1 or not isinstance(rings[0], list):
        return None
    return rings[0]
