"""What rows from Kafka have to be before a pipeline sees them: they may have been written by anybody.

Decoders bound what they say; rows that come through Kafka are held to the same bounds here, for the steps' kernels
count in 64 bits and index arrays by what they are given.
"""

import pyarrow as pa
import pyarrow.compute as pc

from devices.timestamps import TIME_US_MAX, TIME_US_MIN
from ingest.kafka_errors import KafkaRecordError

EDGE_INDEX_MAX = 2**27
"""Rows of one publication at most: derived rows take sixteen times their cause's index, in 32 bits."""


def check_time(name: str, first_us: int, last_us: int) -> None:
    """Raise `KafkaRecordError` for times outside 1970 to 2200."""
    if not TIME_US_MIN <= first_us <= last_us < TIME_US_MAX:
        raise KafkaRecordError(f"{name} goes from {first_us} to {last_us} microseconds after 1970")


def check_rows(stream: str, batch: pa.RecordBatch, *, site: str | None, edge_id: str, offsets: tuple[int, int]) -> None:
    """Hold a batch to its chunk and to the bounds of all rows.

    Args:
        stream: Its stream.
        batch: Rows in the stream's schema.
        site: The chunk's site.
        edge_id: The chunk's edge log.
        offsets: First and last edge offset of the chunk.

    Raises:
        KafkaRecordError: A row is of another site or edge log, out of order, or has a time or a number that no decoder
            would have let through.
    """
    if not batch.num_rows:
        return
    if pc.unique(batch["edge_id"]).to_pylist() != [edge_id]:
        raise KafkaRecordError(f"rows of {stream} are of another edge log than their chunk")
    if site is not None and pc.unique(batch["site"]).to_pylist() != [site]:
        raise KafkaRecordError(f"rows of {stream} are of another site than their chunk")
    _check_order(stream, batch, offsets)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_timestamp(column.type) and column.null_count < len(column):
            bounds = pc.min_max(column.cast(pa.int64())).as_py()
            check_time(f"{stream}.{name}", bounds["min"], bounds["max"])
        elif pa.types.is_floating(column.type) and pc.all(pc.is_finite(column)).as_py() is False:
            raise KafkaRecordError(f"{stream}.{name} has a value that is not finite")


def _check_order(stream: str, batch: pa.RecordBatch, offsets: tuple[int, int]) -> None:
    offset, index = batch["edge_offset"].to_numpy(), batch["edge_index"].to_numpy()
    first, last = offsets
    if offset[0] < first or offset[-1] > last or index.min() < 0 or index.max() >= EDGE_INDEX_MAX:
        raise KafkaRecordError(f"rows of {stream} lie outside their chunk, offsets {first} to {last}")
    rises = (offset[1:] > offset[:-1]) | ((offset[1:] == offset[:-1]) & (index[1:] > index[:-1]))
    if not rises.all():
        raise KafkaRecordError(f"rows of {stream} are not in the order of their edge log")
