"""A store of another make: written apart from `simulators/`, sharing no law with it, to see what location does there.

    python -m tests.bench.other_store DIR [--antennas 24] [--sorted 1] [--plan none] [--seed 31] ...
    tagtide evaluate -s DIR/site.toml -c DIR/capture.jsonl -t DIR/truth.csv

Thirteen zones that touch, antennas spread over each, no walls, nothing but Impinj events. RSSI falls once with the
distance, as in many a simulation (`simulators` has backscatter, whose loss counts both ways): a constant, 10 n log10 of
the distance, a lobe of cos^k, a field of shadows for each antenna, and fading. A tag is read when what comes back is
above an edge.
One item in four is carried about now and then, straight to somewhere else. Goods lie by GTIN, anywhere, or in between.
"""

import argparse
import base64
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from devices.epc.keys import check_digit

WIDTH_M, DEPTH_M = 32.0, 18.0
ROWS = (
    (0.0, 5.0, (0.0, 10.0, 22.0, 32.0), ("receiving", "back_room", "fitting_room")),
    (5.0, 9.5, (0.0, 8.0, 14.0, 24.0, 32.0), ("sales_floor",) * 4),
    (9.5, 14.0, (0.0, 9.0, 18.0, 26.0, 32.0), ("sales_floor",) * 4),
    (14.0, 18.0, (0.0, 16.0, 32.0), ("point_of_sale", "exit")),
)
"""From and to in y, borders in x, kinds of zone."""
ANTENNA_M, TAG_M = 3.3, 1.0
"""Heights."""
GTINS = 60
COMPANY = 9506003
"""GS1 company prefix."""
STEP_S = 0.5
SHADOW_M = 1.5
"""How far shadows reach, about."""
WAVES = 60
"""Cosines that a field of shadows is made of."""
EDGE_DB = 1.5
"""How blurred the edge of hearing is."""
BEGIN = datetime(2026, 3, 3, 9, tzinfo=UTC)

Floats = npt.NDArray[np.float64]
Leg = tuple[float, float, Floats, Floats]
"""From and until, seconds; from where and to where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One zone, a rectangle."""

    id: str
    kind: str
    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def area(self) -> float:
        """Square metres."""
        return (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """The law."""

    at_1_m_dbm: float
    exponent: float
    lobe: float
    """Power of the cosine, of power."""
    shadow_db: float
    edge_dbm: float
    rayleigh: bool
    """No direct path; else Rician with K = 4."""
    read_s: float
    """An item is read about so often."""


ZONES = tuple(
    Zone(id=f"z{number}", kind=kind, low=(west, south), high=(east, north))
    for number, (south, north, west, east, kind) in enumerate(
        (row[0], row[1], west, east, kind)
        for row in ROWS
        for west, east, kind in zip(row[2], row[2][1:], row[3], strict=False)
    )
)


def zone_at(x: float, y: float) -> str:
    """Return the zone of a place; empty outside."""
    for zone in ZONES:
        if zone.low[0] <= x < zone.high[0] and zone.low[1] <= y < zone.high[1]:
            return zone.id
    return ""


def hang(count: int) -> Floats:
    """Return where antennas hang: each zone has as many as fit its area, in rows."""
    shares = [1] * len(ZONES)
    while sum(shares) < count:
        shares[max(range(len(ZONES)), key=lambda zone: ZONES[zone].area / shares[zone])] += 1
    places: list[tuple[float, float]] = []
    for zone, share in zip(ZONES, shares, strict=True):
        width, depth = zone.high[0] - zone.low[0], zone.high[1] - zone.low[1]
        grids = [(columns, -(-share // columns)) for columns in range(1, share + 1)]
        columns, rows = min(grids, key=lambda one: abs(width / one[0] - depth / one[1]) + 2 * (one[0] * one[1] - share))
        places += [
            (zone.low[0] + (column + 0.5) * width / columns, zone.low[1] + (row + 0.5) * depth / rows)
            for row in range(rows)
            for column in range(columns)
        ][:share]
    return np.array(places)


class Goods:
    """Where items lie, and where they are carried."""

    def __init__(self, draw: np.random.Generator, *, items: int, in_order: float, seconds: float) -> None:
        """Draw them; a share `in_order` of the items lies with the others of its GTIN."""
        self._draw, self._seconds = draw, seconds
        shop = [zone for zone in ZONES if zone.kind in {"sales_floor", "back_room"}]
        self._shop = shop
        self.home = [shop[draw.integers(len(shop))] for _ in range(GTINS)]
        self.home_xy = [self._within(zone, 0.6) for zone in self.home]
        self.gtin = [int(draw.integers(GTINS)) for _ in range(items)]
        self.epc = [sgtin_96(gtin, int(draw.integers(1, 2**37))) for gtin in self.gtin]
        self.ways = [self._way(gtin, in_order) for gtin in self.gtin]

    def _within(self, zone: Zone, margin: float) -> Floats:
        low, high = np.array(zone.low) + margin, np.array(zone.high) - margin
        return np.asarray(self._draw.uniform(low, high))

    def _anywhere(self) -> Floats:
        return self._within(self._shop[self._draw.integers(len(self._shop))], 0.2)

    def _way(self, gtin: int, in_order: float) -> list[Leg]:
        draw, at = self._draw, self._anywhere()
        if draw.random() < in_order:
            at = self.home_xy[gtin] + draw.normal(0.0, 0.35, 2)
        carried, way, now = draw.random() < 0.25, list[Leg](), 0.0
        while now < self._seconds:
            until = min(self._seconds, now + (draw.exponential(240.0) + 8.0 if carried else self._seconds))
            way.append((now, until, at, at))
            to = self._anywhere() if draw.random() < 0.5 else draw.uniform((0.2, 0.2), (WIDTH_M - 0.2, DEPTH_M - 0.2))
            now = until + float(np.hypot(*(to - at)))  # a metre a second
            if until < self._seconds:
                way.append((until, now, at, to))
            at = to
        return way

    def at(self, item: int, second: float) -> Floats:
        """Return where an item is."""
        for begin, until, start, end in self.ways[item]:
            if second <= until:
                return start + (end - start) * (second - begin) / max(until - begin, 1e-9)
        return self.ways[item][-1][3]


def sgtin_96(gtin: int, serial: int) -> str:
    """Return an EPC: SGTIN-96 with a company prefix of seven digits."""
    return f"{(0x30 << 88) | (1 << 85) | (5 << 82) | (COMPANY << 58) | (gtin << 38) | serial:024X}"


def gtin_14(gtin: int) -> str:
    """Return the GTIN of that EPC."""
    bare = f"0{COMPANY}{gtin:05d}"
    return bare + check_digit(bare)


class Air:
    """What antennas hear of items."""

    def __init__(self, draw: np.random.Generator, radio: Radio, antennas: Floats, items: int) -> None:
        """Draw what stays."""
        self._draw, self._radio, self._antennas = draw, radio, antennas
        self._waves = draw.normal(0.0, 1.0 / SHADOW_M, (len(antennas), WAVES, 2))
        self._phases = draw.uniform(0.0, 2.0 * np.pi, (len(antennas), WAVES))
        self._antenna_db = draw.normal(0.0, 1.5, len(antennas))
        self._tag_db = draw.normal(0.0, 2.0, items)
        self._pace = np.clip(draw.gamma(4.0, 0.25, items), 0.2, 3.0)

    def level_dbm(self, xy: Floats) -> Floats:
        """Return the mean RSSI, antennas by places, of a usual tag."""
        radio, rise = self._radio, ANTENNA_M - TAG_M
        distance = np.sqrt(((self._antennas[:, None] - xy[None]) ** 2).sum(axis=2) + rise**2)
        waves = np.einsum("pc,awc->apw", xy, self._waves) + self._phases[:, None]
        shadow = radio.shadow_db * math.sqrt(2.0 / WAVES) * np.cos(waves).sum(axis=2)
        fall = 10.0 * radio.exponent * np.log10(distance) - 10.0 * radio.lobe * np.log10(
            np.maximum(rise / distance, 0.05)
        )
        return np.asarray(radio.at_1_m_dbm - fall + shadow + self._antenna_db[:, None])

    def tries(self, level_dbm: Floats) -> float:
        """Return the chance that an antenna asks an item in a step, so that an item is read as often as it should."""
        answers = _rises((level_dbm + self._tag_db - self._radio.edge_dbm) / 2.0)
        return float(STEP_S / self._radio.read_s / answers.sum(axis=0).mean())

    def hear(self, level_dbm: Floats, tries: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return what the RSSI is in a step, and which of it is read."""
        draw, shape = self._draw, level_dbm.shape
        scattered = (draw.normal(size=shape) ** 2 + draw.normal(size=shape) ** 2) / 2.0
        if not self._radio.rayleigh:
            scattered = ((2.0 + draw.normal(0.0, 0.5**0.5, shape)) ** 2 + draw.normal(0.0, 0.5**0.5, shape) ** 2) / 5.0
        rssi = level_dbm + self._tag_db + 10.0 * np.log10(scattered + 1e-9)
        read = draw.random(shape) < tries * self._pace * _rises((rssi - self._radio.edge_dbm) / EDGE_DB)
        return rssi, read


def _rises(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def reads_of(goods: Goods, air: Air, draw: np.random.Generator, seconds: float) -> list[tuple[float, int, int, float]]:
    """Return second, antenna, item and RSSI of every read, in order."""
    items = range(len(goods.epc))
    at = np.array([goods.at(item, 0.0) for item in items])
    level = air.level_dbm(at)
    tries, found = air.tries(level), list[tuple[float, int, int, float]]()
    for step in range(int(seconds / STEP_S)):
        second = step * STEP_S
        now = np.array([goods.at(item, second) for item in items])
        moved = np.flatnonzero(np.abs(now - at).sum(axis=1) > 0.05)
        if len(moved):
            at[moved] = now[moved]
            level[:, moved] = air.level_dbm(now[moved])
        rssi, read = air.hear(level, tries)
        antenna, item = np.nonzero(read)
        when = second + draw.uniform(0.0, STEP_S, len(item))
        found += zip(when.tolist(), antenna.tolist(), item.tolist(), rssi[antenna, item].tolist(), strict=True)
    return sorted(found)


def write_capture(path: Path, goods: Goods, reads: list[tuple[float, int, int, float]]) -> None:
    """Write reads as `mosquitto_sub -F %j` prints Impinj events; four antennas a reader."""
    with path.open("w", encoding="utf-8") as file:
        for second, antenna, item, rssi in reads:
            event = {
                "epc": base64.urlsafe_b64encode(bytes.fromhex(goods.epc[item])).decode(),
                "antennaPort": antenna % 4 + 1,
                "peakRssiCdbm": round(rssi * 2.0) * 50,
            }
            when = BEGIN + timedelta(seconds=second)
            said = {
                "timestamp": f"{when:%Y-%m-%dT%H:%M:%S.%f}000Z",
                "eventType": "tagInventory",
                "tagInventoryEvent": event,
            }
            payload = json.dumps(said, separators=(",", ":"))
            line = {
                "tst": f"{when + timedelta(milliseconds=40):%Y-%m-%dT%H:%M:%S.%f}Z+0000",
                "topic": f"impinj/r{antenna // 4 + 1}/events",
                "qos": 1,
                "retain": 0,
                "payloadlen": len(payload),
                "payload": payload,
            }
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def write_site(path: Path, goods: Goods, antennas: Floats, plan: str) -> None:
    """Write the site file: zones, antennas, and the shelves as far as the plan tells."""
    text = ['schema = 1\nid = "other"\nname = "A store of another make"\ntimezone = "Europe/Berlin"\n']
    for zone in ZONES:
        (west, south), (east, north) = zone.low, zone.high
        corners = [[west, south], [east, south], [east, north], [west, north]]
        text.append(f'[[zone]]\nid = "{zone.id}"\nkind = "{zone.kind}"\npolygon = {corners}\n')
    for number, (x, y) in enumerate(antennas.tolist()):
        reader = f"r{number // 4 + 1}"
        if number % 4 == 0:
            text.append(f'[[reader]]\nid = "{reader}"\nprofile = "impinj"\nmqtt_topic = "impinj/{reader}/events"\n')
        text.append(f"[[reader.antenna]]\nport = {number % 4 + 1}\nx = {x:.2f}\ny = {y:.2f}\nz = {ANTENNA_M}\n")
    for gtin in range(GTINS if plan != "none" else 0):
        x, y = goods.home_xy[gtin]
        text.append(f'[[shelf]]\nid = "s{gtin}"\nzone = "{goods.home[gtin].id}"\ngtin = "{gtin_14(gtin)}"\n')
        text.append(f"x = {x:.2f}\ny = {y:.2f}\n" if plan == "place" else "")
    path.write_text("".join(text), encoding="utf-8")


def write_truth(path: Path, goods: Goods) -> None:
    """Write where everything was, as `tagtide evaluate` reads it."""
    begin_us = int(BEGIN.timestamp() * 1_000_000)
    lines = ["epc_hex,zone,x,y,from_us,until_us"]
    for epc, way in zip(goods.epc, goods.ways, strict=True):
        for begin, until, start, end in way:
            pieces = 1 if start is end else max(1, int((until - begin) / STEP_S))
            for piece in range(pieces):
                x, y = start + (end - start) * (piece + 0.5) / pieces
                low, high = (begin + (until - begin) * (piece + part) / pieces for part in (0, 1))
                times = f"{begin_us + int(low * 1e6)},{begin_us + int(high * 1e6)}"
                lines.append(f"{epc},{zone_at(x, y)},{x:.2f},{y:.2f},{times}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write a day."""
    options = _parser().parse_args()
    draw = np.random.default_rng(options.seed)
    antennas = hang(options.antennas)
    radio = Radio(
        at_1_m_dbm=options.at_1_m,
        exponent=options.exponent,
        lobe=options.lobe,
        shadow_db=options.shadow,
        edge_dbm=options.edge,
        rayleigh=options.rayleigh,
        read_s=options.read_every or 96.0 / options.antennas,
    )
    goods = Goods(draw, items=options.items, in_order=options.sorted, seconds=options.seconds)
    reads = reads_of(goods, Air(draw, radio, antennas, options.items), draw, options.seconds)
    options.folder.mkdir(parents=True, exist_ok=True)
    write_capture(options.folder / "capture.jsonl", goods, reads)
    write_site(options.folder / "site.toml", goods, antennas, options.plan)
    write_truth(options.folder / "truth.csv", goods)
    print(
        f"{options.folder}: {len(reads):,} reads, each item every {options.items * options.seconds / len(reads):.1f} s"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.other_store", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--antennas", type=int, default=24, help="multiple of 4, 16 at least")
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--sorted", type=float, default=1.0, help="share of items that lie with the others of their GTIN"
    )
    parser.add_argument(
        "--plan", choices=("none", "zone", "place"), default="none", help="what shelves the site file has"
    )
    parser.add_argument("--at-1-m", type=float, default=-43.0, help="RSSI at one metre, dBm")
    parser.add_argument("--exponent", type=float, default=2.2)
    parser.add_argument("--lobe", type=float, default=2.0, help="power of the cosine")
    parser.add_argument("--shadow", type=float, default=3.0, help="dB")
    parser.add_argument("--edge", type=float, default=-55.0, help="RSSI below which tags are not read, dBm")
    parser.add_argument("--rayleigh", action="store_true", help="no direct path")
    parser.add_argument("--read-every", type=float, help="seconds; 4 with 24 antennas, 2 with 48, where absent")
    return parser


if __name__ == "__main__":
    main()
