"""`python -m tests.bench.location_rows`: what one row of `locations` takes: position, evidence, and what its EPC says.

Generated rows of items that four antennas have heard, on the hall of `tests.bench.location_speed`. Each part is run
often and its fastest run counts, since on a machine that others keep busy that is the one they disturbed least.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from analytics.location import radio
from analytics.location.assortment import SHELF_CELLS
from analytics.location.evidence import describe
from analytics.location.places import map_site
from analytics.location.position import locate
from analytics.steps.sgtin import name_items
from tests.bench.location_speed import _epcs, _site

ROWS = 2_000
HEARD, SLOTS = 4, 10
"""Antennas that have heard an item, and how many a track has room for."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.location_rows", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(7)
    places = map_site(_site())
    law = radio.tabulate(places, radio.physics(places))
    antennas = rng.integers(0, len(places.antennas), (ROWS, SLOTS)).astype(np.int16)
    weights, means = np.zeros((ROWS, SLOTS), dtype=np.float32), np.zeros((ROWS, SLOTS), dtype=np.float32)
    weights[:, :HEARD] = rng.uniform(1.0, 40.0, (ROWS, HEARD))
    means[:, :HEARD] = rng.uniform(-75.0, -45.0, (ROWS, HEARD))
    zones = rng.integers(0, places.zones, ROWS).astype(np.int32)
    sure = rng.uniform(0.5, 1.0, ROWS).astype(np.float32)
    epcs = _epcs(rng, ROWS)
    no_shelves = np.zeros((ROWS, SHELF_CELLS), dtype=np.int16), np.zeros((ROWS, SHELF_CELLS), dtype=np.float32)
    parts: dict[str, Callable[[], object]] = {
        "position": lambda: locate(places, law, antennas, weights, means, zones, sure, *no_shelves),
        "evidence": lambda: describe(places.antenna_labels, antennas, weights, means),
        "URI and GTIN": lambda: name_items(epcs),
    }
    for name, part in parts.items():
        print(f"{name:<14}{_fastest_ns(part, rounds) / ROWS:6.0f} ns a row")


def _fastest_ns(part: Callable[[], object], rounds: int) -> int:
    """Return the time of the fastest run, ns; what the first one compiles does not count."""
    part()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        part()
        taken.append(time.perf_counter_ns() - began)
    return min(taken)


if __name__ == "__main__":
    main()
