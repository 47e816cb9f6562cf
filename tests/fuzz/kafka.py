"""Kafka records: whatever lies on our topics is a chunk or an error of ours, and costs no other chunk anything."""

import json
import random
from base64 import b64decode

import msgspec

from devices.chunk import Chunk
from devices.errors import DecodeError
from devices.schemas import STREAMS
from ingest.chunk_assembly import ChunkAssembly
from ingest.json_rows import encode_rows
from ingest.kafka_errors import KafkaPositionError
from ingest.kafka_position import decode_position
from ingest.kafka_records import (
    ARROW_STREAMS,
    ChunkId,
    Piece,
    Progress,
    TopicShare,
    decode_chunk,
    decode_piece,
    decode_pieces,
    decode_progress,
    encode_chunk,
)
from tests.fuzz import decoding, landing, seeds
from tests.fuzz.mutation import Fields, Mutator, tree_of, written
from tests.fuzz.target import Outcome, hold
from tests.ingest.chunk_strategies import chunk_of

_JSON_STREAMS = [stream for stream in STREAMS if stream not in ARROW_STREAMS]
_KINDS = [*(f"arrow {stream}" for stream in sorted(ARROW_STREAMS)), *(f"row {stream}" for stream in _JSON_STREAMS)]
_KINDS += ["headers", "progress", "position", "rows"]
_HEADERS = ["schema_version", "edge_id", "first_offset", "last_offset", "session", "site", "fragment"]
_HEADER_VALUES = [
    b"1", b"2", b"0", b"-1", b"", b"\xff", b"9" * 5_000, b"1/3", b"3/1", b"0/0", b"1/1", b"x", b"1_0", b" 1", b"1e3",
    b"9223372036854775807", b"9223372036854775808", "\u0661".encode(), b"\x00", b"1/99999999",
]  # fmt: skip


class KafkaTarget:
    """Everything of ours that reads a Kafka record."""

    name = "kafka"
    reads = "Kafka values (Arrow, JSON rows, progress), headers and positions; what passes goes through the pipeline"

    def __init__(self) -> None:
        self._samples = _samples()
        self._mutators = {kind: Mutator(samples) for kind, samples in self._samples.items()}
        self._pieces: list[tuple[str, Piece]] = []
        self._progress: list[Progress] = []

    def make(self, rng: random.Random) -> bytes:
        """Return the kind of record in the first byte, and its bytes behind it."""
        number = rng.randrange(len(_KINDS))
        kind = _KINDS[number]
        if kind == "headers":
            data = _headers(rng)
        elif kind.startswith("arrow"):
            data = self._mutators[kind].mutated_bytes(rng, rng.choice(self._samples[kind]))
        elif kind == "rows":
            data = b"%d" % rng.getrandbits(40)
        else:
            data = self._mutators[kind](rng)
        return bytes([number]) + data

    def check(self, data: bytes) -> Outcome:
        """Decode one record."""
        kind = _KINDS[data[0] % len(_KINDS)] if data else "progress"
        try:
            return Outcome(rows=self._decode(kind, data[1:]))
        except DecodeError as error:
            hold(error.code.startswith("kafka_"), f"an error of another part: {error.code}")
            return Outcome(rejects=[error.code])
        except KafkaPositionError as error:
            return Outcome(rejects=[error.code])

    def settle(self) -> None:
        """Put chunks together among everything that was decodable; the good ones have to come out."""
        pieces, self._pieces = self._pieces, []
        progress, self._progress = self._progress, []
        good = _good_chunk()
        encoded = encode_chunk(good, session="good")
        assembly = ChunkAssembly()
        offset = 0
        shares: dict[str, TopicShare] = {}
        queue = list(pieces)
        for record in encoded.pieces:
            for topic, piece in queue[:5]:
                offset += 1
                assembly.add_piece(topic, offset, piece)
            queue = queue[5:]
            offset += 1
            assembly.add_piece(record.topic, offset, decode_piece(record.value, record.headers))
            shares[record.topic] = TopicShare(
                records=1, rows=encoded.rows[record.topic], first_kafka_offset=offset, last_kafka_offset=offset
            )
        for topic in STREAMS:
            assembly.skip(topic, 2**62)
        for number, each in enumerate(progress):
            assembly.add_progress(number, each)
        chunk_id = encoded.chunk
        assembly.add_progress(len(progress), _progress_of(chunk_id, shares, good))
        found: list[Chunk] = []
        while True:
            for topic in STREAMS:
                assembly.skip(topic, 2**63)
            chunk = assembly.take()
            if chunk is None:
                break
            found.append(chunk)
        hold(not assembly.queued, "a progress record holds the others up for ever")
        mine = [chunk for chunk in found if chunk.edge_id == good.edge_id]
        hold(len(mine) == 1 and mine[0].rows == good.rows, "bad records cost a good chunk its rows")

    def _decode(self, kind: str, data: bytes) -> int:
        if kind == "headers":
            piece = decode_piece(data, msgspec.msgpack.decode(data, type=list[tuple[str, bytes]]))
            self._pieces.append(("reads", piece))
            return 1
        if kind == "progress":
            found = decode_progress(data)
            self._progress.append(found)
            return 1
        if kind == "position":
            decode_position(data)
            return 1
        if kind == "rows":
            return self._extreme_rows(int(data) if data.isdigit() else 0)
        stream = kind.partition(" ")[2]
        batch = decode_pieces(stream, [_piece(data)])
        batch.validate(full=True)
        return self._through_pipeline(stream, batch.num_rows, data)

    def _through_pipeline(self, stream: str, rows: int, data: bytes) -> int:
        """Take a value for a chunk of its own; what passes as one has to pass the pipeline."""
        if not rows:
            return 0
        share = TopicShare(records=1, rows=rows, first_kafka_offset=0, last_kafka_offset=0)
        chunk_id = ChunkId(site="s", edge_id="e", session="x", first_offset=1, last_offset=2**40)
        progress = _progress_of(chunk_id, {stream: share}, None)
        chunk = decode_chunk(progress, {stream: [_piece(data)]})
        if not self._landed % 20:
            landing.processed([chunk])
        self._landed += 1
        return chunk.rows

    _landed = 0

    def _extreme_rows(self, seed: int) -> int:
        """Send a chunk of any rows that the schema allows through Kafka's form and the pipeline."""
        generator = random.Random(seed)
        chunk = chunk_of(generator)
        encoded = encode_chunk(chunk, session="x")
        by_topic: dict[str, list[Piece]] = {}
        for record in encoded.pieces:
            by_topic.setdefault(record.topic, []).append(decode_piece(record.value, record.headers))
        shares = {
            topic: TopicShare(
                records=len(found), rows=encoded.rows[topic], first_kafka_offset=0, last_kafka_offset=len(found) - 1
            )
            for topic, found in by_topic.items()
        }
        again = decode_chunk(_progress_of(encoded.chunk, shares, chunk), by_topic)
        hold(again.rows == chunk.rows, "rows were lost on the way through Kafka")
        if again.site is not None and not self._landed % 20:
            _pass_any_site(again)
        self._landed += 1
        return again.rows


def _pass_any_site(chunk: Chunk) -> None:
    """Let the fuzzed site's pipeline take a chunk as if it were its own."""
    batches = {
        stream: batch.set_column(0, batch.schema.field(0), [landing.SITE.id] * batch.num_rows)
        for stream, batch in chunk.batches.items()
    }
    mine = Chunk(
        site=landing.SITE.id,
        edge_id=chunk.edge_id,
        first_offset=chunk.first_offset,
        last_offset=chunk.last_offset,
        batches=batches,
        clock=chunk.clock,
    )
    tables = landing.processed([mine])
    landing.check_chunking(tables, [mine], [(mine.first_offset + mine.last_offset) // 2])


def _piece(data: bytes) -> Piece:
    return Piece(chunk=ChunkId(site="s", edge_id="e", session="x", first_offset=1, last_offset=2**40), value=data)


def _progress_of(chunk_id: ChunkId, shares: dict[str, TopicShare], chunk: Chunk | None) -> Progress:
    return Progress(
        edge_id=chunk_id.edge_id,
        site=chunk_id.site,
        session=chunk_id.session,
        first_offset=chunk_id.first_offset,
        last_offset=chunk_id.last_offset,
        previous_offset=None,
        topics=shares,
        clock=() if chunk is None else chunk.clock,
    )


def _good_chunk() -> Chunk:
    target = decoding.DecoderTarget("tagtide")
    publications, _ = target._publications([decoding.GOOD["tagtide"]])
    (chunk,) = landing.decoded(publications)
    return chunk


def _headers(rng: random.Random) -> bytes:
    headers = [
        ("schema_version", b"1"),
        ("edge_id", b"e"),
        ("first_offset", b"1"),
        ("last_offset", b"5"),
        ("session", b"x"),
        ("site", b"s"),
    ]
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(headers) + 1)
        headers[at : at + rng.randrange(2)] = [(rng.choice(_HEADERS), rng.choice(_HEADER_VALUES))]
    return msgspec.msgpack.encode(headers)


def _samples() -> dict[str, list[bytes]]:
    records = [json.loads(line) for line in (seeds.kafka_golden() / "v1" / "records.jsonl").read_text().splitlines()]
    samples: dict[str, list[bytes]] = {kind: [] for kind in _KINDS}
    for record in records:
        value = b64decode(record["value_base64"]) if "value_base64" in record else record["value"].encode()
        topic = record["topic"]
        kind = "progress" if topic == "edge_progress" else f"{'arrow' if topic in ARROW_STREAMS else 'row'} {topic}"
        samples[kind].append(value)
    for seed in range(20):
        chunk = chunk_of(random.Random(seed))
        for stream, batch in chunk.batches.items():
            if stream in _JSON_STREAMS:
                samples[f"row {stream}"] += [_of_chunk(row) for row in encode_rows(batch)]
    for stream in ARROW_STREAMS:
        for seed in range(6):
            for record in encode_chunk(chunk_of(random.Random(seed), streams=[stream]), session="x").pieces:
                samples[f"arrow {stream}"].append(record.value)
    samples["position"] = [b'{"partitions":{"0":{"next":{"reads":5},"handed":[["s","e",4]]}}}', b"{}"]
    return samples


def _of_chunk(row: bytes) -> bytes:
    """Let a row be of the chunk that values are taken for, so that most can go on to the pipeline."""
    fields = tree_of(row)
    wanted: dict[str, object] = {"edge_id": "e", "site": "s", "edge_offset": 7, "edge_index": 0}
    return written(Fields((name, wanted.get(name, value)) for name, value in fields))
