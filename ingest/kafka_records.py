"""What Tagtide's Kafka records look like: encode and decode, pure functions. Version 1.

*Topics* are the canonical streams' names behind an optional prefix, and `edge_progress`. All have the same number of
partitions; a record's key is its site (for what belongs to no site, the edge id), and `kafka_partition_of` its key's
partition number, the same in every topic.

*A chunk* (`devices.chunk`) travels as pieces on the topics of its streams and then one progress record:

- `reads`, `readings`: a piece is an Arrow IPC stream of one batch with the stream's schema.
- `device_events`, `business_events`, `rejects`: a piece is one row as JSON (`ingest.json_rows`).
- `edge_progress`: JSON (`Progress`), sent once Kafka has acknowledged all of the chunk's pieces and the progress
  record before it: whoever reads it knows that the chunk is whole, which pieces belong to it, and that nothing of
  the same site and edge log is missing before it.

*Headers* of every record, all text: `schema_version`, `edge_id`, `first_offset`, `last_offset` (the chunk's range of
edge offsets), `site` (left out for no site), `session` (which run of the forwarder sent it: a forwarder that crashed
sends a range again, and its pieces must not be mixed with the new ones). A value too large for one record is cut into
fragments, which have a header `fragment` (`1/3`, `2/3`, `3/3`) and follow each other.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import pyarrow as pa

from devices.chunk import Chunk, ClockMark
from devices.schemas import SCHEMA_VERSION, STREAMS
from ingest.json_rows import decode_rows, encode_rows
from ingest.kafka_errors import KafkaRecordError, KafkaRecordVersionError
from ingest.kafka_values import arrow_rows, arrow_values, fragment_of, fragments, whole_values
from ingest.row_checks import check_rows, check_time

PROGRESS_TOPIC = "edge_progress"
"""Topic of the progress records."""

TOPICS = (*STREAMS, PROGRESS_TOPIC)
"""Every topic, without prefix."""

ARROW_STREAMS = frozenset({"reads", "readings"})
"""Streams whose pieces are Arrow batches; those of the others are JSON rows."""

RECORD_BYTES_LIMIT = 900_000
"""Bytes of a record's value: below the 1,000,000 that producers and 1,048,588 that brokers take by default, with
room for key, headers and framing."""

_RANGE_LIMIT = 2**63  # edge offsets are 64-bit integers


class ChunkId(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which sending of which chunk: pieces with equal ids belong together."""

    site: str | None
    """Site identifier; `None` for what came on topics that no site file names."""
    edge_id: str
    """Edge log."""
    session: str
    """Run of the forwarder."""
    first_offset: int
    """First edge offset that the chunk covers."""
    last_offset: int
    """Last edge offset that the chunk covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaRecord:
    """A record to send."""

    topic: str
    """Topic without prefix."""
    key: bytes
    """Site, or the edge id where there is no site."""
    value: bytes
    """What it says."""
    headers: tuple[tuple[str, bytes], ...]
    """As the module's docstring lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedChunk:
    """A chunk as records, ready to send; its progress record follows when they are in Kafka."""

    chunk: ChunkId
    """Which one."""
    pieces: tuple[KafkaRecord, ...]
    """Its rows, in row order; none where it has only clock marks."""
    rows: Mapping[str, int]
    """Rows by topic."""
    clock: tuple[ClockMark, ...]
    """Its clock marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A record that was received on a stream's topic; its value is not decoded yet."""

    chunk: ChunkId
    """Where it belongs."""
    value: bytes
    """An Arrow batch, a JSON row, or a fragment of either."""
    fragment: tuple[int, int] | None = None
    """Which fragment of how many, from 1; `None` for a whole value."""


class TopicShare(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a chunk has on one topic."""

    records: int
    """Records, fragments counted singly."""
    rows: int
    """Rows in them."""
    first_kafka_offset: int
    """Kafka offset of its first record, in the partition of the progress record."""
    last_kafka_offset: int
    """Kafka offset of its last record; records of other chunks may lie between the two."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A progress record: a chunk is in Kafka, whole."""

    schema_version: int = SCHEMA_VERSION
    """Version of this record and of the pieces."""
    edge_id: str
    """Edge log."""
    site: str | None
    """Site; null for what belongs to none."""
    session: str
    """Run of the forwarder."""
    first_offset: int
    """First edge offset that the chunk covers."""
    last_offset: int
    """Last edge offset that the chunk covers."""
    previous_offset: int | None
    """Last edge offset of the chunk that this session sent before for the same site; null for its first one."""
    topics: dict[str, TopicShare]
    """By topic, without prefix; streams without rows are left out."""
    clock: tuple[ClockMark, ...] = ()
    """Clock records in the range, in order."""

    @property
    def chunk(self) -> ChunkId:
        """The chunk that it speaks of."""
        return ChunkId(
            site=self.site,
            edge_id=self.edge_id,
            session=self.session,
            first_offset=self.first_offset,
            last_offset=self.last_offset,
        )


def record_key(chunk: ChunkId) -> bytes:
    """Return the key of a chunk's records."""
    return (chunk.edge_id if chunk.site is None else chunk.site).encode()


def kafka_partition_of(key: bytes, kafka_partitions: int) -> int:
    """Return a key's partition number, the same in every topic.

    It is the CRC-32 that librdkafka's own `consistent` partitioner takes.
    """
    return zlib.crc32(key) % kafka_partitions


def encode_chunk(chunk: Chunk, *, session: str, record_bytes_limit: int = RECORD_BYTES_LIMIT) -> EncodedChunk:
    """Encode the rows of a chunk as pieces, in row order.

    Args:
        chunk: What to send.
        session: This run of the forwarder.
        record_bytes_limit: Largest value of a record, bytes; batches are cut by rows, single rows into fragments.
    """
    chunk_id = ChunkId(
        site=chunk.site,
        edge_id=chunk.edge_id,
        session=session,
        first_offset=chunk.first_offset,
        last_offset=chunk.last_offset,
    )
    key, headers = record_key(chunk_id), _headers(chunk_id)
    records = []
    for stream, batch in chunk.batches.items():
        if not batch.num_rows:
            continue
        values = arrow_values(batch, record_bytes_limit) if stream in ARROW_STREAMS else encode_rows(batch)
        for value in values:
            for part, fragment in fragments(value, record_bytes_limit):
                records.append(KafkaRecord(topic=stream, key=key, value=part, headers=headers + fragment))
    rows = {stream: batch.num_rows for stream, batch in chunk.batches.items() if batch.num_rows}
    return EncodedChunk(chunk=chunk_id, pieces=tuple(records), rows=rows, clock=chunk.clock)


def encode_progress(progress: Progress) -> KafkaRecord:
    """Encode a progress record."""
    return KafkaRecord(
        topic=PROGRESS_TOPIC,
        key=record_key(progress.chunk),
        value=msgspec.json.encode(progress),
        headers=_headers(progress.chunk),
    )


def decode_piece(value: bytes | None, headers: Sequence[tuple[str, bytes]] | None) -> Piece:
    """Tell from its headers where a record on a stream's topic belongs.

    Raises:
        KafkaRecordError: It is not one of ours.
        KafkaRecordVersionError: It was written by a newer version.
    """
    found = dict(headers or ())
    try:
        _check_version(int(found["schema_version"]))
        site = found.get("site")
        fragment = found.get("fragment")
        chunk = ChunkId(
            site=None if site is None else site.decode(),
            edge_id=found["edge_id"].decode(),
            session=found["session"].decode(),
            first_offset=int(found["first_offset"]),
            last_offset=int(found["last_offset"]),
        )
        piece = Piece(chunk=chunk, value=value or b"", fragment=None if fragment is None else fragment_of(fragment))
    except KeyError as error:
        raise KafkaRecordError(f"the record has no header {error}") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise KafkaRecordError(f"the record has a damaged header: {error}") from error
    _check_range(chunk.first_offset, chunk.last_offset)
    return piece


def decode_progress(value: bytes | None) -> Progress:
    """Decode a progress record.

    Raises:
        KafkaRecordError: It is not one of ours.
        KafkaRecordVersionError: It was written by a newer version.
    """
    try:
        _check_version(_VERSION.decode(value or b"").schema_version)
        progress = _PROGRESS.decode(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise KafkaRecordError(f"the progress record cannot be decoded: {error}") from error
    _check_range(progress.first_offset, progress.last_offset)
    unknown = progress.topics.keys() - STREAMS.keys()
    if unknown:
        raise KafkaRecordError(f"the progress record names unknown topics: {', '.join(sorted(unknown))}")
    if any(
        share.records < 1 or share.last_kafka_offset < share.first_kafka_offset for share in progress.topics.values()
    ):
        raise KafkaRecordError("the progress record counts no records on a topic that it names")
    offsets = [progress.first_offset - 1, *(mark.edge_offset for mark in progress.clock), progress.last_offset + 1]
    if any(earlier >= later for earlier, later in pairwise(offsets)):
        raise KafkaRecordError("the progress record's clock marks are not in their chunk, or out of order")
    for mark in progress.clock:
        check_time("a clock mark", mark.received_us, mark.received_us)
    return progress


def decode_chunk(progress: Progress, pieces: Mapping[str, Sequence[Piece]]) -> Chunk:
    """Put a chunk together again.

    Args:
        progress: Its progress record.
        pieces: Its pieces by topic, in the order of their Kafka offsets.

    Raises:
        KafkaRecordError: A piece cannot be decoded, the rows are not as many as were counted, or are not the chunk's.
    """
    batches = {}
    for stream in sorted(pieces, key=list(STREAMS).index):
        batch = decode_pieces(stream, pieces[stream])
        if batch.num_rows != progress.topics[stream].rows:
            raise KafkaRecordError(
                f"{stream} has {batch.num_rows} rows where {progress.topics[stream].rows} were counted:"
                f" edge {progress.edge_id}, offsets {progress.first_offset} to {progress.last_offset}"
            )
        check_rows(
            stream,
            batch,
            site=progress.site,
            edge_id=progress.edge_id,
            offsets=(progress.first_offset, progress.last_offset),
        )
        batches[stream] = batch
    return Chunk(
        site=progress.site,
        edge_id=progress.edge_id,
        first_offset=progress.first_offset,
        last_offset=progress.last_offset,
        batches=batches,
        clock=progress.clock,
    )


def decode_pieces(stream: str, pieces: Sequence[Piece]) -> pa.RecordBatch:
    """Decode pieces of one stream, in the order of their Kafka offsets, to rows.

    Raises:
        KafkaRecordError: One of them cannot be decoded, or a fragment is missing.
    """
    values = list(whole_values([(piece.value, piece.fragment) for piece in pieces]))
    return arrow_rows(stream, values) if stream in ARROW_STREAMS else decode_rows(stream, values)


class _Version(msgspec.Struct, gc=False):
    schema_version: int


_VERSION = msgspec.json.Decoder(_Version)
_PROGRESS = msgspec.json.Decoder(Progress)


def _headers(chunk: ChunkId) -> tuple[tuple[str, bytes], ...]:
    site = () if chunk.site is None else (("site", chunk.site.encode()),)
    return (
        ("schema_version", b"%d" % SCHEMA_VERSION),
        ("edge_id", chunk.edge_id.encode()),
        ("first_offset", b"%d" % chunk.first_offset),
        ("last_offset", b"%d" % chunk.last_offset),
        ("session", chunk.session.encode()),
        *site,
    )


def _check_version(version: int) -> None:
    if version > SCHEMA_VERSION:
        raise KafkaRecordVersionError(
            f"a record has schema version {version}, this Tagtide knows {SCHEMA_VERSION}",
            hint="upgrade the jobs before the edge boxes",
        )
    if version < 1:
        raise KafkaRecordError(f"a record has schema version {version}")


def _check_range(first_offset: int, last_offset: int) -> None:
    if not 1 <= first_offset <= last_offset < _RANGE_LIMIT:
        raise KafkaRecordError(f"edge offsets {first_offset} to {last_offset} are no range")
