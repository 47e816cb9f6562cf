"""How fast payloads become rows, on one core: `python -m tests.bench.decoding [READS]`.

Named workloads from a fixed seed, every EPC a new one. `decode` is the decoder alone, `bulk` everything from logged
publications to Arrow columns. Processor time, the best of four runs: what else runs on the machine slows it all the
same, up to half on hyper-threads that are shared.
"""

import base64
import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable

from devices.bulk import TopicDirectory, decode_publications
from devices.site.model import Reader, Shelf, Site
from tests.devices.sources import logged

RUNS = 4
READS = 20_000
SITE = Site(
    id="bench",
    readers=tuple(Reader(id=name, profile=name, mqtt_topic=name) for name in ("impinj", "zebra", "tagtide")),
    shelves=(Shelf(id="shelf", zone="z", profile="weight", mqtt_topic="weight/mass"),),
)


def impinj(rng: random.Random) -> object:
    return {
        "timestamp": f"2026-03-14T09:26:{rng.randrange(60):02}.{rng.randrange(10**9):09}Z",
        "eventType": "tagInventory",
        "tagInventoryEvent": {
            "epc": base64.urlsafe_b64encode(rng.randbytes(12)).decode(),
            "antennaPort": rng.randint(1, 4),
            "peakRssiCdbm": -100 * rng.randint(40, 75),
            "frequency": 865_700,
            "transmitPowerCdbm": 3_000,
        },
    }


def zebra(rng: random.Random) -> object:
    return {
        "data": {
            "antenna": rng.randint(1, 4),
            "eventNum": rng.randrange(10**6),
            "format": "epc",
            "idHex": rng.randbytes(12).hex(),
            "peakRssi": -rng.randint(40, 75),
            "reads": rng.randint(1, 9),
        },
        "timestamp": f"2026-03-14T09:26:{rng.randrange(60):02}.{rng.randrange(1_000):03}+0000",
        "type": "INVENTORY",
    }


def tagtide(rng: random.Random, *, time_as_text: bool) -> dict[str, object]:
    seen: dict[str, object] = {"time_us": 1_773_480_413_000_000 + rng.randrange(10**6)}
    if time_as_text:
        seen = {"time": f"2026-03-14T09:26:{rng.randrange(60):02}.{rng.randrange(10**6):06}Z"}
    return {
        "epc": rng.randbytes(12).hex().upper(),
        "antenna": rng.randint(1, 4),
        "rssi_dbm": -rng.randint(400, 750) / 10,
        "phase_deg": rng.randrange(3600) / 10,
        **seen,
    }


def _text(rng: random.Random) -> dict[str, object]:
    return tagtide(rng, time_as_text=True)


def _integer(rng: random.Random) -> dict[str, object]:
    return tagtide(rng, time_as_text=False)


def workloads(rng: random.Random, reads: int) -> dict[str, tuple[str, int, list[bytes]]]:
    """Return topic, reads a publication and payloads by name of the workload."""

    def payloads(count: int, one: Callable[[], object]) -> list[bytes]:
        return [json.dumps(one(), separators=(",", ":")).encode() for _ in range(count)]

    def batch(read: Callable[[random.Random], object], **more: object) -> list[bytes]:
        return payloads(reads // 50, lambda: {"type": "reads", **more, "reads": [read(rng) for _ in range(50)]})

    return {
        "impinj, one event": ("impinj", 1, payloads(reads, lambda: impinj(rng))),
        "impinj, webhook of 50": ("impinj", 50, payloads(reads // 50, lambda: [impinj(rng) for _ in range(50)])),
        "zebra, one event": ("zebra", 1, payloads(reads, lambda: zebra(rng))),
        "zebra, batch of 50": ("zebra", 50, payloads(reads // 50, lambda: [zebra(rng) for _ in range(50)])),
        "tagtide, one read": ("tagtide", 1, payloads(reads, lambda: {"type": "read", **_integer(rng)})),
        "tagtide, batch of 50, time_us": ("tagtide", 50, batch(_integer)),
        "tagtide, batch of 50, time": ("tagtide", 50, batch(_text)),
        "tagtide, batch of 50, unknown field": ("tagtide", 50, batch(_integer, gateway="g7")),
        "weight, one mass": ("weight/mass", 1, [b"%.3f" % rng.uniform(0, 50) for _ in range(reads)]),
    }


def best_s(run: Callable[[], object]) -> float:
    """Return the processor time of the fastest of some runs, seconds."""
    times = []
    for _ in range(RUNS):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def measure(directory: TopicDirectory, topic: str, payloads: list[bytes]) -> tuple[int, float, float]:
    """Return rows, and the seconds that decoding alone and decoding in bulk take."""
    route = directory.route(topic)
    assert route is not None
    decode, source = route.decode, route.source
    publications = logged((topic, payload) for payload in payloads)
    decode_s = best_s(lambda: [decode(payload, topic, source) for payload in payloads])
    bulk_s = best_s(lambda: decode_publications(publications, edge_id="e", directory=directory))
    (chunk,) = decode_publications(publications, edge_id="e", directory=directory)
    assert "rejects" not in chunk.batches
    return chunk.rows, decode_s, bulk_s


def main(reads: int) -> None:
    directory = TopicDirectory.of([SITE])
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'workload':36} {'bytes/row':>9} {'decode rows/s':>14} {'bulk rows/s':>12} {'bulk publications/s':>20}")
    for name, (topic, each, payloads) in workloads(random.Random(1), reads).items():
        rows, decode_s, bulk_s = measure(directory, topic, payloads)
        assert rows == each * len(payloads), f"{name}: {rows} rows"
        size, rate = sum(map(len, payloads)) / rows, len(payloads) / bulk_s
        print(f"{name:36} {size:9.0f} {rows / decode_s:14,.0f} {rows / bulk_s:12,.0f} {rate:20,.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else READS)
