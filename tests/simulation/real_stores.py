"""The jobs on real stores - SQLite edge log and journal, Delta lake - in a directory that crashes: one seed, one run.

A crash is the directory as it is at that instant, copied: what a killed process leaves. It comes before or after any
durable step, or inside one of SQLite's: then the write-ahead log ends anywhere within that commit. Beside the lake's
tables a killed writer leaves Parquet files that no commit names. Everything goes on from the copy.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from analytics.journal import EpochPlan, Journal
from analytics.lake import Lake
from analytics.pipeline import SitePipeline
from analytics.runner import Runner
from analytics.runner_parts import RunnerConfig
from devices.bulk import decode_publications
from devices.publication import Publication
from ingest.edge_log import FILE_NAME, EdgeLog
from ingest.edge_source import EdgeLogSource
from tests.simulation.faults import Crash
from tests.simulation.judge import BrokenPromiseError
from tests.simulation.pipeline_world import DIRECTORY, SITES

_TABLES = ("reads", "rejects", "device_events")
_JOURNAL = Path("jobs") / "journal.db"


class RealStores:
    """A data directory, and what is done in it until it holds everything."""

    def __init__(self, seed: int, directory: Path) -> None:
        """Draw a run."""
        self.generator = random.Random(seed)
        self.crashes: Counter[str] = Counter()
        """Crashes by where they struck."""
        self._root = directory
        self._data = directory / "0"
        self._crash_rate = self.generator.choice((0.1, 0.25, 0.5))
        self._stored: list[Publication] = []
        self._unstored = [_publication(number, self.generator) for number in range(self.generator.randint(20, 60))]

    def run(self) -> None:
        """Store and land everything, crashing now and then, and compare the lake with an undisturbed run.

        Raises:
            BrokenPromiseError: They differ.
        """
        while not self._attempt():
            copy = self._root / str(sum(self.crashes.values()))
            assert copy.is_dir(), "a crash leaves a copy"
            self._data = copy
        self._check()

    def crash_at(self, where: str, *, inside: Path | None = None, size_before: int = 0) -> None:
        """Crash, perhaps.

        Args:
            where: Between which steps.
            inside: SQLite file whose last commit reached the disk in part.
            size_before: Bytes of its write-ahead log before that commit.
        """
        if sum(self.crashes.values()) >= 12 or self.generator.random() >= self._crash_rate:
            return
        self.crashes[where] += 1
        copy = self._root / str(sum(self.crashes.values()))
        shutil.copytree(self._data, copy, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
        if inside is not None:
            wal = copy / inside.parent / f"{inside.name}-wal"
            with wal.open("r+b") as file:
                file.truncate(self.generator.randint(min(size_before, wal.stat().st_size), wal.stat().st_size))
        for parquet in list((copy / "lake").rglob("*.parquet"))[:1]:  # one more that no commit names, cut short
            orphan = parquet.with_name(f"part-{self.generator.randrange(2**32):08x}.parquet")
            orphan.write_bytes(parquet.read_bytes()[: self.generator.randint(0, 400)])
        raise Crash

    def _attempt(self) -> bool:
        """Go on until a crash or the end; return whether it was the end."""
        closing: list[Any] = []
        try:
            log = EdgeLog.open(self._data / "edge")
            closing.append(log)
            self._count_stored(log)
            log.begin_run(10**6 * (1 + sum(self.crashes.values())))
            lake = _CrashingLake(self, self._data / "lake")
            while self._unstored:
                self._store(log)
                self._land(lake, closing, polls=self.generator.randint(1, 4))
            self._land(lake, closing, polls=10)
        except Crash:
            return False
        finally:
            for each in closing:
                each.close()
        return True

    def _count_stored(self, log: EdgeLog) -> None:
        """A crash inside a commit leaves it whole or not at all: whatever is not in the log is stored again."""
        found = {row.publication.payload for row in log.read(0, 10**6, 10**9)}
        self._unstored = [each for each in [*self._stored, *self._unstored] if each.payload not in found]
        self._stored = [each for each in self._stored if each.payload in found]

    def _store(self, log: EdgeLog) -> None:
        batch = self._unstored[: self.generator.randint(1, 12)]
        wal = Path(f"{log.path}-wal")
        size = wal.stat().st_size if wal.exists() else 0
        log.append(batch)
        self._stored += batch
        del self._unstored[: len(batch)]
        self.crash_at("inside an append", inside=Path("edge") / FILE_NAME, size_before=size)

    def _land(self, lake: "_CrashingLake", closing: list[Any], *, polls: int) -> None:
        journal = _CrashingJournal(self, self._data / _JOURNAL)
        source = EdgeLogSource(EdgeLog.open(self._data / "edge"), DIRECTORY, sleep=lambda _: None, monotonic=_clock())
        runner = Runner(
            source=source,
            sites=SITES,
            lake=lake,
            journal=journal,
            config=RunnerConfig(
                epoch_interval_s=0.5,
                epoch_rows_limit=self.generator.choice((3, 10, 1000)),
                checkpoint_interval_s=self.generator.choice((0.0, 1000.0)),
            ),
            monotonic=_clock(),
            open_pipeline=lambda site: SitePipeline(site, []),
        )
        closing.append(runner)
        calls = iter(range(10**6))
        runner.run(lambda: next(calls) >= 3 * polls)
        runner.close()
        closing.remove(runner)

    def _check(self) -> None:
        log = EdgeLog.open(self._data / "edge")
        rows = log.read(0, 10**6, 10**9)
        chunks = decode_publications(rows, edge_id=log.edge_id, directory=DIRECTORY)
        log.close()
        pipelines = {site.id: SitePipeline(site, []) for site in SITES}
        expected: dict[str, Counter[str]] = {name: Counter() for name in _TABLES}
        for chunk in chunks:
            assert chunk.site is not None, "every topic of this run is some site's"
            for name, table in pipelines[chunk.site].process(chunk).items():
                if name in expected:
                    expected[name].update(_lines(table.to_pylist()))
        for name in _TABLES:
            landed = DeltaTable(str(self._data / "lake" / name)).to_pyarrow_table().drop_columns(["date"])
            found = Counter(_lines(landed.to_pylist()))
            if found != expected[name]:
                wrong = next(iter((found - expected[name]) + (expected[name] - found)))
                raise BrokenPromiseError("the lake equals that of an undisturbed run", f"{name}: {wrong}")


class _CrashingJournal(Journal):
    def __init__(self, stores: RealStores, path: Path) -> None:
        super().__init__(path)
        self._stores = stores
        self._wal = Path(f"{path}-wal")

    def plan(self, plan: EpochPlan) -> None:
        self._inside("a plan", lambda: super(_CrashingJournal, self).plan(plan))

    def checkpoint(self, epoch: int, states: Mapping[str, bytes]) -> None:
        self._inside("a checkpoint", lambda: super(_CrashingJournal, self).checkpoint(epoch, states))

    def _inside(self, what: str, write: Callable[[], None]) -> None:
        size = self._wal.stat().st_size if self._wal.exists() else 0
        write()
        self._stores.crash_at(f"inside {what}", inside=_JOURNAL, size_before=size)


class _CrashingLake(Lake):
    def __init__(self, stores: RealStores, directory: Path) -> None:
        super().__init__(directory, writer="jobs")
        self._stores = stores

    def _commit_table(self, name: str, epoch: int, rows: pa.Table) -> int:
        self._stores.crash_at("before a lake commit")
        landed = super()._commit_table(name, epoch, rows)
        self._stores.crash_at("after a lake commit")
        return landed


def _publication(number: int, generator: random.Random) -> Publication:
    device = generator.choice(("r1", "r2", "r3"))
    at_us = 1_795_000_000_000_000 + 1_000_000 * number
    epc = f"30{number:022x}"
    payload = b'{"epc": "%s", "antenna": 1, "time_us": %d}' % (epc.encode(), at_us)
    return Publication(
        topic=device, payload=payload if number % 7 else b"nonsense %d" % number, received_us=at_us + 1_000
    )


def _clock() -> Callable[[], float]:
    ticks = iter(range(10**9))
    return lambda: 0.1 * next(ticks)


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [repr(sorted((key, str(value)) for key, value in row.items())) for row in rows]
