"""`make soak`: a real Mosquitto and the product's own processes under a steady load for a long time.

Items come, move and are sold; some publications are sent twice and some cannot be decoded. Every few seconds it looks
at memory, descriptors, threads and everything that is kept on disk. In the end what was sent is compared with the
lake, and the curves are judged. Exit code 1 where anything was lost or landed twice, or did not stay within bounds.
"""

import argparse
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.table import Table

from analytics.data_directory import DataDirectory
from deploy.local_kafka import LocalKafka
from deploy.local_mqtt import BrokerKind, LocalBroker
from tests.integration.processes import Tagtide
from tests.soak.compare import Compared, compare, landed_reads, repeats_told
from tests.soak.curve import svg, write_csv
from tests.soak.publisher import PacedPublisher
from tests.soak.samples import Sample, sample
from tests.soak.store import READS_A_PUBLICATION, Sent, SoakStore, site_toml
from tests.soak.verdict import Finding, judge

SAMPLE_EVERY_S = 10.0
EDGE_LOG_HOURS = 0.2
"""Twelve minutes: an edge log that is trimmed can be seen within the hour. The default is a day."""
LANDED_WITHIN_S = 1_800.0
"""On a machine that others keep busy the jobs may be minutes behind at the end: that is told, and is no loss."""


def main() -> int:
    """Run one soak and print its verdict."""
    parser = argparse.ArgumentParser(prog="make soak SOAK=...", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=5000, help="reads per second, 50 a publication")
    parser.add_argument("--way", choices=["embedded", "kafka"], default="embedded")
    parser.add_argument("--folder", type=Path, help="where everything is kept; a temporary folder where not given")
    parser.add_argument("--warm-up-minutes", type=float, help="left out of slopes; a sixth of the run by default")
    options = parser.parse_args()
    warm_up_s = 60 * (options.minutes / 6 if options.warm_up_minutes is None else options.warm_up_minutes)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagtide-soak-")))
        folder.mkdir(parents=True, exist_ok=True)
        soak = _Soak(root=folder, seconds=round(60 * options.minutes), rate=options.rate, way=options.way)
        soak.run()
        compared = compare(soak.data.root, soak.sent)
        findings = judge(soak.samples, warm_up_s=warm_up_s, ceilings=soak.ceilings())
        write_csv(folder / "samples.csv", soak.samples)
        (folder / "memory.svg").write_text(svg(soak.samples, "_rss_mb", f"resident memory, MB ({options.way})"))
        report(soak, compared, findings)
        return int(any(each.lost or each.more for each in compared) or not all(each.holds for each in findings))


@dataclass(slots=True, kw_only=True)
class _Soak:
    root: Path
    seconds: int
    rate: int
    way: str
    samples: list[Sample] = field(default_factory=list)
    sent: Sent = field(default_factory=Sent)
    published_in_s: float = 0.0
    landed_in_s: float = 0.0

    @property
    def data(self) -> DataDirectory:
        return DataDirectory(self.root / "data")

    def ceilings(self) -> dict[str, float]:
        """Return what may be kept at most, with some room for when trimming happens."""
        return {
            "edge_log_age_s": 3600 * EDGE_LOG_HOURS + 60,
            "edge_backlog_rows": 60 * (self.rate / READS_A_PUBLICATION + 5),
            "edge_wal_mb": 128,
            "journal_epochs": 90,
            "checkpoint_states": 1,
            "delta_log_files_of_a_table": 1_200,
            "lake_files": 40_000,
        }

    def run(self) -> None:
        site = self.root / "site.toml"
        site.write_text(site_toml())
        with ExitStack() as stack:
            broker = stack.enter_context(LocalBroker(self.root / "mosquitto", BrokerKind.MOSQUITTO))
            common: list[str | Path] = ["--site", site, "--data", self.data.root]
            edge = [*common, "--mqtt", broker.url, "--edge-log-hours", str(EDGE_LOG_HOURS)]
            logs = [self.root / "edge.log"]
            if self.way == "kafka":
                kafka = stack.enter_context(LocalKafka(self.root / "kafka"))
                servers = ["--kafka", kafka.bootstrap_servers]
                stack.enter_context(Tagtide("bridge", *edge, *servers, log=logs[0]))
                logs.append(self.root / "jobs.log")
                stack.enter_context(Tagtide("jobs", *common, *servers, log=logs[1]))
            else:
                stack.enter_context(Tagtide("up", *edge, log=logs[0]))
            self._until(lambda: "connected to" in logs[0].read_text(errors="replace"), logs)
            self._publish(broker)
            began = time.monotonic()
            self._until(lambda: landed_reads(self.data.root) >= sum(self.sent.reads), logs)
            self.landed_in_s = time.monotonic() - began
            time.sleep(3)  # readings and business events of the same second are landed, too

    def _publish(self, broker: LocalBroker) -> None:
        store, publisher = SoakStore(), PacedPublisher(broker.port)
        began = time.monotonic()
        with _Sampling(lambda: sample(time.monotonic() - began, os.getpid(), self.data, {}), self.samples, self.root):
            for second in range(self.seconds):
                at = began + second
                publisher.second(list(store.second(time.time_ns() // 1000, self.rate)), at)
                if second % 60 == 59:
                    behind = time.monotonic() - at - 1
                    sys.stderr.write(
                        f"minute {second // 60 + 1}: {sum(store.sent.reads):,} reads, {_now(self.samples)}"
                    )
                    sys.stderr.write(f"; publisher {behind:.1f} s behind\n" if behind > 1 else "\n")
        publisher.finish()
        self.published_in_s = time.monotonic() - began
        self.sent = store.sent

    def _until(self, condition: Callable[[], bool], logs: list[Path]) -> None:
        deadline = time.monotonic() + LANDED_WITHIN_S
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit("\n".join(log.read_text(errors="replace")[-3000:] for log in logs))
            time.sleep(0.5)


class _Sampling:
    """Samples in a thread; each is written at once, so that a run that is cut short has left its curve."""

    def __init__(self, look: Callable[[], Sample], samples: list[Sample], root: Path) -> None:
        self._look = look
        self._samples = samples
        self._path = root / "samples-so-far.csv"
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, name="soak-samples")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - raised again where the samples are used
            self._failure = error

    def _run(self) -> None:
        while not self._stop.is_set():
            self._samples.append(self._look())
            if len(self._samples) % 6 == 0:
                write_csv(self._path, self._samples)
            self._stop.wait(SAMPLE_EVERY_S)


def _now(samples: list[Sample]) -> str:
    values: Mapping[str, float] = samples[-1].values if samples else {}
    shown = [f"{name.removesuffix('_rss_mb')} {values[name]:.0f} MB" for name in values if name.endswith("_rss_mb")]
    shown += [
        f"{name} {values[name]:,.0f}" for name in ("edge_log_mb", "lake_files", "delta_log_files") if name in values
    ]
    return ", ".join(shown)


def report(soak: _Soak, compared: list[Compared], findings: list[Finding]) -> None:
    """Print what was compared and judged."""
    console = Console(width=150)
    reads = sum(soak.sent.reads)
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {soak.way};"
        f" {soak.published_in_s / 60:.1f} minutes, {reads / soak.published_in_s:,.0f} reads/s;"
        f" all landed {soak.landed_in_s:.1f} s"
        f" after the last PUBLISH; {repeats_told(soak.data.root):,} of {soak.sent.repeated_reads:,} repeats told"
    )
    sent = Table("kind", "sent", "lost", "more than sent")
    for each in compared:
        sent.add_row(each.kind, f"{each.sent:,}", f"{each.lost:,}", f"{each.more:,}")
    console.print(sent)
    judged = Table("value", "measured", "bound", "")
    for finding in findings:
        judged.add_row(finding.name, finding.measured, finding.bound, "holds" if finding.holds else "BROKEN")
    console.print(judged)
    minutes = Table("minute", *(name for name in _TOLD))
    step = max(1, len(soak.samples) // 12)
    for each_sample in soak.samples[::step]:
        cells = [f"{each_sample.values[name]:,.0f}" if name in each_sample.values else "" for name in _TOLD]
        minutes.add_row(f"{each_sample.at_s / 60:.0f}", *cells)
    console.print(minutes)


_TOLD = (
    "bridge_rss_mb",
    "forward_rss_mb",
    "jobs_rss_mb",
    "bridge_fds",
    "jobs_fds",
    "edge_log_mb",
    "edge_log_rows",
    "checkpoint_mb",
    "journal_mb",
    "lake_files",
    "lake_mb",
    "delta_log_files",
    "disk_free_mb",
)


if __name__ == "__main__":
    sys.exit(main())
