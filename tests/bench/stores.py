"""Scenarios' days, kept on disk: simulated once for each state of the simulator's code, read back afterwards."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.pipeline import SitePipeline
from analytics.step import Step
from analytics.truth import read_truth
from deploy.capture_chunks import capture_chunks
from devices.chunk import Chunk
from devices.site import load_site
from devices.site.model import Site
from simulators.config import DayConfig
from simulators.output import write_day
from tests.shared_data import REPOSITORY

DEFAULT_FOLDER = REPOSITORY / ".cache" / "accuracy"
"""Where days are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A day, as estimators and their judge get it."""

    config: DayConfig
    """What was asked for."""
    site: Site
    """The site."""
    chunks: list[Chunk]
    """Publications, decoded, in edge order."""
    truth: pa.Table
    """Where everything was, in `analytics.truth.TRUTH` form."""


def open_store(config: DayConfig, folder: Path = DEFAULT_FOLDER) -> Store:
    """Return a day, simulated unless it has been before."""
    day = day_folder(config, folder)
    if not (day / "README.md").exists():  # written last
        write_day(config, day, compress=True)
    site = load_site(day / "site.toml")
    return Store(
        config=config,
        site=site,
        chunks=list(capture_chunks(day / "capture.jsonl.gz", [site])),
        truth=read_truth(day / "truth.csv"),
    )


def day_folder(config: DayConfig, folder: Path) -> Path:
    """Return the folder of a day."""
    return folder / f"{config.scenario}-{config.seed}-{fingerprint(config)}"


def fingerprint(config: DayConfig, *more: str) -> str:
    """Return what tells a day's content apart: its configuration, and the code that makes it."""
    folder = REPOSITORY / "simulators"
    sources = sorted([*folder.glob("*.py"), *(folder / "publishers").glob("*.py")])
    code = b"".join(source.read_bytes() for source in sources)
    return hashlib.sha256(code + repr((config, more)).encode()).hexdigest()[:12]


def derive(day: Path, steps: Sequence[Step[Any]], tables: Sequence[str]) -> dict[str, pa.Table]:
    """Run steps over a simulated day's capture; return the tables that are asked for."""
    pipeline = SitePipeline(load_site(day / "site.toml"), steps)
    found: dict[str, list[pa.Table]] = {name: [] for name in tables}
    for chunk in capture_chunks(day / "capture.jsonl.gz", [pipeline.site]):
        outputs = pipeline.process(chunk)
        for name in tables:
            if name in outputs:
                found[name].append(outputs[name])
    return {name: pa.concat_tables(parts) for name, parts in found.items()}
