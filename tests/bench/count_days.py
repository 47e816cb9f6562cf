"""Days on which a handheld counts while the store trades: what differs is what a count must not be fitted to.

Tuning and judging share neither seed nor day. Each is simulated once and run through location once; what the counts
step reads is kept, so that running it again takes seconds (`python -m tests.bench.counting --set tuning`).
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.pipeline import SitePipeline
from analytics.step import Arrived, Outputs
from analytics.steps.location import LocationStep
from deploy.capture_chunks import capture_chunks
from devices.site import load_site
from devices.site.model import Site
from simulators.config import DayConfig, preset
from simulators.faults import DarkReader
from simulators.output import write_day
from simulators.scenarios import scenario_config
from tests.bench.stores import fingerprint
from tests.shared_data import REPOSITORY

DEFAULT_FOLDER = REPOSITORY / ".cache" / "counting"
"""Where days are kept."""
INPUTS = ("reads", "business_events", "locations")
"""What the counts step reads."""
_Changes = Mapping[str, Any]


def _day(base: str, seed: int, hours: float = 1.6, passes: int = 2, **changes: Any) -> DayConfig:
    """Return a store's day; `radio`, `propagation`, `shape`, `shoppers` and `staff` name what changes in them."""
    config = scenario_config(base) if "/" in base else preset(base)
    parts = {
        part: dataclasses.replace(getattr(config, part), **changes.pop(part))
        for part in ("radio", "propagation", "shape", "shoppers", "staff")
        if part in changes
    }
    return dataclasses.replace(config, seed=seed, hours=hours, handheld_passes=passes, **parts, **changes)


_HARD: _Changes = {"radio": {"sensitivity_dbm": -12.0, "link_spread_db": 3.5}}

TUNING: Mapping[str, DayConfig] = {
    "demo": _day("counting", 101, 2.75, 3),
    "thieves, a till without EPCs": _day(
        "counting", 102, shoppers={"theft_share": 0.06, "conceal_share": 0.04, "epc_till_share": 0.0}
    ),
    "hard to read": _day("counting", 111, dead_tag_share=0.01, **_HARD),
    "rarely read": _day("counting", 112, mean_read_interval_s=120.0, dead_tag_share=0.02),
    "store-24": _day("store-24", 113, 1.5, deliveries=2),
    "hard-24": _day("tuning/hard-24", 114, 1.5, mean_read_interval_s=8.0),
    "busy": _day("counting", 115, shoppers={"per_hour": 150.0}),
    "a store of 600, six deliveries": _day("counting", 116, items=600, deliveries=6, delivered_share=0.5),
    "a reader goes dark": _day("counting", 117, faults=(DarkReader(reader="r3", from_s=2700, until_s=3600),)),
    "exponent 3": _day("counting", 118, propagation={"exponent": 3.0}),
}
"""To develop and tune on."""

JUDGING: Mapping[str, DayConfig] = {
    "demo": _day("counting", 201, 2.75, 3),
    "another demo": _day("counting", 202, 2.75, 3),
    "thieves, few EPCs at the till": _day(
        "counting", 210, shoppers={"theft_share": 0.05, "conceal_share": 0.05, "epc_till_share": 0.2}
    ),
    "hard to read": _day(
        "counting", 211, dead_tag_share=0.015, radio={"sensitivity_dbm": -12.5, "link_spread_db": 4.0}
    ),
    "rarely read": _day("counting", 212, mean_read_interval_s=90.0, dead_tag_share=0.01),
    "store-24": _day("store-24", 213, 1.5, deliveries=2),
    "hard-24": _day("judging/hard-24", 214, 1.5, mean_read_interval_s=8.0),
    "busy": _day("counting", 215, shoppers={"per_hour": 120.0}, transfers=3),
    "a store of 700, six deliveries": _day("counting", 216, items=700, deliveries=6, delivered_share=0.4),
    "two readers go dark": _day(
        "counting",
        217,
        faults=(DarkReader(reader="r2", from_s=2400, until_s=3300), DarkReader(reader="r4", from_s=4600, until_s=5400)),
    ),
}
"""To measure, and for nothing else."""

SETS: Mapping[str, Mapping[str, DayConfig]] = {"tuning": TUNING, "judging": JUDGING}
"""Both."""


class _Keep:
    """A step that keeps what the counts step reads, and hands nothing on."""

    name = "keep"

    def __init__(self) -> None:
        self.kept: dict[str, list[pa.Table]] = {name: [] for name in INPUTS}

    def initial(self, site: Site) -> None:
        """Return nothing."""

    def step(self, state: None, arrived: Arrived, site: Site) -> tuple[None, Outputs]:  # noqa: ARG002 - a step's
        """Keep a chunk's rows, those of streams with their effective times."""
        for name in ("reads", "business_events"):
            batch = arrived.batches.get(name)
            if batch is not None and batch.num_rows:
                times = pa.array(arrived.effective_us[name])
                self.kept[name].append(pa.table(batch).append_column("effective_us", times))
        if "locations" in arrived.derived:
            self.kept["locations"].append(arrived.derived["locations"])
        return None, {}

    def dump(self, state: None) -> bytes:  # noqa: ARG002 - a step's
        """Return nothing."""
        return b""

    def load(self, blob: bytes, site: Site) -> None:
        """Return nothing."""


def open_day(config: DayConfig, folder: Path = DEFAULT_FOLDER) -> tuple[Path, dict[str, pa.Table]]:
    """Return the folder of a day, with `site.toml` and `truth.csv`, and the tables that the counts step reads."""
    day = folder / f"{config.scenario.replace('/', '-')}-{config.seed}-{fingerprint(config)}"
    if not (day / "README.md").exists():  # written last
        write_day(config, day, compress=True)
    located = day / f"located-{_code()}"
    if not all((located / f"{name}.parquet").exists() for name in INPUTS):
        located.mkdir(exist_ok=True)
        for name, table in _inputs(day).items():
            pq.write_table(table, located / f"{name}.parquet")
    return day, {name: pq.read_table(located / f"{name}.parquet") for name in INPUTS}


def _inputs(day: Path) -> dict[str, pa.Table]:
    keep = _Keep()
    pipeline = SitePipeline(load_site(day / "site.toml"), [LocationStep(), keep])
    for chunk in capture_chunks(day / "capture.jsonl.gz", [pipeline.site]):
        pipeline.process(chunk)
    return {name: pa.concat_tables(parts) for name, parts in keep.kept.items()}


def _code() -> str:
    """Return what tells apart the code that locates."""
    sources = [
        *sorted((REPOSITORY / "analytics" / "location").glob("*.py")),
        REPOSITORY / "analytics" / "steps" / "location.py",
    ]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
