"""How often zone rows, and rows of GTINs without tags, hold the truth of a simulated day."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa

from analytics.steps.identity import identify
from devices.schemas import TIMESTAMP

_ENDS = ("on_hand_low", "on_hand_high")


def zones_held(inventory: pa.Table, day: Path) -> tuple[int, int]:
    """Return zone rows after the first quarter of an hour, and how many of them hold the truth."""
    times = _times(inventory)
    true = _units_in_zones(day, sorted(set(times)))
    rows = zip(times, *(inventory[name].to_pylist() for name in ("zone", "gtin", *_ENDS)), strict=True)
    found = [
        low <= true[gtin, zone, at_us] <= high
        for at_us, zone, gtin, low, high in rows
        if zone is not None and gtin is not None and at_us > min(times)
    ]
    return len(found), sum(found)


def untagged_held(inventory: pa.Table, truth: pa.Table) -> tuple[int, int]:
    """Return rows of GTINs without tags, and how many of them hold the truth."""
    columns = [truth[name].to_pylist() for name in ("gtin", "at_us", "on_site")]
    true = {(gtin, at_us): units for gtin, at_us, units in zip(*columns, strict=True)}
    names = ("zone", "gtin", "accuracy", *_ENDS)
    rows = zip(_times(inventory), *(inventory[name].to_pylist() for name in names), strict=True)
    found = [
        low <= true[gtin, at_us] <= high
        for at_us, zone, gtin, known, low, high in rows
        if zone is None and gtin is not None and known is None and (gtin, at_us) in true
    ]
    return len(found), sum(found)


def _times(inventory: pa.Table) -> list[int]:
    return [int(at_us) for at_us in inventory["as_of_time"].cast(TIMESTAMP).cast(pa.int64()).to_pylist()]


def _units_in_zones(day: Path, times: list[int]) -> Counter[tuple[str, str, int]]:
    """Return true units by GTIN, zone and time, tagged or not."""
    stays: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for name, key in (("truth.csv", "epc_hex"), ("truth_untagged.csv", "gtin")):
        with (day / name).open(newline="") as stream:
            for row in csv.DictReader(stream):
                if row["zone"]:
                    gtin = row[key] if key == "gtin" else identify(row[key])[1] or ""
                    stays[gtin].append((row["zone"], int(row["from_us"]), int(row["until_us"])))
    true: Counter[tuple[str, str, int]] = Counter()
    for gtin, of_gtin in stays.items():
        for zone, from_us, until_us in of_gtin:
            for at_us in times:
                if from_us <= at_us < until_us:
                    true[gtin, zone, at_us] += 1
    return true
