"""How far items lie from where they are said to be, and how often within the radius that is said.

`python -m tests.bench.position DAY...` takes folders of `tagtide simulate`, runs the location step over each, and
compares every located item with the truth once a minute. "Antennas" is the mean of the antennas that heard the item,
weighted by how often and with how much power.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from analytics.location.places import Places, map_site
from analytics.pipeline import SitePipeline
from analytics.steps.location import LocationStep
from analytics.truth import read_truth
from deploy.capture_chunks import capture_chunks
from devices.site import load_site

MINUTE_US = 60_000_000
Row = Mapping[str, Any]


def compare(day: Path) -> Iterator[tuple[float, float, float]]:
    """Yield how far antennas' mean and x, y are from the truth, and the radius that is said, metres."""
    site = load_site(day / "site.toml")
    pipeline = SitePipeline(site, steps=[LocationStep()])
    (capture,) = sorted(day.glob("capture.jsonl*"))
    said: dict[str, list[Row]] = defaultdict(list)
    for chunk in capture_chunks(capture, [site]):
        for row in _rows(pipeline.process(chunk)) if chunk.site == site.id else ():
            said[row["epc_hex"]].append(row)
    true: dict[str, list[Row]] = defaultdict(list)
    for row in read_truth(day / "truth.csv").to_pylist():
        true[row["epc_hex"]].append(row)
    first = min(row["from_us"] for rows in true.values() for row in rows)
    last = max(row["until_us"] for rows in true.values() for row in rows)
    places = map_site(site)
    for epc, rows in said.items():
        for time_us in range(first + 2 * MINUTE_US, last, MINUTE_US):
            known = [row for row in rows if row["as_of_us"] <= time_us]
            there = [row for row in true[epc] if row["from_us"] <= time_us < row["until_us"] and row["zone"]]
            if known and known[-1]["until_time"] is None and there and there[0]["x"] is not None:
                yield from _compared(places, known[-1], np.array([there[0]["x"], there[0]["y"]]))


def _rows(landed: Mapping[str, Any]) -> list[Row]:
    rows = landed["locations"].to_pylist() if "locations" in landed else []
    return [row | {"as_of_us": round(row["as_of_time"].timestamp() * 1e6)} for row in rows]


def _compared(places: Places, row: Row, truth: Any) -> Iterator[tuple[float, float, float]]:
    heard = msgspec.json.decode(row["evidence"])["antennas"]
    if heard:
        numbers = [places.antenna_labels.index(one["antenna"]) for one in heard]
        level = np.array([np.nan if one["rssi_dbm"] is None else one["rssi_dbm"] for one in heard], dtype=np.float64)
        level = np.where(np.isnan(level), 0.0, level - np.nan_to_num(level[0]))
        power = np.array([one["reads"] for one in heard]) * 10.0 ** (level / 10.0)
        antennas = power @ places.antenna_xy[numbers] / max(power.sum(), 1e-9)
        found = np.array([row["x"], row["y"]])
        yield float(np.linalg.norm(antennas - truth)), float(np.linalg.norm(found - truth)), row["radius_m"]


def main() -> None:
    """Print a line for each day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("days", nargs="+", type=Path, metavar="DAY")
    for day in parser.parse_args().days:
        antennas, found, radius = np.array(list(compare(day))).T
        sides = (f"{np.median(off):.2f} / {np.quantile(off, 0.9):.2f} m" for off in (antennas, found))
        held = (found <= radius).mean()
        print(
            f"{day.name}: {len(found):,} comparisons; median / p90: antennas {next(sides)}, x and y {next(sides)}; "
            f"radius {np.median(radius):.1f} m, holds {held:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
