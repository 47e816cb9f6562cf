"""`python -m tests.bench.location_speed`: reads/s of the location step alone, and bytes of state an item, on one core.

Generated reads of items that lie still: each is heard by the antennas nearest to it, equally often, each antenna as
far off the law as a store is. Two phases are timed apart. *Opening*: the first reads of every item, until nearly all
stays are open; a store has this once. *Steady*: what comes then. Kernels are compiled before the clock starts and
reads are made while it stands; what is timed is `LocationStep.step` and nothing else, in processor time. Medians of
`--rounds` runs; the columns behind reads/s say what of a read's time goes where. The table turns items and antennas an
item in turn, since growth must be linear in both.
"""

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from analytics.location.state import LocationState
from analytics.step import Arrived
from analytics.steps.location import LocationStep
from devices.schemas import READS
from devices.site import check_text
from devices.site.model import Site

ZONES_X, ZONES_Y, ZONE_M = 6, 4, 5.0
ANTENNAS_A_ZONE = 2
START_US = 1_790_000_000_000_000
READ_INTERVAL_S = 4.0
"""Seconds between two reads of one item."""
CHUNK_S = 5.0
"""Event time in one chunk."""
OPENING_READS = 10
"""Reads of each item, on average, that count as opening."""
GTINS = 500
"""Products: as many items of each as a store has."""
PARTS = {
    "kernel": ("advance",),
    "rows": ("table", "add_told"),
    "arrivals": ("_new_rows", "take", "make_room"),
    "grid": ("_close_silent", "_learn"),
}
"""Parts of a step, by the functions that do them, in `analytics.location` and `analytics.steps.location`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What one phase of one run took."""

    reads: int
    seconds: float
    part_s: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one run measured."""

    opening: Phase
    steady: Phase
    bytes_an_item: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.location_speed", description=__doc__)
    parser.add_argument("--items", type=int, nargs="*", default=[25_000, 50_000, 100_000])
    parser.add_argument("--antennas", type=int, nargs="*", default=[1, 2, 4, 8], help="antennas that hear an item")
    parser.add_argument("--reads", type=int, default=60, help="steady reads of each item, on average")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table(title="the location step alone, one core, processor time; medians")
    for column in ("items", "antennas", "phase", "reads", "reads/s", "slowest", "ns a read", *PARTS, "bytes an item"):
        table.add_column(column, justify="right")
    measure(items=2_000, antennas=4, reads=10)  # compiles
    largest = max(options.items)
    runs = [(items, 4) for items in options.items if 4 in options.antennas]
    runs += [(largest, count) for count in options.antennas if count != 4]
    for items, antennas in runs:
        found = [measure(items=items, antennas=antennas, reads=options.reads) for _ in range(options.rounds)]
        for name in ("opening", "steady"):
            phases: list[Phase] = [getattr(one, name) for one in found]
            ns = [1e9 * phase.seconds / max(phase.reads, 1) for phase in phases]
            parts = [statistics.median(1e9 * phase.part_s[part] / phase.reads for phase in phases) for part in PARTS]
            table.add_row(
                f"{items:,}", str(antennas), name, f"{phases[0].reads:,}", f"{1e9 / statistics.median(ns):,.0f}",
                f"{1e9 / max(ns):,.0f}", f"{statistics.median(ns):.0f}", *(f"{part:.0f}" for part in parts),
                f"{found[0].bytes_an_item:.0f}",
            )  # fmt: skip
    Console(width=130).print(table)


def measure(*, items: int, antennas: int, reads: int) -> Speed:
    """Run the location step over generated reads.

    Args:
        items: Items.
        antennas: Antennas that hear each.
        reads: Reads of each item, on average, once its stay is open.
    """
    site = _site()
    step = LocationStep()
    state = step.initial(site)
    chunks = _chunks(site, items=items, antennas=antennas, reads=items * (reads + OPENING_READS))
    state, opening = _phase(step, state, site, chunks, items * OPENING_READS)
    state, steady = _phase(step, state, site, chunks, items * reads)
    return Speed(opening=opening, steady=steady, bytes_an_item=state.bytes_used / items)


def _phase(
    step: LocationStep, state: LocationState, site: Site, chunks: Iterator[Arrived], reads: int
) -> tuple[LocationState, Phase]:
    """Take in chunks until they hold so many reads."""
    profile = cProfile.Profile(time.process_time)
    taken, seconds = 0, 0.0
    while taken < reads:
        chunk = next(chunks, None)
        if chunk is None:
            break
        began = time.process_time()
        state, _ = profile.runcall(step.step, state, chunk, site)
        seconds += time.process_time() - began
        taken += chunk.batches["reads"].num_rows
    return state, Phase(reads=taken, seconds=seconds, part_s=_parts(profile))


def _parts(profile: cProfile.Profile) -> dict[str, float]:
    """Return the seconds that went into each part."""
    found = dict.fromkeys(PARTS, 0.0)
    stats: dict[tuple[str, int, str], tuple[Any, ...]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, function), (_, _, _, cumulative, _) in stats.items():
        for part, functions in PARTS.items():
            if function in functions and ("analytics/location/" in file or file.endswith("steps/location.py")):
                found[part] += cumulative
    return found


def _site() -> Site:
    """Return a hall of zones with antennas in each, wired four to a reader."""
    parts = ['schema = 1\nid = "speed"\ntimezone = "UTC"\n']
    for number in range(ZONES_X * ZONES_Y):
        x, y = ZONE_M * (number % ZONES_X), ZONE_M * (number // ZONES_X)
        corners = [[x, y], [x + ZONE_M, y], [x + ZONE_M, y + ZONE_M], [x, y + ZONE_M]]
        parts.append(f'[[zone]]\nid = "z{number}"\nkind = "sales_floor"\npolygon = {corners}\n')
    for number, (x, y) in enumerate(_places()):
        if number % 4 == 0:
            parts.append(
                f'[[reader]]\nid = "r{number // 4}"\nprofile = "tagtide"\nmqtt_topic = "speed/r{number // 4}"\n'
            )
        parts.append(f"[[reader.antenna]]\nport = {number % 4 + 1}\nx = {x}\ny = {y}\nz = 3.0\n")
    site = check_text("\n".join(parts), "speed.toml").site
    assert site is not None
    return site


def _places() -> list[tuple[float, float]]:
    return [
        (ZONE_M * (zone % ZONES_X) + ZONE_M * (0.5 + k) / ANTENNAS_A_ZONE, ZONE_M * (zone // ZONES_X) + ZONE_M / 2)
        for zone in range(ZONES_X * ZONES_Y)
        for k in range(ANTENNAS_A_ZONE)
    ]


def _chunks(site: Site, *, items: int, antennas: int, reads: int) -> Iterator[Arrived]:
    """Generate reads: first one of every item, then at random, a chunk for each `CHUNK_S` of event time."""
    rng = np.random.default_rng(7)
    places = np.array(_places())
    xy = rng.uniform([0.0, 0.0], [ZONE_M * ZONES_X, ZONE_M * ZONES_Y], size=(items, 2))
    distance = np.hypot(*(places[None, :, :] - xy[:, None, :]).transpose(2, 0, 1))
    near = np.argsort(distance, axis=1)[:, :antennas]
    strength = -45.0 - 22.0 * np.log10(np.maximum(np.take_along_axis(distance, near, axis=1), 1.0))
    strength += rng.normal(0.0, 3.0, strength.shape)
    epcs = _epcs(rng, items)
    done = 0
    while done < reads:
        count = items if done == 0 else min(reads - done, max(1, round(CHUNK_S * items / READ_INTERVAL_S)))
        who = np.arange(items) if done == 0 else rng.integers(0, items, size=count)
        which = rng.integers(0, antennas, size=count)
        at_us = START_US + ((done + np.arange(count)) * READ_INTERVAL_S * 1e6 / items).astype(np.int64)
        rssi = np.round(2.0 * (strength[who, which] + rng.normal(0.0, 3.0, count))) / 2.0
        yield _arrived(site, epcs, who, near[who, which], at_us, rssi, done)
        done += count


def _epcs(rng: np.random.Generator, items: int) -> pa.Array:
    """Return as many different SGTIN-96, of some GTINs."""
    serials = rng.choice(2**38, size=items, replace=False)
    gtins = rng.integers(0, GTINS, size=items)
    heads = [(0x30 << 88) | (3 << 85) | (5 << 82) | (9506000 << 58) | ((20_100 + int(gtin)) << 38) for gtin in gtins]
    return pa.array([f"{head | int(serial):024X}" for head, serial in zip(heads, serials, strict=True)])


def _arrived(  # noqa: PLR0917 - one column after the other
    site: Site,
    epcs: pa.Array,
    who: np.ndarray[tuple[int], np.dtype[np.int64]],
    antenna: np.ndarray[tuple[int], np.dtype[np.int64]],
    at_us: np.ndarray[tuple[int], np.dtype[np.int64]],
    rssi: np.ndarray[tuple[int], np.dtype[np.float64]],
    offset: int,
) -> Arrived:
    rows = len(who)
    readers = pa.array([reader.id for reader in site.readers])
    stamps = pa.array(at_us).cast(READS.field("event_time").type)
    known: dict[str, pa.Array] = {
        "site": pa.array([site.id]).take(pa.array(np.zeros(rows, dtype=np.int64))),
        "epc_hex": epcs.take(pa.array(who)),
        "reader": readers.take(pa.array(antenna // 4)),
        "antenna": pa.array((antenna % 4 + 1).astype(np.int16)),
        "event_time": stamps,
        "received_time": stamps,
        "rssi_dbm": pa.array(rssi),
        "edge_offset": pa.array(offset + np.arange(rows)),
        "late": pa.array(np.zeros(rows, dtype=np.bool_)),
    }
    columns = [
        known[field.name].cast(field.type) if field.name in known else pa.nulls(rows, field.type) for field in READS
    ]
    fields = [pa.field(field.name, field.type) for field in READS]
    if "late" not in READS.names:
        columns.append(known["late"])
        fields.append(pa.field("late", pa.bool_()))
    batch = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    return Arrived(
        site=site.id,
        edge_id="speed",
        batches={"reads": batch},
        effective_us={"reads": at_us},
        watermark_us=int(at_us[-1]),
        previous_watermark_us=int(at_us[0]),
    )


if __name__ == "__main__":
    main()
