"""An edge with two sites and everything that can come in, and the means to compare what went over Kafka with it."""

import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from devices.bulk import TopicDirectory, decode_publications
from devices.chunk import Chunk, ClockMark
from devices.publication import CLOCK_TOPIC, Publication
from devices.schemas import STREAMS
from devices.site.model import Feed, Reader, Shelf, Site
from ingest.chunk_assembly import LogKey
from ingest.edge_log import EdgeLog
from ingest.kafka_source import KafkaSource

NOW_US = 1_795_361_731_485_691

SITES = tuple(
    Site(
        id=name,
        readers=(Reader(id="r1", profile="tagtide", mqtt_topic=f"{name}/r1"),),
        shelves=(Shelf(id="denim", zone="floor", profile="weight", mqtt_topic=f"{name}/denim"),),
        feeds=(Feed(id="till", profile="tagtide", mqtt_topic=f"{name}/till"),),
    )
    for name in ("store-042", "store-043")
)
DIRECTORY = TopicDirectory.of(SITES)


def publications(count: int, seed: int = 7) -> list[Publication]:
    """Build publications of every kind: reads, weights, status, sales, rubbish, an unknown topic, clock records."""
    generator = random.Random(seed)
    return [_publication(generator, number) for number in range(count)]


def edge_log(directory: Path, content: Sequence[Publication]) -> EdgeLog:
    """Create an edge log with some content."""
    log = EdgeLog.open(directory)
    log.append(content)
    return log


def expected(log: EdgeLog) -> list[Chunk]:
    """Decode everything that an edge log holds, without Kafka."""
    found = log.read(0, 10**6, 2**30)
    return decode_publications(found, edge_id=log.edge_id, directory=DIRECTORY)


def handed_out(source: KafkaSource, enough: Callable[[list[Chunk]], bool], timeout_s: float = 120.0) -> list[Chunk]:
    """Poll until there is enough."""
    chunks: list[Chunk] = []
    deadline = time.monotonic() + timeout_s
    while not enough(chunks):
        assert time.monotonic() < deadline, f"only {sum(chunk.rows for chunk in chunks)} rows came: {source.stats}"
        chunks += source.poll(max_rows=1000, timeout_s=0.5)
    return chunks


def as_many_as(wanted: Sequence[Chunk]) -> Callable[[list[Chunk]], bool]:
    """Return whether chunks have the rows and clock marks that are wanted."""

    def count(chunks: Sequence[Chunk]) -> int:
        return sum(chunk.rows + len(chunk.clock) for chunk in chunks)

    return lambda chunks: count(chunks) >= count(wanted)


def assert_same(found: Sequence[Chunk], wanted: Sequence[Chunk]) -> None:
    """Compare two ways' chunks row for row and stream for stream, wherever chunks end."""
    ours, theirs = tables(found), tables(wanted)
    assert ours.keys() == theirs.keys()
    for log, streams in theirs.items():
        for stream, table in streams.items():
            assert ours[log][stream].equals(table, check_metadata=True), (log, stream)
    assert clocks(found) == clocks(wanted)


def tables(chunks: Sequence[Chunk]) -> dict[LogKey, dict[str, pa.Table]]:
    """Return the rows of each stream, by site and edge log, in the order handed out."""
    found: dict[LogKey, dict[str, pa.Table]] = {}
    for log in {(chunk.site, chunk.edge_id) for chunk in chunks}:
        mine = [chunk for chunk in chunks if (chunk.site, chunk.edge_id) == log]
        found[log] = {
            stream: pa.Table.from_batches([chunk.batch(stream) for chunk in mine], STREAMS[stream]).combine_chunks()
            for stream in STREAMS
        }
    return found


def clocks(chunks: Sequence[Chunk]) -> dict[LogKey, list[ClockMark]]:
    """Return the clock marks, by site and edge log, in the order handed out."""
    found: dict[LogKey, list[ClockMark]] = {}
    for chunk in chunks:
        found.setdefault((chunk.site, chunk.edge_id), []).extend(chunk.clock)
    return found


def _publication(generator: random.Random, number: int) -> Publication:
    site = generator.choice(SITES).id
    received_us = NOW_US + number * 1000
    epc = f"3034257BF7194E40{generator.randrange(500):08X}"
    topic, payload = generator.choice(
        (
            (f"{site}/r1", [{"type": "read", "epc": epc, "antenna": 1, "time_us": received_us, "rssi_dbm": -61.5}] * 3),
            (f"{site}/r1", {"type": "reads", "reads": [{"epc": epc, "antenna": 2}, {"epc": "ZZ"}]}),
            (f"{site}/r1", {"type": "status", "status": "heartbeat", "detail": {"überlauf": 3}}),
            (f"{site}/till", {"type": "business", "event": "sale", "id": f"t{number}", "epc": epc}),
            (f"{site}/denim", 4.92),
            (f"{site}/r1", "rubbish \udcff"),
            ("nobody/knows", {"x": 1}),
            (CLOCK_TOPIC, None),
        )
    )
    if payload is None:
        return Publication(topic=topic, payload=b"", received_us=received_us)
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return Publication(topic=topic, payload=text.encode(errors="surrogateescape"), received_us=received_us)
