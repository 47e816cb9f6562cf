"""The site file: what stands where in a store or warehouse, checked as a whole, and questions of place about it."""

from devices.site.file import SiteReport, check_site, check_sites, check_text, load_site, load_sites, parse_site
from devices.site.geometry import SiteGeometry
from devices.site.model import (
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

__all__ = [
    "Antenna",
    "Feed",
    "Gate",
    "GateKind",
    "GeoReference",
    "LocationSettings",
    "Reader",
    "ReaderClock",
    "Sensor",
    "Shelf",
    "Site",
    "SiteGeometry",
    "SiteReport",
    "Wall",
    "Zone",
    "ZoneKind",
    "check_site",
    "check_sites",
    "check_text",
    "load_site",
    "load_sites",
    "parse_site",
]
