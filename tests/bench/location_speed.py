"""`python -m tests.bench.location_speed`: reads/s of the location step alone, and bytes of state an item, on one core.

Generated reads of items that lie still: each is heard by the antennas nearest to it, equally often. Chunks are made
before the clock starts, kernels are compiled before it too; what is timed is `LocationStep.step` and nothing else. The
table turns items and antennas an item in turn, since growth must be linear in both.
"""

import argparse
import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one run measured."""

    items: int
    antennas: int
    reads: int
    reads_per_s: float
    microseconds_an_item: float
    bytes_an_item: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.location_speed", description=__doc__)
    parser.add_argument("--items", type=int, nargs="*", default=[25_000, 50_000, 100_000])
    parser.add_argument("--antennas", type=int, nargs="*", default=[1, 2, 4, 8], help="antennas that hear an item")
    parser.add_argument("--reads", type=int, default=2_000_000, help="reads of each run")
    options = parser.parse_args()
    table = Table(title="the location step alone, one core")
    for column in ("items", "antennas an item", "reads", "reads/s", "us a read", "state, bytes an item"):
        table.add_column(column, justify="right")
    measure(items=2_000, antennas=4, reads=20_000)  # compiles
    largest = max(options.items)
    runs = [(items, 4) for items in options.items] + [(largest, count) for count in options.antennas if count != 4]
    for items, antennas in runs:
        found = measure(items=items, antennas=antennas, reads=options.reads)
        table.add_row(
            f"{found.items:,}", str(found.antennas), f"{found.reads:,}", f"{found.reads_per_s:,.0f}",
            f"{1e6 / found.reads_per_s:.2f}", f"{found.bytes_an_item:.0f}",
        )  # fmt: skip
    Console(width=110).print(table)


def measure(*, items: int, antennas: int, reads: int) -> Speed:
    """Run the location step over generated reads.

    Args:
        items: Items.
        antennas: Antennas that hear each.
        reads: Reads of all of them, at least one each.
    """
    site = _site()
    step = LocationStep()
    state = step.initial(site)
    batches = _chunks(site, items=items, antennas=antennas, reads=max(reads, items))
    state, _ = step.step(state, batches[0], site)  # every item's first read: the table of items grows here
    taken = 0
    began = time.process_time()
    for batch in batches[1:]:
        state, _ = step.step(state, batch, site)
        taken += batch.batches["reads"].num_rows
    seconds = time.process_time() - began
    return Speed(
        items=items,
        antennas=antennas,
        reads=taken,
        reads_per_s=taken / max(seconds, 1e-9),
        microseconds_an_item=1e6 * seconds / items,
        bytes_an_item=state.bytes_used / items,
    )


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


def _chunks(site: Site, *, items: int, antennas: int, reads: int) -> list[Arrived]:
    """Generate reads: first one of every item, then at random, a chunk for each `CHUNK_S` of event time."""
    rng = np.random.default_rng(7)
    places = np.array(_places())
    xy = rng.uniform([0.0, 0.0], [ZONE_M * ZONES_X, ZONE_M * ZONES_Y], size=(items, 2))
    distance = np.hypot(*(places[None, :, :] - xy[:, None, :]).transpose(2, 0, 1))
    near = np.argsort(distance, axis=1)[:, :antennas]
    strength = -45.0 - 22.0 * np.log10(np.maximum(np.take_along_axis(distance, near, axis=1), 1.0))
    strength += rng.normal(0.0, 3.0, strength.shape)
    serials = rng.choice(2**38, size=items, replace=False)
    gtins = rng.integers(0, 500, size=items)  # as many products as items of a store have
    heads = [(0x30 << 88) | (3 << 85) | (5 << 82) | (9506000 << 58) | ((20_100 + int(gtin)) << 38) for gtin in gtins]
    epcs = pa.array([f"{head | int(serial):024X}" for head, serial in zip(heads, serials, strict=True)])
    who = np.concatenate([np.arange(items), rng.integers(0, items, size=reads - items)])
    which = rng.integers(0, antennas, size=reads)
    first_us = np.sort(rng.integers(0, 1_000_000, size=items))
    later_us = 1_000_000 + (np.arange(reads - items) * READ_INTERVAL_S * 1e6 / items).astype(np.int64)
    at_us = START_US + np.concatenate([first_us, later_us])
    rssi = np.round(2.0 * (strength[who, which] + rng.normal(0.0, 3.0, reads))) / 2.0
    number = near[who, which]
    cuts = [0, items, *range(items, reads, max(1, round(CHUNK_S * items / READ_INTERVAL_S)))[1:], reads]
    return [_arrived(site, epcs, who[a:b], number[a:b], at_us[a:b], rssi[a:b], a) for a, b in pairwise(cuts)]


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
