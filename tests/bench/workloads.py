"""Named workloads: a site and the publications for it, the same at every run."""

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

ZONES = 12
READERS = 4
ANTENNAS = 4
"""Antennas a reader."""
ITEMS = 5_000
START_US = 1_790_000_000_000_000
READS_PER_SECOND = 20_000
"""Pace of the readers' own clocks; publishing goes as fast as it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is published."""

    name: str
    publications: int
    reads_a_publication: int

    @property
    def reads(self) -> int:
        """Reads in all."""
        return self.publications * self.reads_a_publication


def site_toml(reads_a_publication: int) -> str:
    """Return the site file of a workload: real Impinj single events, or our own batches."""
    profile = "impinj" if reads_a_publication == 1 else "tagtide"
    parts = ['schema = 1\nid = "bench"\ntimezone = "UTC"\n']
    for zone in range(ZONES):
        x, y = 5 * (zone % 4), 5 * (zone // 4)
        corners = [[x, y], [x + 5, y], [x + 5, y + 5], [x, y + 5]]
        parts.append(f'[[zone]]\nid = "z{zone}"\nkind = "sales_floor"\npolygon = {corners}\n')
    for reader in range(READERS):
        parts.append(
            f'[[reader]]\nid = "r{reader}"\nprofile = "{profile}"\nmqtt_topic = "bench/r{reader}"\nclock = "trusted"\n'
        )
        for port in range(1, ANTENNAS + 1):
            number = reader * ANTENNAS + port - 1
            column, row = number % 4, number // 4 % 3
            parts.append(f"[[reader.antenna]]\nport = {port}\nx = {2.5 + 5 * column}\ny = {2.5 + 5 * row}\nz = 3.0\n")
    return "\n".join(parts)


def publications(workload: Workload, *, seed: int = 1, first: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload of a workload's publications."""
    rng = random.Random(seed)
    items = [(f"30{rng.getrandbits(88):022X}", rng.randrange(READERS), rng.randrange(ANTENNAS)) for _ in range(ITEMS)]
    encode = msgspec.json.encode
    at_us = START_US + first * workload.reads_a_publication * 1_000_000 // READS_PER_SECOND
    for number in range(first, first + workload.publications):
        at_us += workload.reads_a_publication * 1_000_000 // READS_PER_SECOND
        reader = number % READERS
        mine = items[reader::READERS]
        if workload.reads_a_publication == 1:
            yield f"bench/r{reader}", _impinj(rng, mine, at_us)
        else:
            reads = [
                {
                    "epc": epc,
                    "antenna": home + 1,
                    "time_us": at_us + index,
                    "rssi_dbm": round(rng.gauss(-60, 4), 1),
                    "seq": number * workload.reads_a_publication + index,
                }
                for index, (epc, _, home) in enumerate(rng.choices(mine, k=workload.reads_a_publication))
            ]
            yield f"bench/r{reader}", encode({"type": "reads", "reads": reads})


def _impinj(rng: random.Random, items: list[tuple[str, int, int]], at_us: int) -> bytes:
    epc, _, home = rng.choice(items)
    seconds, micros = divmod(at_us, 1_000_000)
    minute, second = divmod(seconds, 60)
    hour, minute = divmod(minute, 60)
    stamp = f"2026-09-21T{hour % 24:02}:{minute:02}:{second:02}.{micros:06}123Z"
    return (
        f'{{"timestamp":"{stamp}","eventType":"tagInventory","tagInventoryEvent":'
        f'{{"epc":"{base64.urlsafe_b64encode(bytes.fromhex(epc)).decode()}","antennaPort":{home + 1},'
        f'"peakRssiCdbm":{round(rng.gauss(-6000, 400))},"frequency":866900,"transmitPowerCdbm":3000}}}}'
    ).encode()
