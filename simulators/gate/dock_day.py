"""A day at the gates of a small warehouse shop: a dock and a way out, with what truly went through them.

Deliveries are announced, some of them short; most come in through the dock, as trolleys do, while others only pass it,
turn round in it, or stand beside it for a quarter of an hour. Transfers go out, most of them booked. Shoppers go out
through the exit with one to three things that were sold, now and then without.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from devices.capture_line import format_line
from devices.epc import encode_sgtin96
from devices.publication import Publication
from devices.site.model import Antenna, Feed, Gate, GateKind, Reader, Site, Zone, ZoneKind
from simulators.catalogue import CATALOGUE, COMPANY_PREFIX
from simulators.gate.motion import Path as Way
from simulators.gate.motion import draw_path
from simulators.gate.physics import GateLaw, draw_gate, hear
from simulators.output import clear_truth
from simulators.publishers.sent import microsecond_text
from simulators.site_toml import site_toml

START_US = 1_772_438_400_000_000
"""2026-03-02 08:00 UTC."""
REPORT_US = 500_000
"""Each reader publishes what it read about twice a second."""
_DOCK_MIX = {"inbound": 0.45, "outbound": 0.2, "passed_by": 0.15, "static": 0.1, "returned": 0.1}
_STANDS_S = (120.0, 900.0)
_UNPAID = 0.15
_SHORT = 0.3


@dataclass(slots=True)
class DockDay:
    """What happened, ready to be written."""

    site: Site
    """The shop."""
    reads: list[tuple[int, str, int, str, float]] = field(default_factory=list)
    """Time, reader, port, EPC and RSSI of each read."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """Business events in our own dialect, with `at_us`."""
    passages: list[tuple[str, str, str, int, int, int]] = field(default_factory=list)
    """The truth: gate, EPC, direction, from, until, load; of what was ever heard."""


def write_dock_day(folder: Path, *, seed: int, hours: float) -> DockDay:
    """Simulate a day and write `site.toml`, `capture.jsonl` and `truth_passages.csv`.

    Args:
        folder: Made if it is not there.
        seed: One seed gives one day, byte for byte.
        hours: How long it lasts.
    """
    day = simulate_dock_day(seed=seed, hours=hours)
    folder.mkdir(parents=True, exist_ok=True)
    clear_truth(folder)
    (folder / "site.toml").write_text(site_toml(day.site, comment=f"Simulated gates, seed {seed}"), "utf-8")
    with (folder / "capture.jsonl").open("wb") as stream:
        stream.writelines(format_line(publication) for publication in publications(day))
    with (folder / "truth_passages.csv").open("w", encoding="utf-8", newline="") as stream_text:
        writer = csv.writer(stream_text)
        writer.writerow(["gate", "epc_hex", "direction", "from_us", "until_us", "load"])
        passages = sorted(day.passages, key=_by_time)
        writer.writerows(passages)
    return day


def simulate_dock_day(*, seed: int, hours: float) -> DockDay:
    """Simulate a day."""
    rng = np.random.default_rng([seed, 20])
    day = DockDay(site=_site())
    dock = _Door(gate="dock-1", reader="dock", law=draw_gate(rng))
    way_out = _Door(gate="way-out", reader="exit", law=draw_gate(rng))
    until_us = START_US + round(hours * 3.6e9)
    loads = _Loads(day, rng)
    at_us = START_US + 30_000_000
    while at_us < until_us - 60_000_000:
        loads.dock_load(at_us, dock)
        at_us += round(float(rng.exponential(60.0) + 15.0) * 1e6)
    at_us = START_US + 20_000_000
    while at_us < until_us - 60_000_000:
        loads.shopper(at_us, way_out)
        at_us += round(float(rng.exponential(40.0) + 5.0) * 1e6)
    day.reads = [read for read in day.reads if read[0] < until_us]
    return day


def _by_time(passage: tuple[str, str, str, int, int, int]) -> tuple[int, str, str]:
    return passage[3], passage[0], passage[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """A gate of the shop: ports 1 and 2 of a reader look at its outer and its inner side."""

    gate: str
    reader: str
    law: GateLaw


class _Loads:
    """Draws what passes, and what is booked of it."""

    def __init__(self, day: DockDay, rng: np.random.Generator) -> None:
        self._day = day
        self._rng = rng
        self._serials = [0] * len(CATALOGUE)
        self._stock: list[tuple[str, str]] = [self._new_item() for _ in range(200)]
        self._load = 0

    def dock_load(self, at_us: int, door: _Door) -> None:
        """Let a trolley do something at the dock."""
        rng = self._rng
        direction = str(rng.choice(list(_DOCK_MIX), p=list(_DOCK_MIX.values())))
        count = int(rng.integers(4, 16))
        if direction == "outbound":
            items = [self._stock.pop(int(rng.integers(len(self._stock)))) for _ in range(min(count, len(self._stock)))]
            if rng.random() > _UNPAID:
                self._book("transfer_out", items, at_us + 120_000_000, f"TO-{self._load:04}")
        else:
            items = [self._new_item() for _ in range(count)]
        if direction == "inbound":
            self._announce(items, at_us)
            self._stock += items
        way = draw_path(direction, rng)
        if direction == "static" and rng.random() < 0.5:
            way = _standing(way, float(rng.uniform(*_STANDS_S)))
        self._pass(door, direction, items, way, at_us)

    def shopper(self, at_us: int, door: _Door) -> None:
        """Let a shopper leave with one to three things."""
        rng = self._rng
        items = [
            self._stock.pop(int(rng.integers(len(self._stock))))
            for _ in range(min(int(rng.integers(1, 4)), len(self._stock)))
        ]
        if not items:
            return
        direction = "outbound" if rng.random() < 0.8 else str(rng.choice(["passed_by", "returned"]))
        if direction == "outbound":
            if rng.random() > _UNPAID:
                self._book("sale", items, at_us - round(float(rng.uniform(60, 300)) * 1e6), f"R-{self._load:05}")
        else:
            self._stock += items
        self._pass(door, direction, items, draw_path(direction, rng), at_us)

    def _pass(self, door: _Door, direction: str, items: list[tuple[str, str]], way: Way, at_us: int) -> None:
        self._load += 1
        for epc, _ in items:
            offset_m = (float(self._rng.uniform(-0.35, 0.35)), float(self._rng.uniform(-0.25, 0.25)))
            heard = hear(door.law, way, offset_m=offset_m, tags=len(items), rng=self._rng)
            if not len(heard.at_s):
                continue
            times = at_us + (heard.at_s * 1e6).astype(np.int64)
            self._day.reads += [
                (time_us, door.reader, 1 + side, epc, rssi)
                for time_us, side, rssi in zip(
                    times.tolist(), heard.side.tolist(), heard.rssi_dbm.tolist(), strict=True
                )
            ]
            self._day.passages.append((door.gate, epc, direction, int(times[0]), int(times[-1]), self._load))

    def _announce(self, items: list[tuple[str, str]], at_us: int) -> None:
        """Announce a delivery ten minutes before it comes, now and then with more than will come; book what came."""
        note = f"ASN-{self._load:04}"
        for gtin in sorted({gtin for _, gtin in items}):
            count = sum(1 for _, its in items if its == gtin)
            promised = count + (1 if self._rng.random() < _SHORT / 3 else 0)
            self._say("expected", gtin, promised, max(START_US, at_us - 600_000_000), note)
            self._say("receipt", gtin, count, at_us + 300_000_000, note)

    def _book(self, event: str, items: list[tuple[str, str]], at_us: int, document: str) -> None:
        for epc, gtin in items:
            self._say(event, gtin, 1, max(START_US, at_us), document, epc)

    def _say(  # noqa: PLR0917 - an event's fields, in its order
        self, event: str, gtin: str, quantity: int, at_us: int, document: str, epc: str | None = None
    ) -> None:
        said = {"event": event, "gtin": gtin, "quantity": quantity, "transaction": document, "at_us": at_us}
        self._day.events.append(said | ({"epc": epc} if epc else {}))

    def _new_item(self) -> tuple[str, str]:
        product = int(self._rng.integers(12))
        self._serials[product] += 1
        gtin = CATALOGUE[product].gtin
        return encode_sgtin96(gtin, 1_000 + self._serials[product], len(COMPANY_PREFIX)), gtin


def publications(day: DockDay) -> Iterator[Publication]:
    """Yield what the readers and the business system publish, in order of arrival."""
    sent: list[tuple[int, str, bytes]] = []
    batches: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for time_us, reader, port, epc, rssi in sorted(day.reads):
        read = {"epc": epc, "time": microsecond_text(time_us), "antenna": port, "rssi_dbm": round(rssi, 1)}
        batches.setdefault((time_us // REPORT_US, reader), []).append(read)
    for (slot, reader), reads in batches.items():
        payload = json.dumps({"type": "reads", "reads": reads}, separators=(",", ":")).encode()
        sent.append(((slot + 1) * REPORT_US + 40_000, f"gates/{reader}/reads", payload))
    for number, event in enumerate(day.events):
        said = {name: value for name, value in event.items() if name != "at_us"}
        said |= {"type": "business", "id": f"e{number}", "time": microsecond_text(event["at_us"])}
        sent.append((event["at_us"] + 300_000, "gates/erp", json.dumps(said, separators=(",", ":")).encode()))
    for minute in range(int((max((entry[0] for entry in sent), default=START_US) - START_US) / 60e6) + 2):
        for reader in ("dock", "exit"):
            payload = json.dumps({"type": "status", "status": "heartbeat"}, separators=(",", ":")).encode()
            sent.append((START_US + minute * 60_000_000, f"gates/{reader}/status", payload))
    for received_us, topic, payload in sorted(sent):
        yield Publication(received_us=received_us, topic=topic, payload=payload, qos=1)


def _standing(way: Way, seconds: float) -> Way:
    """Let what stands beside a gate stand there for longer."""
    at_s = np.arange(0, seconds, float(way.at_s[1]))
    return Way(at_s=at_s, x_m=np.full(len(at_s), way.x_m[0]), y_m=np.full(len(at_s), way.y_m[0]))


def _site() -> Site:
    def box(x: float, y: float) -> tuple[tuple[float, float], ...]:
        return ((x, y), (x + 8, y), (x + 8, y + 6), (x, y + 6))

    def reader(name: str, x: float, y: float) -> Reader:
        antennas = tuple(Antenna(port=port, x=x, y=y + 2 * port, z=2.0) for port in (1, 2))
        topics = {"mqtt_topic": f"gates/{name}/reads", "status_mqtt_topics": (f"gates/{name}/status",)}
        return Reader(id=name, profile="tagtide", antennas=antennas, **topics)  # type: ignore[arg-type]  # of two kinds

    def gate(name: str, kind: GateKind, reader: str, zone: str) -> Gate:
        return Gate(id=name, kind=kind, inside=(f"{reader}:2",), outside=(f"{reader}:1",), inside_zone=zone, name=name)

    return Site(
        id="dock-day",
        name="Simulated gates",
        timezone="Europe/Berlin",
        zones=(
            Zone(id="receiving", kind=ZoneKind.RECEIVING, polygon=box(0, 0), name="receiving"),
            Zone(id="exit", kind=ZoneKind.EXIT, polygon=box(8, 0), name="exit"),
        ),
        readers=(reader("dock", 4, 0), reader("exit", 12, 0)),
        gates=(
            gate("dock-1", GateKind.DOCK, "dock", "receiving"),
            gate("way-out", GateKind.EXIT, "exit", "exit"),
        ),
        feeds=(Feed(id="erp", profile="tagtide", mqtt_topic="gates/erp"),),
    )
