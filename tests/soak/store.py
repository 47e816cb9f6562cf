"""The soak's store: items that come, move and are sold, read at a steady pace, and what of it was published.

Every read carries its reader's running number, so that the lake can be held to it: each number once, none missing.
Now and then a publication is sent twice and another is garbled, so that the comparison shows what it would see.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

READERS = 4
ANTENNAS = 4
"""Antennas a reader."""
READS_A_PUBLICATION = 50
ITEMS_MIN = 2_000
"""Items at the start; from then on one comes and one is sold each second, give or take."""
MOVES_A_SECOND = 10
REPEATED_EVERY = 500
"""One publication in so many is sent twice."""
GARBLED_EVERY = 1_000
"""And one in so many is followed by one that no decoder can read."""
SITE = "soak"
_COLUMNS = 4


def site_toml() -> str:
    """Return the site file: a zone under each antenna, one shelf with a scale, one till."""
    parts = [f'schema = 1\nid = "{SITE}"\ntimezone = "UTC"\n']
    for place in range(READERS * ANTENNAS):
        x, y = _corner(place)
        corners = [[x, y], [x + 5, y], [x + 5, y + 5], [x, y + 5]]
        parts.append(f'[[zone]]\nid = "z{place}"\nkind = "sales_floor"\npolygon = {corners}\n')
    for reader in range(READERS):
        parts.append(f'[[reader]]\nid = "r{reader}"\nprofile = "tagtide"\nmqtt_topic = "{SITE}/r{reader}"\n')
        for port in range(1, ANTENNAS + 1):
            x, y = _corner(reader * ANTENNAS + port - 1)
            parts.append(f"[[reader.antenna]]\nport = {port}\nx = {x + 2.5}\ny = {y + 2.5}\nz = 3.0\n")
    parts.append(
        f'[[shelf]]\nid = "s1"\nzone = "z0"\ngtin = "{_GTIN}"\nunit_grams = 400\nprofile = "weight"\n'
        f'mqtt_topic = "{SITE}/s1/mass"\n'
    )
    parts.append(f'[[feed]]\nid = "till"\nprofile = "tagtide"\nmqtt_topic = "{SITE}/till"\n')
    return "\n".join(parts)


def _corner(place: int) -> tuple[int, int]:
    return 5 * (place % _COLUMNS), 5 * (place // _COLUMNS)


_GTIN = "09506000134352"


@dataclass(slots=True, kw_only=True)
class Sent:
    """What was published so far."""

    reads: list[int] = field(default_factory=lambda: [0] * READERS)
    """Reads by reader: also the last running number of each."""
    business_events: int = 0
    """Business events, all with identifiers of their own."""
    weights: int = 0
    """Bare numbers of the scale."""
    garbled: int = 0
    """Publications that cannot be decoded."""
    repeated_reads: int = 0
    """Reads that were sent twice, counted once more."""
    publications: int = 0
    """Publications in all."""


class SoakStore:
    """Gives publications, second by second."""

    def __init__(self, *, seed: int = 1) -> None:
        self.sent = Sent()
        """What was given out."""
        self._rng = random.Random(seed)
        self._next_item = 0
        self._places: list[list[str]] = [[] for _ in range(READERS * ANTENNAS)]
        self._ages: list[tuple[str, int]] = []  # items with their places, oldest first
        for _ in range(ITEMS_MIN):
            self._add_item()

    def second(self, now_us: int, reads: int) -> Iterator[tuple[str, bytes]]:
        """Yield a second's publications, evenly spread by whoever sends them.

        Args:
            now_us: When the second begins, microseconds since the epoch.
            reads: How many reads it has.
        """
        yield from self._business(now_us)
        self._move()
        publications = max(1, reads // READS_A_PUBLICATION)
        for number in range(publications):
            reader = number % READERS
            at_us = now_us + number * 1_000_000 // publications
            given = self._reads(reader, at_us)
            yield given
            self.sent.publications += 1
            if self.sent.publications % REPEATED_EVERY == 0:
                self.sent.repeated_reads += READS_A_PUBLICATION
                yield given
            if self.sent.publications % GARBLED_EVERY == 0:
                self.sent.garbled += 1
                yield f"{SITE}/r{reader}", b'{"type": "reads", "number": %d, ' % self.sent.garbled

    def _reads(self, reader: int, at_us: int) -> tuple[str, bytes]:
        rng = self._rng
        first = self.sent.reads[reader]
        reads = []
        for index in range(READS_A_PUBLICATION):
            port = rng.randrange(ANTENNAS)
            place = self._places[reader * ANTENNAS + port] or ["3034257BF7194E4000000000"]
            reads.append(
                {
                    "epc": place[rng.randrange(len(place))],
                    "antenna": port + 1,
                    "time_us": at_us + index,
                    "rssi_dbm": round(rng.gauss(-58, 4), 1),
                    "seq": first + index + 1,
                }
            )
        self.sent.reads[reader] += READS_A_PUBLICATION
        return f"{SITE}/r{reader}", msgspec.json.encode({"type": "reads", "reads": reads})

    def _business(self, now_us: int) -> Iterator[tuple[str, bytes]]:
        """One item comes, the oldest is sold, the scale speaks."""
        new = self._add_item()
        yield self._event("receipt", new, now_us)
        if len(self._ages) > ITEMS_MIN:
            sold, place = self._ages.pop(0)
            self._places[place].remove(sold)
            yield self._event("sale", sold, now_us)
        self.sent.weights += 1
        self.sent.publications += 1
        yield f"{SITE}/s1/mass", b"%.3f" % (4.8 - 0.4 * self._rng.randrange(3))

    def _event(self, event: str, epc: str, now_us: int) -> tuple[str, bytes]:
        self.sent.business_events += 1
        self.sent.publications += 1
        number = f"b{self.sent.business_events}"
        document = {"type": "business", "event": event, "id": number, "epc": epc, "time_us": now_us}
        return f"{SITE}/till", msgspec.json.encode(document)

    def _add_item(self) -> str:
        self._next_item += 1
        epc = f"3034257BF7194E40{self._next_item:08X}"
        place = self._rng.randrange(len(self._places))
        self._places[place].append(epc)
        self._ages.append((epc, place))
        return epc

    def _move(self) -> None:
        for _ in range(MOVES_A_SECOND):
            at = self._rng.randrange(len(self._ages))
            epc, place = self._ages[at]
            to = self._rng.randrange(len(self._places))
            self._places[place].remove(epc)
            self._places[to].append(epc)
            self._ages[at] = epc, to
