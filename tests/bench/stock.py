"""`python -m tests.bench.stock DIR...`: on-hand estimates of simulated days beside their truth.

Each DIR is what `tagtide simulate --out DIR` wrote, replayed with `--data DIR/data`. With `--again`, the inventory step
is run once more over the landed business events, shelf rows and location rows, which takes seconds.

`python -m tests.bench.stock --set tuning` (or `judging`) takes the days of `tests.bench.stock_days` instead: simulated
and located the first time, which takes a minute or two each, and from then on only the inventory step is run. Days on
which most tagged goods lie on scales are told a second time without those scales. `--folder` says where days are kept,
`--markdown` prints the tables as `docs/accuracy.md` has them, and `--causes` prints what misses are due to.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from rich.console import Console

from analytics.evaluation.day_tables import stock_table
from analytics.evaluation.stock import compare_stock, read_true_stock
from analytics.schemas import INVENTORY
from analytics.steps.inventory import InventoryStep
from devices.site.file import load_site
from devices.site.model import Site
from simulators.config import DayConfig
from tests.bench.stock_causes import print_causes
from tests.bench.stock_days import DEFAULT_FOLDER, SETS, TABLES, open_day
from tests.bench.stock_instants import without_instants
from tests.bench.stock_markdown import markdown, together_line
from tests.bench.stock_replay import arrived_of, sorted_tables
from tests.bench.stock_zones import untagged_held, zones_held


def main() -> None:
    """Print one line per day."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stock", description=__doc__)
    parser.add_argument("days", nargs="*", type=Path)
    parser.add_argument("--again", action="store_true", help="run the inventory step again over the landed tables")
    parser.add_argument("--set", choices=sorted(SETS), help="days of tests.bench.stock_days")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where the days of a set are kept")
    parser.add_argument("--markdown", action="store_true", help="print the tables of a set for docs/accuracy.md")
    parser.add_argument("--causes", action="store_true", help="print what the misses of a set's days are due to")
    options = parser.parse_args()
    if options.set is None:
        _print([(str(day), *_of_folder(day, again=options.again)) for day in options.days])
        return
    configs = SETS[options.set]
    if options.causes:
        print_causes([(name, *open_day(config, options.folder)) for name, config in configs.items()])
        return
    days = [(name, *_of_set(config, options.folder)) for name, config in configs.items()]
    weighed = {name: config for name, config in configs.items() if config.shape.scale_share is not None}
    bare = [(f"{name}, without", *_of_set(config, options.folder, scales=False)) for name, config in weighed.items()]
    if options.markdown:
        seeds = {name: config.seed for name, config in configs.items()}
        print(markdown([day for day in days if day[0] not in weighed], seeds))
        print(markdown([day for day in days if day[0] in weighed] + bare, seeds))
        print(together_line(days))
        return
    for chosen in (days, bare):
        _print([(name, rows, truth) for name, rows, truth, _ in chosen])
        _print_further(chosen)


def _print_further(days: Sequence[tuple[str, pa.Table, pa.Table, Path]]) -> None:
    """Print how often zone rows and rows of GTINs without tags hold."""
    zones = [zones_held(rows, day) for _, rows, _, day in days]
    untagged = [untagged_held(rows, truth) for _, rows, truth, _ in days]
    for (name, rows, *_), *pairs in zip(days, zones, untagged, strict=True):
        held = f"zone rows {_share(*pairs[0])}, {_zone_width(rows):.2f} units wide"
        print(f"{name:34} {held}; GTINs without tags {_share(*pairs[1])}")
    both = [_share(sum(n for n, _ in found), sum(held for _, held in found)) for found in (zones, untagged)]
    print(f"{'together':34} zone rows {both[0]}, GTINs without tags {both[1]}")
    scores = [compare_stock(without_instants(rows, day), truth) for _, rows, truth, day in days]
    known = [score for score in scores if score is not None]
    total = sum(score.rows for score in known)
    held = _share(total, round(sum(score.held_share * score.rows for score in known)))
    print(f"{'together':34} without the instants at which deliveries come in {held}")


def _zone_width(rows: pa.Table) -> float:
    """Return the mean width of zone rows' intervals, units."""
    of_zone = rows.filter(pc.is_valid(rows["zone"]))
    return float(pc.mean(pc.subtract(of_zone["on_hand_high"], of_zone["on_hand_low"])).as_py() or 0.0)


def _share(rows: int, held: int) -> str:
    return f"{held / rows:6.1%} of {rows:5}" if rows else "     - of     0"


def _of_set(config: DayConfig, folder: Path, *, scales: bool = True) -> tuple[pa.Table, pa.Table, Path]:
    """Return a day's rows, true stock and folder; on request as if no scales stood under tagged goods."""
    day, tables = open_day(config, folder)
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
    step = InventoryStep()
    _, outputs = step.step(step.initial(site), arrived_of(site.id, sorted_tables(tables)), site)
    return outputs.get("inventory", INVENTORY.empty_table())


if __name__ == "__main__":
    main()
