"""`make bench`: reads/s and publications/s from the broker to committed Parquet, embedded and over Kafka.

Real Mosquitto, real Kafka, the product's own processes, all on this machine, publisher included. A workload is warmed
up first (kernels compiled, connections made); its time runs from the first PUBLISH until the last read is committed.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from rich.console import Console
from rich.table import Table

from deploy.local_kafka import LocalKafka
from deploy.local_mqtt import BrokerKind, LocalBroker
from tests.bench.publisher import publish_all
from tests.bench.workloads import Workload, publications, site_toml
from tests.integration.processes import Tagtide

WORKLOADS = {
    "embedded-50": Workload(name="embedded-50", publications=40_000, reads_a_publication=50),
    "embedded-1": Workload(name="embedded-1", publications=200_000, reads_a_publication=1),
    "kafka-50": Workload(name="kafka-50", publications=40_000, reads_a_publication=50),
    "kafka-1": Workload(name="kafka-1", publications=200_000, reads_a_publication=1),
}
DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of a workload."""

    seconds: float
    peak_mb: dict[str, float]
    lake_bytes: int


def main() -> None:
    """Run the workloads that were asked for and print one table."""
    parser = argparse.ArgumentParser(prog="make bench BENCH=...", description=__doc__)
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the publications of every workload")
    options = parser.parse_args()
    table = Table(title=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; medians")
    for column in ("workload", "reads/s", "publications/s", "min..max reads/s", "peak MB", "lake bytes/read"):
        table.add_column(column, justify="left" if column in {"workload", "peak MB"} else "right")
    for name in options.workloads:
        workload = WORKLOADS[name]
        workload = replace(workload, publications=round(workload.publications * options.scale))
        runs = [_run(workload) for _ in range(options.rounds)]
        rates = sorted(workload.reads / run.seconds for run in runs)
        reads_per_s = statistics.median(rates)
        peaks = {part: max(run.peak_mb[part] for run in runs) for part in runs[0].peak_mb}
        table.add_row(
            name,
            f"{reads_per_s:,.0f}",
            f"{reads_per_s / workload.reads_a_publication:,.0f}",
            f"{rates[0]:,.0f}..{rates[-1]:,.0f}",
            ", ".join(f"{part} {peak:,.0f}" for part, peak in peaks.items()),
            f"{runs[0].lake_bytes / workload.reads:.1f}",
        )
        sys.stderr.write(f"{name}: {[round(rate) for rate in rates]} reads/s\n")
    Console(width=140).print(table)


def _run(workload: Workload) -> Measured:
    with tempfile.TemporaryDirectory(prefix="tagtide-bench-") as folder, ExitStack() as stack:
        root = Path(folder)
        site = root / "site.toml"
        site.write_text(site_toml(workload.reads_a_publication))
        broker = stack.enter_context(LocalBroker(root / "mosquitto", BrokerKind.MOSQUITTO))
        arguments: list[str | Path] = ["up", "--site", site, "--data", root / "data", "--mqtt", broker.url]
        if workload.name.startswith("kafka"):
            kafka = stack.enter_context(LocalKafka(root / "kafka"))
            arguments += ["--kafka", kafka.bootstrap_servers, "--drain-mb-s", "0"]
        up = stack.enter_context(Tagtide(*arguments, log=root / "up.log"))
        _until(lambda: "connected to" in up.told(), up)
        warm = replace(workload, publications=max(100, 5_000 // workload.reads_a_publication))
        publish_all(broker.port, list(publications(warm, seed=2)))
        _until(lambda: _landed(root) == warm.reads, up)
        sent = list(publications(workload, first=warm.publications))
        watch = stack.enter_context(_MemoryWatch())
        began = time.perf_counter()
        publish_all(broker.port, sent)
        _until(lambda: _landed(root) == warm.reads + workload.reads, up)
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in (root / "data" / "lake" / "reads").rglob("*.parquet"))
        return Measured(seconds=seconds, peak_mb=watch.peak_mb, lake_bytes=size)


def _landed(root: Path) -> int:
    try:
        actions = DeltaTable(str(root / "data" / "lake" / "reads")).get_add_actions(flatten=True)
    except TableNotFoundError:
        return 0
    return sum(int(count) for count in actions["num_records"].to_pylist())


def _until(condition: Callable[[], bool], up: Tagtide) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {DEADLINE_S:g} s:\n{up.told()[-3000:]}")
        time.sleep(0.05)


class _MemoryWatch:
    """Highest resident memory of our own processes, sampled ten times a second, from Linux's /proc."""

    def __init__(self) -> None:
        self.peak_mb: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            for part, kilobytes in _resident_kb():
                self.peak_mb[part] = max(self.peak_mb.get(part, 0.0), kilobytes / 1024)


def _resident_kb() -> Iterator[tuple[str, int]]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"deploy.cli" in command:
                part = command[command.index(b"deploy.cli") + 1].decode()
                resident = next(line for line in (process / "status").read_text().splitlines() if "VmRSS" in line)
                yield part, int(resident.split()[1])
        except (OSError, StopIteration):
            continue


if __name__ == "__main__":
    main()
