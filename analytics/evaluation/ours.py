"""Our own location, run over a capture's chunks, in the form in which it is compared.

Two readings of the same rows are compared, since both are asked for:

- *as said*: what somebody watching would have been told, from the moment it was told. A stay begins when its row came
  out and lasts until a row took it back, however far back either row dates the change. The moment is the row's
  `as_of_time` plus the site's allowed lateness, for which the watermark waits.
- *in hindsight*: what the table says afterwards: the last revision of each stay, from `from_time` to `until_time`.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.evaluation.sensitivity import Turned
from analytics.schemas import LOCATIONS
from analytics.stays import STAYS
from analytics.steps.arrival import ArrivalStep
from analytics.steps.location import LocationStep
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
FOREVER_US = 2**62
"""End of what has not ended; later than any window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationRun:
    """What came out of running arrival and location over a capture."""

    reads: pa.Table
    """Corrected reads without repeats, in the order received: what baselines are run on."""
    locations: pa.Table
    """Rows of the `locations` table, in the order they came out."""
    turned: Mapping[float, pa.Table] = field(default_factory=dict)
    """The same at other sensitivities to moves, by sensitivity, where that was asked for."""


def run_location(site: Site, chunks: Iterable[Chunk], *, sensitivities: Iterable[float] = ()) -> LocationRun:
    """Run the arrival and the location step over chunks, as the runners do.

    Args:
        site: The site.
        chunks: Decoded publications in edge order; those of other sites are passed over.
        sensitivities: Further sensitivities to moves at which location is run beside the site's own.
    """
    turned = Turned(site, sensitivities)
    arrival, location = ArrivalStep(), LocationStep()
    arrival_state, location_state = arrival.initial(site), location.initial(site)
    reads = _ReadsAside()
    rows: list[pa.Table] = []
    for chunk in with_end(site, chunks):
        arrival_state, arrived = arrival.step(arrival_state, chunk, site)
        if "reads" in arrived.batches:
            reads.add(arrived.batches["reads"].select(list(READ_COLUMNS)))
        location_state, outputs = location.step(location_state, arrived, site)
        if "locations" in outputs:
            rows.append(outputs["locations"])
        turned.take(arrived)
    return LocationRun(
        reads=reads.table(),
        locations=pa.concat_tables([LOCATIONS.empty_table(), *rows]),
        turned=turned.locations(),
    )


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


def stays_as_said(locations: pa.Table, site: Site) -> pa.Table:
    """Turn rows of `locations`, in the order they came out, to what was said from when until when."""
    locations = locations.combine_chunks()
    item = _column(locations, "epc_hex").dictionary_encode().indices.to_numpy()
    said_us = _column(locations, "as_of_time").cast(pa.int64()).to_numpy() + round(site.allowed_lateness_s * 1e6)
    here = pc.is_null(_column(locations, "until_time")).to_numpy(zero_copy_only=False)
    order = np.argsort(item, kind="stable")
    same_item = item[order][1:] == item[order][:-1]
    until_us = np.full(len(order), FOREVER_US)
    until_us[:-1] = np.where(same_item, said_us[order][1:], FOREVER_US)
    kept = here[order] & (until_us > said_us[order])
    return _stays(locations, order[kept], said_us[order][kept], until_us[kept])


def stays_in_hindsight(locations: pa.Table) -> pa.Table:
    """Turn rows of `locations` to the stays that the table holds: the last revision of each."""
    locations = locations.combine_chunks()
    item = _column(locations, "epc_hex").dictionary_encode().indices.to_numpy()
    from_us = _column(locations, "from_time").cast(pa.int64()).to_numpy()
    until_us = pc.fill_null(_column(locations, "until_time").cast(pa.int64()), FOREVER_US).to_numpy()
    order = np.lexsort((_column(locations, "revision").to_numpy(), from_us, item))
    same_stay = (item[order][1:] == item[order][:-1]) & (from_us[order][1:] == from_us[order][:-1])
    rows = order[np.append(~same_stay, [True] * bool(len(order))).astype(np.bool_)]
    return _stays(locations, rows, from_us[rows], until_us[rows])


def _stays(
    locations: pa.Table, rows: npt.NDArray[np.int64], from_us: npt.NDArray[np.int64], until_us: npt.NDArray[np.int64]
) -> pa.Table:
    taken = locations.select(["epc_hex", "zone", "confidence"]).take(pa.array(rows))
    return pa.table(
        {
            "epc_hex": taken["epc_hex"],
            "zone": taken["zone"],
            "from_us": from_us,
            "until_us": until_us,
            "confidence": taken["confidence"],
        },
        schema=STAYS,
    )


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def with_end(site: Site, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
    """Let time go on behind the last row, so that what waits for the watermark comes out."""
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
        end_us = received_us + round(site.allowed_lateness_s * 1e6) + 2_000_000
        yield Chunk(
            site=site.id,
            edge_id=last.edge_id,
            first_offset=offset,
            last_offset=offset,
            batches={},
            clock=(ClockMark(edge_offset=offset, received_us=end_us),),
        )
