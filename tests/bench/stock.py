"""`python -m tests.bench.stock DIR...`: on-hand estimates of simulated days beside their truth.

Each DIR is what `tagtide simulate --out DIR` wrote, replayed with `--data DIR/data`. With `--again`, the inventory step
is run once more over the landed business events, shelf rows and location rows, which takes seconds.

`python -m tests.bench.stock --set tuning` (or `judging`) takes the days of `tests.bench.stock_days` instead: simulated
and located the first time, which takes a minute or two each, and from then on only the inventory step is run. Days on
which most tagged goods lie on scales are told a second time without those scales.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from rich.console import Console

from analytics.evaluation.day_tables import stock_table
from analytics.evaluation.stock import compare_stock, read_true_stock
from analytics.schemas import INVENTORY
from analytics.step import Arrived
from analytics.steps.inventory import InventoryStep
from devices.schemas import TIMESTAMP
from devices.site.file import load_site
from devices.site.model import Site
from simulators.config import DayConfig
from tests.bench.stock_days import SETS, TABLES, open_day
from tests.bench.stock_zones import untagged_held, zones_held


def main() -> None:
    """Print one line per day."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stock", description=__doc__)
    parser.add_argument("days", nargs="*", type=Path)
    parser.add_argument("--again", action="store_true", help="run the inventory step again over the landed tables")
    parser.add_argument("--set", choices=sorted(SETS), help="days of tests.bench.stock_days")
    options = parser.parse_args()
    if options.set is not None:
        days = [(name, *_of_set(config)) for name, config in SETS[options.set].items()]
        bare = [
            (f"{name}, without", *_of_set(config, scales=False))
            for name, config in SETS[options.set].items()
            if config.shape.scale_share is not None
        ]
        for chosen in (days, bare):
            _print([(name, rows, truth) for name, rows, truth, _ in chosen])
            _print_further(chosen)
        return
    _print([(str(day), *_of_folder(day, again=options.again)) for day in options.days])


def _print_further(days: Sequence[tuple[str, pa.Table, pa.Table, Path]]) -> None:
    """Print how often zone rows and rows of GTINs without tags hold."""
    zones = [zones_held(rows, day) for _, rows, _, day in days]
    untagged = [untagged_held(rows, truth) for _, rows, truth, _ in days]
    for (name, rows, *_), *pairs in zip(days, zones, untagged, strict=True):
        held = f"zone rows {_share(*pairs[0])}, {_zone_width(rows):.2f} units wide"
        print(f"{name:34} {held}; GTINs without tags {_share(*pairs[1])}")
    both = [_share(sum(n for n, _ in found), sum(held for _, held in found)) for found in (zones, untagged)]
    print(f"{'together':34} zone rows {both[0]}, GTINs without tags {both[1]}")


def _zone_width(rows: pa.Table) -> float:
    """Return the mean width of zone rows' intervals, units."""
    of_zone = rows.filter(pc.is_valid(rows["zone"]))
    return float(pc.mean(pc.subtract(of_zone["on_hand_high"], of_zone["on_hand_low"])).as_py() or 0.0)


def _share(rows: int, held: int) -> str:
    return f"{held / rows:6.1%} of {rows:5}" if rows else "     - of     0"


def _of_set(config: DayConfig, *, scales: bool = True) -> tuple[pa.Table, pa.Table, Path]:
    """Return a day's rows, true stock and folder; on request as if no scales stood under tagged goods."""
    day, tables = open_day(config)
    if not scales:
        tagged = pc.is_in(tables["shelves"]["gtin"], pc.unique(tables["locations"]["gtin"]).drop_null())
        tables["shelves"] = tables["shelves"].filter(pc.invert(tagged))
    return run_again(load_site(day / "site.toml"), tables), read_true_stock(day / "truth_stock.csv"), day


def _of_folder(day: Path, *, again: bool) -> tuple[pa.Table, pa.Table]:
    truth = read_true_stock(day / "truth_stock.csv")
    if not again:
        return landed(day, "inventory"), truth
    return run_again(load_site(day / "site.toml"), {name: landed(day, name) for name in TABLES}), truth


def _print(days: Sequence[tuple[str, pa.Table, pa.Table]]) -> None:
    Console(width=130).print(stock_table([(name, compare_stock(rows, truth)) for name, rows, truth in days]))


def landed(day: Path, name: str) -> pa.Table:
    """Return a table of a day's lake."""
    return DeltaTable(day / "data" / "lake" / name).to_pyarrow_table()


def run_again(site: Site, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the rows of the inventory step over a day's tables, taken as one chunk."""
    event_time = {"business_events": "event_time", "shelves": "from_time", "locations": "as_of_time"}
    orders = {name: [(event_time[name], "ascending")] for name in tables}
    orders["locations"] += [("epc_hex", "ascending"), ("revision", "descending")]
    tables = {name: table.sort_by(orders[name]) for name, table in tables.items()}
    step = InventoryStep()
    _, outputs = step.step(step.initial(site), _arrived(site.id, tables), site)
    return outputs.get("inventory", INVENTORY.empty_table())


def _arrived(site: str, tables: Mapping[str, pa.Table]) -> Arrived:
    business = tables["business_events"].combine_chunks().to_batches()
    times = tables["business_events"]["event_time"].cast(TIMESTAMP).cast(pa.int64()).to_numpy()
    latest = tables["locations"]["as_of_time"].cast(TIMESTAMP).cast(pa.int64()).to_numpy()
    return Arrived(
        site=site,
        edge_id="again",
        batches={"business_events": business[0]} if business else {},
        effective_us={"business_events": times},
        watermark_us=int(max(np.max(times, initial=0), np.max(latest, initial=0))),
        previous_watermark_us=0,
        derived={name: tables[name] for name in ("shelves", "locations")},
    )


if __name__ == "__main__":
    main()
