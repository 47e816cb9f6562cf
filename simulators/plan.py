"""The simulated store as a site: readers and ceiling antennas, shelves with scales, sensors and feeds.

Everything here follows from the sizes asked for, without chance: a plan is a fact of the scenario, not of the seed.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from devices.errors import UsageError
from devices.site.model import Antenna, Feed, Reader, Sensor, Shelf, Site, Wall, ZoneKind
from simulators.catalogue import CATALOGUE, Material, Product
from simulators.layout import Layout, Rectangle, build_layout
from simulators.shape import AntennaPlan, PlanShape, border_antennas, border_place, steered

PORTS_PER_READER = 4
"""Antenna ports of each reader."""
CEILING_M = 3.2
"""Height of the antennas."""
GOODS_M = 1.0
"""Height of the goods that beams are steered at."""
TX_POWER_DBM = 30.0
"""Conducted power that each antenna is driven with."""
ANTENNA_GAIN_DBI = 6.0
"""Gain of a ceiling panel antenna, circular polarisation."""
BEAMWIDTH_DEG = 90.0
"""Half-power beam width of such an antenna."""
STEERED_GAIN_DBI = 8.0
"""Gain of one beam of a steered array."""
STEERED_BEAMWIDTH_DEG = 60.0
"""Half-power beam width of such a beam."""
NEIGHBOUR_WALL_DB = 2.0
"""One-way loss of the wall to a neighbouring shop: glass, or a single board."""
FLOOR_SHARE = 0.6
"""Part of the opening stock that lies on shelves; the rest is in the back room."""

_UNITS_PER_SHELF = 14
_READER_PROFILES = ("zebra", "impinj", "zebra")  # in turn, but for the last two readers
_LAST_PROFILES = ("tagtide", "impinj")
_MODELS = {"impinj": "R700", "zebra": "FX9600", "tagtide": "bridge"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlan:
    """A store to simulate."""

    site: Site
    """What the site file says."""
    layout: Layout
    """Zones, ways and walls."""
    products: tuple[Product, ...]
    """What it sells; the index is the product's number."""
    shelf_products: tuple[int, ...]
    """Product number of each shelf of the site."""
    shelf_zones: tuple[int, ...]
    """Zone number of each shelf."""
    neighbour_m: float = 0.0
    """Depth of the neighbouring shop behind the right-hand wall, metres."""

    @property
    def antennas(self) -> list[tuple[int, Antenna]]:
        """Every antenna with its reader's number, in file order: the index is the antenna's number."""
        return [(number, antenna) for number, reader in enumerate(self.site.readers) for antenna in reader.antennas]


def build_plan(
    *,
    site_id: str,
    name: str,
    zones: int,
    antennas: int,
    items: int,
    timezone: str,
    width_m: float = 30.0,
    depth_m: float = 20.0,
    shape: PlanShape | None = None,
) -> StorePlan:
    """Plan a store.

    Args:
        site_id: Identifier of the site.
        name: Name for people.
        zones: Number of touching zones, 7 and up.
        antennas: Number of ceiling antennas, at least one a zone.
        items: Units that it holds at opening; decides about how many products and shelves it has.
        timezone: IANA time zone.
        width_m: Metres from wall to wall, x.
        depth_m: Metres from the exit to the back wall, y.
        shape: What is unusual about it.

    Returns:
        The plan. The same arguments always give the same plan.

    Raises:
        UsageError: There are fewer antennas than zones, or too few zones.
    """
    if antennas < zones:
        raise UsageError(
            f"{antennas} antennas cannot cover {zones} zones", hint=f"ask for {zones} antennas or more, one a zone"
        )
    shape = shape or PlanShape()
    layout = build_layout(zone_count=zones, width=width_m, depth=depth_m)
    products = _assortment(items, shape.materials)
    shelf_products = _shelf_products(products, items)
    shelf_zones = _shelf_zones(layout, products, shelf_products, shape.wall_share)
    shelves = _shelves(layout, products, shelf_products, shelf_zones, items, shape=shape)
    party_wall = Wall(start=(width_m, 0.0), end=(width_m, depth_m), loss_db=NEIGHBOUR_WALL_DB)
    site = Site(
        id=site_id,
        name=name,
        timezone=timezone,
        zones=layout.zones,
        readers=_readers(_antennas(layout, antennas, shape), steering=shape.antennas is AntennaPlan.STEERED),
        shelves=shelves,
        sensors=(
            Sensor(id="climate-floor", profile="tagtide", mqtt_topic="sensors/climate-floor", zone=layout.zones[3].id),
            Sensor(id="light-floor", profile="tagtide", mqtt_topic="sensors/light-floor", zone=layout.zones[4].id),
        ),
        feeds=(
            Feed(id="till", profile="tagtide", mqtt_topic="business/till"),
            Feed(id="erp", profile="tagtide", mqtt_topic="business/erp"),
        ),
        walls=(*layout.walls, party_wall) if shape.neighbour_m else layout.walls,
    )
    return StorePlan(
        site=site,
        layout=layout,
        products=products,
        shelf_products=shelf_products,
        shelf_zones=shelf_zones,
        neighbour_m=shape.neighbour_m,
    )


def _assortment(items: int, materials: Sequence[Material]) -> tuple[Product, ...]:
    """Take as many products as give each a decent stock, tagged and untagged in proportion."""
    count = min(len(CATALOGUE), max(6, items // 20))
    chosen = [CATALOGUE[(place * len(CATALOGUE) + len(CATALOGUE) - 1) // count] for place in range(count)]
    if materials:
        chosen = [
            dataclasses.replace(product, material=materials[place % len(materials)])
            for place, product in enumerate(chosen)
        ]
    return tuple(chosen)


def _shelf_products(products: Sequence[Product], items: int) -> tuple[int, ...]:
    count = max(len(products), math.ceil(items * FLOOR_SHARE / _UNITS_PER_SHELF))
    return tuple(place % len(products) for place in range(count))


def _shelf_zones(
    layout: Layout, products: Sequence[Product], shelf_products: Sequence[int], wall_share: float
) -> tuple[int, ...]:
    """Put a product's shelves into its department; every ninth shelf is a promotion elsewhere.

    Where there is a wall of goods, the first shelves stand there instead: a share of all of them.
    """
    floor = [number for number, zone in enumerate(layout.zones) if zone.kind is ZoneKind.SALES_FLOOR]
    wall = max(floor, key=lambda number: layout.rectangles[number].area)
    zones = [wall] * round(wall_share * len(shelf_products))
    for place, product in list(enumerate(shelf_products))[len(zones) :]:
        own = layout.departments[products[product].department]
        again = place // len(products)
        zones.append(floor[place % len(floor)] if place % 9 == 8 else own[again % len(own)])
    return tuple(zones)


def _shelves(
    layout: Layout,
    products: Sequence[Product],
    shelf_products: Sequence[int],
    shelf_zones: Sequence[int],
    items: int,
    *,
    shape: PlanShape,
) -> tuple[Shelf, ...]:
    full = max(4, math.ceil(1.4 * items * FLOOR_SHARE / len(shelf_products)))
    shelves = []
    for place, (product_number, zone) in enumerate(zip(shelf_products, shelf_zones, strict=True)):
        product = products[product_number]
        number, count = shelf_zones[:place].count(zone), shelf_zones.count(zone)
        if shape.border_shelves:
            x, y = border_place(layout, zone, number, count, margin=0.25)
        else:
            x, y = _stand(layout.rectangles[zone], number, count)
        shelf_id = f"{layout.zones[zone].id.removeprefix('floor.')}-{number + 1}"
        scale = _scale(product, place, shape.scale_share)
        shelves.append(
            Shelf(
                id=shelf_id,
                zone=layout.zones[zone].id,
                gtin=product.gtin,
                unit_grams=product.unit_grams,
                capacity_units=full,
                minimum_units=max(1, full // 4),
                profile=scale,
                mqtt_topic=None if scale is None else _scale_topic(scale, shelf_id),
                x=x,
                y=y,
            )
        )
    return tuple(shelves)


def _scale(product: Product, place: int, share: float | None) -> str | None:
    """Give untagged goods a scale, and some of the others: a share of them, where one is asked for."""
    if not product.tagged:
        return "weight" if place % 3 else "tagtide"
    if share is not None:
        weighed = math.floor((place + 1) * share) > math.floor(place * share)
        return None if not weighed else "weight" if place % 3 else "tagtide"
    if place % 8 == 3:
        return "weight"
    return "tagtide" if place % 16 == 6 else None


def _scale_topic(profile: str, shelf_id: str) -> str:
    return f"shelves/{shelf_id}/mass" if profile == "weight" else f"shelves/{shelf_id}/measurements"


def _stand(rectangle: Rectangle, number: int, count: int) -> tuple[float, float]:
    """Spread `count` shelves over a rectangle in rows, half a metre off its edges: some do stand at a border."""
    points = _grid(rectangle, count, margin=0.5)
    return points[number]


def _grid(rectangle: Rectangle, count: int, *, margin: float) -> list[tuple[float, float]]:
    """Cut a rectangle into `count` near-square cells, row by row, and return their middles."""
    width, height = rectangle.x1 - rectangle.x0 - 2 * margin, rectangle.y1 - rectangle.y0 - 2 * margin
    rows = max(1, min(count, round(math.sqrt(count * height / width))))
    points = []
    for row in range(rows):
        columns = count // rows + (row < count % rows)
        for column in range(columns):
            x = rectangle.x0 + margin + width * (column + 0.5) / columns
            y = rectangle.y0 + margin + height * (row + 0.5) / rows
            points.append((round(x, 2), round(y, 2)))
    return points


def _antennas(layout: Layout, count: int, shape: PlanShape) -> list[tuple[str, float, float]]:
    """Share antennas out by area, at least one a zone, the next always to the zone with the most area for each."""
    share = [1] * len(layout.zones)
    for _ in range(count - len(layout.zones)):
        need = [rectangle.area / have for rectangle, have in zip(layout.rectangles, share, strict=True)]
        share[need.index(max(need))] += 1
    spread = [
        (number, x, y)
        for number, (rectangle, have) in enumerate(zip(layout.rectangles, share, strict=True))
        for x, y in _grid(rectangle, have, margin=0.0)
    ]
    if shape.antennas is AntennaPlan.BORDERS:
        floor = [number for number, zone in enumerate(layout.zones) if zone.kind is ZoneKind.SALES_FLOOR]
        rooms = [place for place in spread if place[0] not in floor]
        spread = sorted(rooms + border_antennas(layout, floor, count - len(rooms)))
    return [(layout.zones[number].id, x, y) for number, x, y in spread]


def _readers(places: Sequence[tuple[str, float, float]], *, steering: bool) -> tuple[Reader, ...]:
    """Wire neighbouring antennas to one reader."""
    groups = [places[first : first + PORTS_PER_READER] for first in range(0, len(places), PORTS_PER_READER)]
    readers = []
    for number, group in enumerate(groups):
        to_last = len(groups) - 1 - number
        profile = _LAST_PROFILES[1 - to_last] if to_last < 2 else _READER_PROFILES[number % len(_READER_PROFILES)]
        antennas = _beams(group) if steering else _panels(group)
        readers.append(_reader(f"r{number + 1}", profile, antennas))
    return tuple(readers)


def _panels(places: Sequence[tuple[str, float, float]]) -> tuple[Antenna, ...]:
    return tuple(
        Antenna(
            port=port,
            x=x,
            y=y,
            z=CEILING_M,
            zone=zone,
            gain_dbi=ANTENNA_GAIN_DBI,
            tx_power_dbm=TX_POWER_DBM,
            beamwidth_deg=BEAMWIDTH_DEG,
        )
        for port, (zone, x, y) in enumerate(places, start=1)
    )


def _beams(places: Sequence[tuple[str, float, float]]) -> tuple[Antenna, ...]:
    return tuple(
        Antenna(
            port=port,
            x=x,
            y=y,
            z=CEILING_M,
            zone=place[0],
            gain_dbi=STEERED_GAIN_DBI,
            tx_power_dbm=TX_POWER_DBM,
            azimuth_deg=azimuth_deg,
            downtilt_deg=downtilt_deg,
            beamwidth_deg=STEERED_BEAMWIDTH_DEG,
        )
        for port, (place, (x, y, azimuth_deg, downtilt_deg)) in enumerate(
            zip(places, steered(places, CEILING_M - GOODS_M), strict=True), start=1
        )
    )


def _reader(reader_id: str, profile: str, antennas: tuple[Antenna, ...]) -> Reader:
    topic, status = {
        "impinj": (f"impinj/{reader_id}/events", (f"impinj/{reader_id}/status",)),
        "zebra": (f"zebra/{reader_id}/data", (f"zebra/{reader_id}/management",)),
        "tagtide": (f"tagtide/{reader_id}/reads", ()),
    }[profile]
    return Reader(
        id=reader_id,
        profile=profile,
        mqtt_topic=topic,
        status_mqtt_topics=status,
        antennas=antennas,
        model=_MODELS[profile],
    )
