"""The values of Kafka records: batches of rows as Arrow streams, and values too large for one record, in fragments.

Pure functions; which record is whose is `ingest.kafka_records`' business.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from devices.schemas import SCHEMA_VERSION, STREAMS
from ingest.kafka_errors import KafkaRecordError

_ARROW_SLACK = 1.05  # an Arrow stream has 3 kB of schema and pads each buffer: some per cent of a batch worth cutting
_FRAGMENTS_LIMIT = 10_000  # 9 GB at the default limit: no payload of MQTT (256 MB) comes near


def arrow_values(batch: pa.RecordBatch, record_bytes_limit: int) -> Iterator[bytes]:
    """Yield Arrow streams of a batch's rows, each within the limit unless it is of a single row."""
    parts = -(-int(batch.nbytes * _ARROW_SLACK) // record_bytes_limit)
    if parts <= 1 or batch.num_rows <= 1:
        value = _arrow_stream(batch)
        if len(value) <= record_bytes_limit or batch.num_rows <= 1:
            yield value
            return
        parts = 2  # a small limit, of which the schema takes much
    rows = -(-batch.num_rows // parts)
    for start in range(0, batch.num_rows, rows):
        yield from arrow_values(batch.slice(start, rows), record_bytes_limit)


def _arrow_stream(batch: pa.RecordBatch) -> bytes:
    schema = batch.schema.with_metadata({"schema_version": str(SCHEMA_VERSION)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    written: bytes = sink.getvalue().to_pybytes()
    return written


def arrow_rows(stream: str, values: Sequence[bytes]) -> pa.RecordBatch:
    """Decode Arrow streams of one of our streams, in order, to rows.

    Raises:
        KafkaRecordError: One of them cannot be decoded, or has another schema.
    """
    schema = STREAMS[stream]
    batches = []
    try:
        for value in values:
            with pa.ipc.open_stream(value) as reader:
                if not reader.schema.equals(schema, check_metadata=False):
                    raise KafkaRecordError(f"a batch on {stream} has another schema: {reader.schema}")
                for batch in reader:
                    batch.validate(full=True)
                    batches.append(batch.replace_schema_metadata(None))
        return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema=schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise KafkaRecordError(f"a batch on {stream} cannot be decoded: {error}") from error


def fragments(value: bytes, record_bytes_limit: int) -> Iterator[tuple[bytes, tuple[tuple[str, bytes], ...]]]:
    """Yield a value, or its fragments where it is larger than the limit, each with the header that tells which."""
    if len(value) <= record_bytes_limit:
        yield value, ()
        return
    count = -(-len(value) // record_bytes_limit)
    for number in range(count):
        part = value[number * record_bytes_limit : (number + 1) * record_bytes_limit]
        yield part, (("fragment", b"%d/%d" % (number + 1, count)),)


def fragment_of(header: bytes) -> tuple[int, int]:
    """Return which fragment of how many a header names, from 1.

    Raises:
        ValueError: It names none.
    """
    number, _, count = header.partition(b"/")
    found = int(number), int(count)
    if not 1 <= found[0] <= found[1] <= _FRAGMENTS_LIMIT:
        raise ValueError(f"fragment {found[0]} of {found[1]}")
    return found


def whole_values(received: Sequence[tuple[bytes, tuple[int, int] | None]]) -> Iterator[bytes]:
    """Yield whole values of what was received: values, or fragments with what `fragment_of` says of each, in order.

    Raises:
        KafkaRecordError: A fragment is missing.
    """
    parts: list[bytes] = []
    for part, fragment in received:
        number, count = fragment or (1, 1)
        parts.append(part)
        if number != len(parts):
            raise KafkaRecordError(f"fragment {number} of {count} stands where {len(parts)} belongs")
        if number == count:
            yield parts[0] if count == 1 else b"".join(parts)
            parts = []
    if parts:
        raise KafkaRecordError(f"{len(parts)} fragments are not followed by the rest of their value")
