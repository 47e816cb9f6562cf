"""Days for judging on-hand estimates: what differs from one to the next is what an estimate must not be fitted to.

Tuning and judging share neither seed nor day. Each is simulated once, run through location and shelves once, and kept;
the inventory step is then run over what they found, which takes seconds (`python -m tests.bench.stock --set tuning`).
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.steps.location import LocationStep
from analytics.steps.shelf import ShelfStep
from simulators.config import DayConfig, preset
from simulators.output import write_day
from simulators.scenarios import scenario_config
from tests.bench.stores import derive, fingerprint
from tests.shared_data import REPOSITORY

DEFAULT_FOLDER = REPOSITORY / ".cache" / "stock"
"""Where days are kept."""
TABLES = ("business_events", "shelves", "locations")
"""What the inventory step reads."""
_HARD = {"radio": {"sensitivity_dbm": -12.0, "link_spread_db": 3.5}}
_HARDER = {"radio": {"sensitivity_dbm": -12.5, "link_spread_db": 4.0}}
_Changes = Mapping[str, Any]


def _day(base: str, seed: int, hours: float, **changes: Any) -> DayConfig:
    """Return a store's day; `radio`, `shape`, `shoppers` and `staff` name what changes in them."""
    config = scenario_config(base) if "/" in base else preset(base)
    parts = {
        part: dataclasses.replace(getattr(config, part), **changes.pop(part))
        for part in ("radio", "propagation", "shape", "shoppers", "staff")
        if part in changes
    }
    return dataclasses.replace(config, seed=seed, hours=hours, **parts, **changes)


TUNING: Mapping[str, DayConfig] = {
    "demo": _day("demo", 101, 3.0),
    "dead tags and thieves": _day(
        "demo", 102, 3.0, dead_tag_share=0.03, shoppers={"theft_share": 0.06, "conceal_share": 0.04}
    ),
    "a till without EPCs": _day(
        "demo", 103, 3.0, dead_tag_share=0.0, shoppers={"epc_till_share": 0.0, "till_misscan_share": 0.02}
    ),
    "a bad book": _day(
        "demo",
        110,
        3.0,
        dead_tag_share=0.015,
        shoppers={"epc_till_share": 1.0},
        staff={"receipt_error_share": 0.4, "unbooked_theft_mean": 2.0, "unbooked_receipt_mean": 1.0},
    ),
    "hard to read": _day("demo", 111, 3.0, **_HARD),
    "rarely read": _day("demo", 112, 3.0, mean_read_interval_s=120.0, dead_tag_share=0.02),
    "store-24": _day("store-24", 113, 1.5, dead_tag_share=0.02, deliveries=2),
    "hard-24": _day("tuning/hard-24", 114, 1.5, mean_read_interval_s=8.0),
    "all on scales": _day("demo", 115, 3.0, dead_tag_share=0.03, shape={"scale_share": 1.0}),
    "hard to read, on scales": _day("demo", 117, 2.0, dead_tag_share=0.01, shape={"scale_share": 1.0}, **_HARD),
    "small, six deliveries": _day("demo", 121, 3.0, items=550, deliveries=6, delivered_share=0.5, dead_tag_share=0.015),
    "harder to read": _day("demo", 122, 3.0, dead_tag_share=0.012, **_HARDER),
    "exponent 3.1": _day("demo", 123, 3.0, propagation={"exponent": 3.1}),
    "dead tags": _day("demo", 124, 3.0, dead_tag_share=0.025),
    "small, eight deliveries": _day(
        "demo", 125, 2.5, items=700, deliveries=8, delivered_share=0.6, dead_tag_share=0.008
    ),
    "exponent 2.9, dead tags": _day("demo", 126, 3.0, propagation={"exponent": 2.9}, dead_tag_share=0.02),
    "hard, in deep shadows": _day(
        "demo", 127, 3.0, radio={"sensitivity_dbm": -13.0, "link_spread_db": 4.0}, propagation={"shadow_db": 4.5}
    ),
    "small, five deliveries": _day("demo", 128, 3.0, items=450, deliveries=5, delivered_share=0.4, dead_tag_share=0.02),
    "hard, dead tags": _day("demo", 129, 3.0, dead_tag_share=0.03, radio={"sensitivity_dbm": -14.0}),
}
"""To develop and tune on: since version 5 of the state, more of the kinds of day on which version 4 fell short."""

JUDGING: Mapping[str, DayConfig] = {
    "demo": _day("demo", 201, 3.0),
    "another demo": _day("demo", 202, 3.0),
    "dead tags": _day("demo", 203, 3.0, dead_tag_share=0.025),
    "thieves, few EPCs at the till": _day(
        "demo", 210, 3.0, shoppers={"theft_share": 0.05, "conceal_share": 0.05, "epc_till_share": 0.2}
    ),
    "hard to read": _day(
        "demo", 211, 3.0, dead_tag_share=0.015, radio={"sensitivity_dbm": -12.5, "link_spread_db": 4.0}
    ),
    "a bad book": _day(
        "demo",
        212,
        3.0,
        dead_tag_share=0.004,
        shoppers={"till_misscan_share": 0.03},
        staff={"receipt_error_share": 0.3, "short_delivery_share": 0.3, "unbooked_theft_mean": 3.0},
    ),
    "store-24": _day("store-24", 213, 1.5, deliveries=2),
    "hard-24": _day("judging/hard-24", 214, 1.5, mean_read_interval_s=8.0, dead_tag_share=0.02),
    "exponent 3": _day("demo", 215, 3.0, propagation={"exponent": 3.0}),
    "a store of 600": _day("demo", 216, 3.0, items=600, deliveries=6, delivered_share=0.5, dead_tag_share=0.012),
    "all on scales": _day("demo", 217, 3.0, dead_tag_share=0.02, shape={"scale_share": 1.0}),
    "hard to read, on scales": _day(
        "demo",
        218,
        2.0,
        dead_tag_share=0.015,
        shape={"scale_share": 1.0},
        radio={"sensitivity_dbm": -12.5, "link_spread_db": 4.0},
    ),
}
"""To measure, and for nothing else."""

SETS: Mapping[str, Mapping[str, DayConfig]] = {"tuning": TUNING, "judging": JUDGING}
"""Both."""


def open_day(config: DayConfig, folder: Path = DEFAULT_FOLDER) -> tuple[Path, dict[str, pa.Table]]:
    """Return the folder of a day, with `site.toml` and `truth_stock.csv`, and the tables that inventory reads."""
    day = folder / f"{config.scenario.replace('/', '-')}-{config.seed}-{fingerprint(config)}"
    if not (day / "README.md").exists():  # written last
        write_day(config, day, compress=True)
    located = day / f"located-{_code()}"
    if not all((located / f"{name}.parquet").exists() for name in TABLES):
        located.mkdir(exist_ok=True)
        for name, table in derive(day, [LocationStep(), ShelfStep()], TABLES).items():
            pq.write_table(table, located / f"{name}.parquet")
    return day, {name: pq.read_table(located / f"{name}.parquet") for name in TABLES}


def _code() -> str:
    """Return what tells apart the code that locates."""
    steps = REPOSITORY / "analytics" / "steps"
    sources = [*sorted((REPOSITORY / "analytics" / "location").glob("*.py")), steps / "location.py", steps / "shelf.py"]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
