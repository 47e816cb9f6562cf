"""The instants at which deliveries come in: goods that have stood at the dock for seconds, of which nobody can know."""

import csv
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from devices.schemas import TIMESTAMP

INSTANT_US = 60 * 1_000_000
"""So long before a row at most."""
UNITS_MIN = 10
"""A shopper who brings something back is no delivery."""


def without_instants(inventory: pa.Table, day: Path) -> pa.Table:
    """Return the rows of a simulated day but those of times just after a delivery came in."""
    arrivals: Counter[int] = Counter()
    for name, key in (("truth.csv", "epc_hex"), ("truth_untagged.csv", "item")):
        first: dict[str, int] = {}
        with (day / name).open(newline="") as stream:
            for row in csv.DictReader(stream):
                if row["zone"]:
                    first[row[key]] = min(int(row["from_us"]), first.get(row[key], int(row["from_us"])))
        arrivals.update(first.values())
    came = [at_us for at_us, units in arrivals.items() if units >= UNITS_MIN and at_us > min(arrivals)]
    times = inventory["as_of_time"].cast(TIMESTAMP).cast(pa.int64())
    hit = [at_us for at_us in set(times.to_pylist()) if any(0 <= at_us - came_us <= INSTANT_US for came_us in came)]
    return inventory.filter(pc.invert(pc.is_in(times, pa.array(hit, pa.int64()))))
