"""`python -m tests.bench.stock_rows`: how long the rows of one quarter of an hour take, with and without scales."""

import argparse
import time

import numpy as np

from analytics.steps.inventory_rows import InventoryRows
from analytics.steps.inventory_state import InventoryState, Item
from analytics.steps.scales import Weighed
from analytics.steps.silent_items import Silence
from devices.epc import encode_sgtin96
from devices.epc.keys import check_digit
from devices.site.model import Shelf, Site, Zone, ZoneKind

ZONES = 13
MINUTE_US = 60_000_000
NOW_US = 180 * MINUTE_US


def main() -> None:
    """Print a line for each number of GTINs."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stock_rows", description=__doc__)
    parser.add_argument("--gtins", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--units", type=int, default=20, help="units located of each GTIN")
    options = parser.parse_args()
    for gtins in options.gtins:
        for weighed in (False, True):
            state, site = store(gtins, options.units, weighed=weighed)
            began = time.process_time()
            rows = InventoryRows(state, site).rows(NOW_US)
            took = time.process_time() - began
            scales = "a scale under each" if weighed else "no scales"
            print(f"{gtins:6} GTINs, {gtins * options.units:7} items, {scales:18}: {len(rows):6} rows, {took:6.2f} s")


def store(gtins: int, units: int, *, weighed: bool) -> tuple[InventoryState, Site]:
    """Return a store in mid-day: each GTIN has a shelf, lies in three zones, and some units of it are silent."""
    rng = np.random.default_rng(1)
    square = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    kinds = [ZoneKind.SALES_FLOOR] * (ZONES - 3) + [ZoneKind.BACK_ROOM, ZoneKind.EXIT, ZoneKind.RECEIVING]
    zones = tuple(Zone(id=f"z{number}", kind=kind, polygon=square) for number, kind in enumerate(kinds))
    names = [f"0{code}{check_digit(f'0{code}')}" for code in range(950_600_000_000, 950_600_000_000 + gtins)]
    shelves = tuple(
        Shelf(
            id=f"s{number}",
            zone=f"z{number % (ZONES - 3)}",
            gtin=gtin,
            unit_grams=100.0 if weighed else None,
            profile="weight" if weighed else None,
            mqtt_topic=f"s{number}" if weighed else None,
        )
        for number, gtin in enumerate(names)
    )
    site, state = Site(id="s", zones=zones, shelves=shelves), InventoryState()
    state.reads.began_us = 0
    for number, gtin in enumerate(names):
        places = rng.choice([number % (ZONES - 3), ZONES - 3, (number + 1) % (ZONES - 3)], units, p=[0.6, 0.35, 0.05])
        for serial, place in enumerate(places.tolist()):
            epc = encode_sgtin96(gtin, serial + 1, 7)
            state.reads.find(gtin, round(float(rng.exponential(2.0)) * MINUTE_US))
            state.items[epc] = Item(gtin, f"z{place}", 0, float(rng.uniform(0.7, 1.0)))
            state.count(epc, 1)
        state.observed.add(gtin)
        state.book[gtin] = units
        if number % 5 == 0:
            silence = Silence(NOW_US - 10 * MINUTE_US, NOW_US - MINUTE_US, False, f"z{number % 10}")
            state.hidden[gtin] = {encode_sgtin96(gtin, units + 1, 7): silence}
        if weighed:
            state.weighed[f"s{number}"] = Weighed(int((places == number % (ZONES - 3)).sum()), NOW_US - 30 * MINUTE_US)
    return state, site


if __name__ == "__main__":
    main()
