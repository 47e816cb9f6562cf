"""Writing a simulated day to a folder: site file, capture, truth, and what the faults did.

| file | content |
|---|---|
| `site.toml` | the site, as `tagtide site check` reads it |
| `capture.jsonl`, or with `.gz` | every publication in order of arrival, as `mosquitto_sub -F %j` prints them |
| `truth.csv` | `epc_hex,zone,x,y,from_us,until_us` for every readable item; an empty zone is off site |
| `truth_untagged.csv` | the same for items that are never read: `item,gtin,reason` instead of `epc_hex` |
| `truth_aggregations.csv` | `parent_epc_hex,child_epc_hex,from_us,until_us`, only of packed deliveries |
| `truth_stock.csv` | `gtin,at_us,on_site,book`: true units and book stock, every quarter of an hour |
| `faults.jsonl` | a line for each fault with its count, then one for each repeated or garbled publication |
| `README.md` | the configuration, and how to have the same day again |
"""

import csv
import dataclasses
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from devices.capture_line import format_line
from simulators.cartons import readable_containments
from simulators.config import DayConfig
from simulators.day import StoreDay
from simulators.site_toml import site_toml
from simulators.truth import OFF_SITE

STOCK_INTERVAL_US = 15 * 60 * 1_000_000
"""How often `truth_stock.csv` has the true and the book stock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayProgress:
    """How far the writing of a day has come."""

    share: float
    """Of the day, 0 to 1."""
    now_us: int
    """Virtual time."""
    publications: int
    """Publications so far."""
    reads: int
    """Reads on the air so far."""


def write_day(
    config: DayConfig,
    directory: Path | str,
    *,
    compress: bool = False,
    progress: Callable[[DayProgress], None] | None = None,
) -> StoreDay:
    """Simulate a day and write it to a folder.

    Args:
        config: The day.
        directory: Folder; made if it is not there. Files of an earlier day in it are replaced.
        compress: Whether the capture is gzipped.
        progress: Called now and then with how far it is.

    Returns:
        The day, run to its end.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    clear_truth(folder)
    day = StoreDay(config)
    (folder / "site.toml").write_text(
        site_toml(day.site, comment=f"Simulated store, scenario {config.scenario}, seed {config.seed}"), "utf-8"
    )
    publications = 0
    (folder / ("capture.jsonl" if compress else "capture.jsonl.gz")).unlink(missing_ok=True)
    with _capture_file(folder, compress=compress) as capture:
        for batch in day.slices():
            capture.write(b"".join(map(format_line, batch)))
            publications += len(batch)
            if progress is not None:
                share = (day.now_us - config.start_us) / (config.end_us - config.start_us)
                progress(DayProgress(share=share, now_us=day.now_us, publications=publications, reads=day.reads))
    _write_truth(day, folder)
    _write_aggregations(day, folder / "truth_aggregations.csv")
    _write_stock(day, folder / "truth_stock.csv")
    with (folder / "faults.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in day.fault_records())
    (folder / "README.md").write_text(_readme(day, publications), "utf-8")
    return day


def clear_truth(folder: Path) -> None:
    """Remove what an earlier day has left about its truth: not every day writes every file."""
    for path in folder.glob("truth*.csv"):
        path.unlink()


@contextmanager
def _capture_file(folder: Path, *, compress: bool) -> Iterator[BinaryIO]:
    if not compress:
        with (folder / "capture.jsonl").open("wb", buffering=2**20) as plain:
            yield plain
        return
    # Without a name and a time in its header, so that the same day gives the same file.
    with (
        (folder / "capture.jsonl.gz").open("wb", buffering=2**20) as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=3) as packed,
    ):
        yield cast("BinaryIO", packed)


def _write_truth(day: StoreDay, folder: Path) -> None:
    products, zones = day.plan.products, day.site.zones
    with (
        (folder / "truth.csv").open("w", encoding="utf-8", newline="") as readable_stream,
        (folder / "truth_untagged.csv").open("w", encoding="utf-8", newline="") as silent_stream,
    ):
        readable, silent = csv.writer(readable_stream), csv.writer(silent_stream)
        readable.writerow(["epc_hex", "zone", "x", "y", "from_us", "until_us"])
        silent.writerow(["item", "gtin", "reason", "zone", "x", "y", "from_us", "until_us"])
        for item in range(day.goods.count):
            product = products[day.world.product[item]]
            reason = "dead_tag" if product.tagged else "untagged"
            can_be_read = bool(day.goods.readable[item])
            head = [day.goods.epc_hex[item]] if can_be_read else [day.goods.key(item), product.gtin, reason]
            writer = readable if can_be_read else silent
            for stay in day.world.truth.stays(item, day.config.end_us):
                on_site = stay.zone != OFF_SITE
                place = [zones[stay.zone].id, f"{stay.x:.2f}", f"{stay.y:.2f}"] if on_site else ["", "", ""]
                writer.writerow([*head, *place, stay.from_us, stay.until_us])


def _write_aggregations(day: StoreDay, path: Path) -> None:
    if day.config.packing.carton_units:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["parent_epc_hex", "child_epc_hex", "from_us", "until_us"])
            writer.writerows(readable_containments(day.world, day.config.end_us))


def _write_stock(day: StoreDay, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["gtin", "at_us", "on_site", "book"])
        times = [*range(day.config.start_us, day.config.end_us, STOCK_INTERVAL_US), day.config.end_us - 1]
        for at_us in times:
            book = day.book(at_us)
            for gtin, count in day.truth_counts(at_us).items():
                writer.writerow([gtin, at_us, count, book[gtin]])


def _readme(day: StoreDay, publications: int) -> str:
    config = day.config
    settings = "\n".join(
        f"- {field.name}: {getattr(config, field.name)}"
        for field in dataclasses.fields(config)
        if field.name not in {"scenario", "seed"}
    )
    return (
        f"# Simulated day: scenario {config.scenario}, seed {config.seed}\n\n"
        f"{publications:,} publications, {day.reads:,} reads on the air, {day.goods.count:,} items, "
        f"{day.world.truth.rows:,} rows of truth. The same version of Tagtide with the same settings writes the same "
        f"bytes.\n\nEvery setting:\n\n{settings}\n"
    )
