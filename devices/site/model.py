"""A site: its zones, readers, antennas, shelves, sensors and feeds, as the site file says them, validated.

`devices.site.file` reads and checks site files and builds these; `devices.site.geometry` answers questions of
place with shapely. Lengths are metres, x to the right and y up on the floor plan, z above the floor.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from devices.observations import Source, SourceKind
from devices.site.calibration import CalibrationFile
from devices.site.gate_model import GateModelFile

Point = tuple[float, float]

ANTENNA_HEIGHT_M = 3.0
"""Height of an antenna where the file does not say: a ceiling of a store."""
ALLOWED_LATENESS_S = 2.0
"""Lateness that is waited for where the file does not say."""
DEPARTED_AFTER_S = 600.0
"""Silence that means departure where the file does not say."""
MOVE_SENSITIVITY = 0.5
"""How readily a move is believed before a site has shown what that leads to."""
FALSE_MOVES_PER_ITEM_HOUR = 0.2
"""Budget of false moves where the file does not say."""


class ZoneKind(StrEnum):
    """What a zone is for."""

    SALES_FLOOR = "sales_floor"
    BACK_ROOM = "back_room"
    RECEIVING = "receiving"
    FITTING_ROOM = "fitting_room"
    POINT_OF_SALE = "point_of_sale"
    EXIT = "exit"


class GateKind(StrEnum):
    """What goes through a gate."""

    DOCK = "dock"
    """Deliveries and returns, on pallets and trolleys."""
    DOOR = "door"
    """Goods on their way from one room to another."""
    EXIT = "exit"
    """People, with what they bought."""


class ReaderClock(StrEnum):
    """How far a device's own clock is believed."""

    ESTIMATE = "estimate"
    """The default: its offset from the bridge's clock is estimated from arrival times and corrected."""
    TRUSTED = "trusted"
    """Its times are taken as they are: synchronised clocks, and history published again."""
    ARRIVAL = "arrival"
    """Its times are ignored, the receive time is used: a clock that is never set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """An area of the floor that people have a name for. Zones do not overlap."""

    id: str
    """Identifier, unique in the site."""
    kind: ZoneKind
    """What it is for."""
    polygon: tuple[Point, ...]
    """Corners in metres, without repeating the first."""
    name: str = ""
    """Name for people; the identifier where none is given."""
    sgln: str | None = None
    """SGLN URI of the read point or business location, where the site uses them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Antenna:
    """One antenna of a reader."""

    port: int
    """Port on the reader, as its payloads number it."""
    x: float
    """Metres."""
    y: float
    """Metres."""
    z: float = ANTENNA_HEIGHT_M
    """Metres above the floor."""
    zone: str | None = None
    """Zone that it stands in or is assigned to; derived from x and y where the file does not say."""
    name: str | None = None
    """Antenna name, where the reader reports one instead of a port."""
    gain_dbi: float | None = None
    """Antenna gain."""
    tx_power_dbm: float | None = None
    """Conducted power it is driven with."""
    azimuth_deg: float | None = None
    """Direction it looks on the plan, counter-clockwise from x; straight down where absent."""
    downtilt_deg: float | None = None
    """Tilt below the horizon; 90 looks straight down."""
    beamwidth_deg: float | None = None
    """Half-power beam width."""
    sgln: str | None = None
    """SGLN URI of its read point, where the site uses them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """An RFID reader."""

    id: str
    """Identifier, unique among the site's readers."""
    profile: str
    """Dialect that it speaks: a key of `devices.registry.PROFILES`."""
    mqtt_topic: str
    """Topic that its tag data is published on; exact, no wildcards."""
    status_mqtt_topics: tuple[str, ...] = ()
    """Further topics that it publishes on: management events, connect and will messages."""
    antennas: tuple[Antenna, ...] = ()
    """Its antennas."""
    clock: ReaderClock = ReaderClock.ESTIMATE
    """How far its clock is believed."""
    model: str | None = None
    """Hardware, for people."""
    mobile: bool = False
    """Whether it is carried about: a handheld, a robot. What it reads is on the site, and nothing follows of where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A way through which goods pass, with antennas on either side of it."""

    id: str
    """Identifier, unique among the site's gates."""
    kind: GateKind
    """What goes through it."""
    inside: tuple[str, ...]
    """Antennas that look at its inner side, each as `reader:port`."""
    outside: tuple[str, ...]
    """Antennas that look at its outer side, each as `reader:port`."""
    inside_zone: str
    """Zone on its inner side."""
    outside_zone: str | None = None
    """Zone on its outer side; `None` where it leads off the site."""
    name: str = ""
    """Name for people; the identifier where none is given."""
    model: str | None = None
    """File beside the site file with what was learnt of it; the model that ships with the program where absent."""
    learnt: GateModelFile | None = None
    """What that file holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A shelf, rack or bin that holds one GTIN, with a scale or counter if it has a topic."""

    id: str
    """Identifier, unique among the site's shelves."""
    zone: str
    """Zone that it stands in."""
    gtin: str | None = None
    """GTIN-14 of what belongs on it."""
    unit_grams: float | None = None
    """Mass of one unit of that GTIN, grams."""
    capacity_units: int | None = None
    """How many units it holds when full."""
    minimum_units: int | None = None
    """Replenish below this many units."""
    profile: str | None = None
    """Dialect of its scale."""
    mqtt_topic: str | None = None
    """Topic of its scale."""
    status_mqtt_topics: tuple[str, ...] = ()
    """Further topics of its scale."""
    x: float | None = None
    """Metres; the middle of its zone where absent."""
    y: float | None = None
    """Metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """An environment sensor."""

    id: str
    """Identifier, unique among the site's sensors."""
    profile: str
    """Dialect that it speaks."""
    mqtt_topic: str
    """Topic that it publishes on."""
    zone: str | None = None
    """Zone that it measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A business system that publishes business events: till, ERP, warehouse management."""

    id: str
    """Identifier, unique among the site's feeds."""
    profile: str
    """Dialect that it speaks."""
    mqtt_topic: str
    """Topic that it publishes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """A wall line that attenuates radio."""

    start: Point
    """Metres."""
    end: Point
    """Metres."""
    loss_db: float | None = None
    """One-way loss, where known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoReference:
    """Where the plan lies on the earth."""

    latitude_deg: float
    """Latitude of the plan's origin, WGS 84."""
    longitude_deg: float
    """Longitude of the plan's origin, WGS 84."""
    bearing_deg: float = 0.0
    """Direction of the plan's y axis, degrees clockwise from north."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationSettings:
    """How the site wants its items located."""

    false_moves_per_item_hour: float = FALSE_MOVES_PER_ITEM_HOUR
    """How many moves that never happened may be reported, per hour that an item is located: as readily as they allow
    is a move believed."""
    move_sensitivity: float | None = None
    """How readily a move is believed, 0 to 1, for a site that wants it fixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One store, warehouse or yard."""

    id: str
    """Identifier: the Kafka key and the lake's partition. Lower-case letters, digits, `-`, `_`, `.`."""
    name: str = ""
    """Name for people."""
    timezone: str = "UTC"
    """IANA time zone of its trading day."""
    zones: tuple[Zone, ...] = ()
    """Zones, in file order. Their index in this tuple is their number in columnar code."""
    readers: tuple[Reader, ...] = ()
    """Readers, in file order."""
    gates: tuple[Gate, ...] = ()
    """Gates, in file order."""
    shelves: tuple[Shelf, ...] = ()
    """Shelves, in file order."""
    sensors: tuple[Sensor, ...] = ()
    """Environment sensors, in file order."""
    feeds: tuple[Feed, ...] = ()
    """Business systems, in file order."""
    walls: tuple[Wall, ...] = ()
    """Wall lines."""
    sgln: str | None = None
    """SGLN URI of the site, where it has one."""
    geo: GeoReference | None = None
    """Where the plan lies on the earth, where known."""
    allowed_lateness_s: float = ALLOWED_LATENESS_S
    """How far behind the newest event a read may arrive and still count for location and inventory, seconds.
    Later ones are landed and flagged `late`."""
    departed_after_s: float = DEPARTED_AFTER_S
    """After how many silent seconds an item that its zone's readers should see is taken to have left."""
    calibration: str | None = None
    """File beside the site file with what a survey found of the site's radio, where there was one."""
    surveyed: CalibrationFile | None = None
    """What is in that file."""
    location: LocationSettings = LocationSettings()
    """How the site wants its items located."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What the check found strange but not wrong, such as keys it does not know."""

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Yield every MQTT topic of the site with who publishes on it."""
        for reader in self.readers:
            ports = {antenna.name: antenna.port for antenna in reader.antennas if antenna.name is not None}
            source = Source(
                site=self.id,
                kind=SourceKind.READER,
                id=reader.id,
                profile=reader.profile,
                antenna_ports=ports,
            )
            for topic in (reader.mqtt_topic, *reader.status_mqtt_topics):
                yield topic, source
        for shelf in self.shelves:
            if shelf.mqtt_topic is not None and shelf.profile is not None:
                source = Source(site=self.id, kind=SourceKind.SHELF, id=shelf.id, profile=shelf.profile)
                for topic in (shelf.mqtt_topic, *shelf.status_mqtt_topics):
                    yield topic, source
        for sensor in self.sensors:
            yield (
                sensor.mqtt_topic,
                Source(site=self.id, kind=SourceKind.SENSOR, id=sensor.id, profile=sensor.profile),
            )
        for feed in self.feeds:
            yield (
                feed.mqtt_topic,
                Source(site=self.id, kind=SourceKind.FEED, id=feed.id, profile=feed.profile),
            )
