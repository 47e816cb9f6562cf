"""Our own jobs, run over a capture's chunks as the runners do: what comes out is compared with the truth."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.evaluation.sensitivity import Turned
from analytics.evaluation.waits import all_waited, with_wait
from analytics.pipeline import default_steps
from analytics.schemas import TABLES
from analytics.step import Step
from analytics.steps.arrival import ArrivalStep
from devices.chunk import Chunk, ClockMark
from devices.schemas import READS
from devices.site.model import Site

READ_COLUMNS = (
    "epc_hex",
    "reader",
    "antenna",
    "event_time",
    "received_time",
    "rssi_dbm",
    "late",
    "edge_offset",
)
"""What estimators get to see of a read."""
AFTERWARDS_S = 2.0
"""How long time goes on behind the last row and the allowed lateness: what waits for the watermark comes out."""
GATES_AFTERWARDS_S = 300.0
"""The same where passages are asked for: what stands at a gate at the end has gone by then."""

_JOBS: Mapping[str, frozenset[str]] = {
    "locations": frozenset({"location"}),
    "aggregations": frozenset({"location", "aggregation"}),
    "passages": frozenset({"gate"}),
    "counts": frozenset({"location", "counts"}),
    "counted": frozenset({"location", "counts"}),
    "inventory": frozenset({"location", "shelf", "gate", "counts", "inventory"}),
}
"""The jobs that each table comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came out of running our jobs over a capture."""

    reads: pa.Table
    """Corrected reads without repeats, in the order received: what baselines are run on."""
    tables: Mapping[str, pa.Table]
    """The tables that were asked for, rows in the order in which they came out; those of `locations` with their
    waits."""
    turned: Mapping[float, pa.Table] = field(default_factory=dict)
    """Rows of `locations` at other sensitivities to moves, by sensitivity, where that was asked for."""
    location_s: float | None = None
    """How long arrival and location took, where a clock was given."""


def run_jobs(
    site: Site,
    chunks: Iterable[Chunk],
    tables: Collection[str] = ("locations",),
    *,
    sensitivities: Iterable[float] = (),
    clock: Callable[[], float] | None = None,
) -> Run:
    """Run the arrival step and the jobs behind some tables over chunks.

    Args:
        site: The site.
        chunks: Decoded publications in edge order; those of other sites are passed over.
        tables: Which tables are wanted, of those that location, gates, aggregations, counts and inventory write.
        sensitivities: Further sensitivities to moves at which location is run beside the site's own.
        clock: Seconds of a steady clock, for the duration.
    """
    tell = clock or (lambda: 0.0)
    arrival, jobs = ArrivalStep(), _jobs(tables)
    arrival_state, states = arrival.initial(site), [job.initial(site) for job in jobs]
    turned, reads = Turned(site, sensitivities), _ReadsAside()
    rows: dict[str, list[pa.Table]] = {name: [] for name in tables}
    location_s = 0.0
    for chunk in with_end(site, chunks, GATES_AFTERWARDS_S if "passages" in tables else AFTERWARDS_S):
        began = tell()
        arrival_state, arrived = arrival.step(arrival_state, chunk, site)
        location_s += tell() - began
        if "reads" in arrived.batches:
            reads.add(arrived.batches["reads"].select(list(READ_COLUMNS)))
        turned.take(arrived)
        derived = dict(arrived.derived)
        for place, job in enumerate(jobs):
            began = tell()
            states[place], outputs = job.step(states[place], replace(arrived, derived=derived), site)
            location_s += tell() - began if job.name == "location" else 0.0
            for name, table in outputs.items():
                derived[name] = pa.concat_tables([derived[name], table]) if name in derived else table
                if name in rows:
                    rows[name].append(with_wait(table, arrived) if name == "locations" else table)
    return Run(
        reads=reads.table(),
        tables={
            name: all_waited(parts) if name == "locations" else pa.concat_tables([TABLES[name].empty_table(), *parts])
            for name, parts in rows.items()
        },
        turned=turned.locations(),
        location_s=location_s if clock else None,
    )


def _jobs(tables: Collection[str]) -> list[Step[Any]]:
    """Return the jobs behind some tables, in the product's order."""
    wanted = frozenset[str]().union(*(_JOBS[name] for name in tables))
    return [step for step in default_steps() if step.name in wanted]


class _ReadsAside:
    """Reads set aside in a file that is mapped into memory: the system may take its pages back, a table's it cannot."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="tagtide-reads-", suffix=".arrow")  # noqa: SIM115  # see table
        self._writer = pa.ipc.new_stream(self._file, READS.empty_table().select(list(READ_COLUMNS)).schema)

    def add(self, reads: pa.RecordBatch) -> None:
        """Set reads aside."""
        self._writer.write_batch(reads)

    def table(self) -> pa.Table:
        """Return everything that was set aside; the file is gone when the table is."""
        self._writer.close()
        self._file.flush()
        with pa.memory_map(self._file.name) as source:
            table = pa.ipc.open_stream(source).read_all()
        self._file.close()
        return table


def with_end(site: Site, chunks: Iterable[Chunk], afterwards_s: float = AFTERWARDS_S) -> Iterator[Chunk]:
    """Hand on a site's chunks, and let time go on behind the last row."""
    last: Chunk | None = None
    received_us = 0
    for chunk in chunks:
        if chunk.site != site.id:
            continue
        last = chunk
        times = [pc.max(batch["received_time"]).cast(pa.int64()).as_py() for batch in chunk.batches.values()]
        received_us = max(
            received_us, *(time for time in times if time is not None), *(mark.received_us for mark in chunk.clock), 0
        )
        yield chunk
    if last is not None:
        offset = last.last_offset + 1
        end_us = received_us + round((site.allowed_lateness_s + afterwards_s) * 1e6)
        yield Chunk(
            site=site.id,
            edge_id=last.edge_id,
            first_offset=offset,
            last_offset=offset,
            batches={},
            clock=(ClockMark(edge_offset=offset, received_us=end_us),),
        )
