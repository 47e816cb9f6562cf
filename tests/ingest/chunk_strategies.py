"""Chunks of any content, for property tests of whatever carries them."""

import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from devices.chunk import Chunk, ClockMark
from devices.schemas import STREAMS
from devices.timestamps import TIME_US_MAX, TIME_US_MIN

_TIMES_US = (0, 1, -1, 1_795_361_731_485_691, TIME_US_MIN, TIME_US_MAX - 1)
_FLOATS = (0.0, -0.0, -61.5, 1e300, 5e-324, 0.1 + 0.2)
_TEXTS = ("", "store-042", "a/b", "Ünïcödé 水 \U0001f600", '"\\\n\x00', "x" * 300, "2026-11-22T15:35:31Z")
_BYTES = (b"", b"\xff\x00{", bytes(range(256)))


def chunk_of(generator: random.Random, *, rows_max: int = 6, streams: Sequence[str] = tuple(STREAMS)) -> Chunk:
    """Build a chunk: rows in edge order on some streams, any values, and some clock marks."""
    edge_id = generator.choice(("e", "0f" * 16, "store-042"))
    site = generator.choice((None, "store-042", "warenhaus-köln", "e"))
    first = generator.choice((1, 2, 10**6, 2**40))
    last = first + generator.randrange(20)
    batches = {}
    for stream in streams:
        places = {
            (generator.randint(first, last), generator.randrange(9)) for _ in range(generator.randint(0, rows_max))
        }
        rows = [
            {
                **_row(generator, stream),
                **({} if site is None else {"site": site}),
                "edge_id": edge_id,
                "edge_offset": offset,
                "edge_index": index,
            }
            for offset, index in sorted(places)
        ]
        if rows:
            batches[stream] = pa.RecordBatch.from_pylist(rows, schema=STREAMS[stream])
    marks = sorted({generator.randint(first, last) for _ in range(generator.randrange(3))})
    return Chunk(
        site=site,
        edge_id=edge_id,
        first_offset=first,
        last_offset=last,
        batches=batches,
        clock=tuple(ClockMark(edge_offset=mark, received_us=generator.choice(_TIMES_US)) for mark in marks),
    )


def chunks(*, rows_max: int = 6) -> st.SearchStrategy[Chunk]:
    """Draw a chunk; one seed is one chunk, since drawing every value singly takes a hundred times as long."""
    return st.integers(0, 2**32).map(lambda seed: chunk_of(random.Random(seed), rows_max=rows_max))


def equal_chunks(one: Chunk, other: Chunk) -> bool:
    """Whether two chunks say the same, row for row and bit for bit."""
    if (one.site, one.edge_id, one.first_offset, one.last_offset, one.clock) != (
        other.site,
        other.edge_id,
        other.first_offset,
        other.last_offset,
        other.clock,
    ):
        return False
    return all(one.batch(stream).equals(other.batch(stream), check_metadata=True) for stream in STREAMS)


def _row(generator: random.Random, stream: str) -> dict[str, Any]:
    return {
        field.name: None if field.nullable and generator.random() < 0.4 else _value(generator, field.type)
        for field in STREAMS[stream]
    }


def _value(generator: random.Random, kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return generator.choice((*_TIMES_US, generator.randrange(4_102_444_800_000_000)))
    if pa.types.is_integer(kind):
        top = 2 ** (kind.bit_width - 1)
        return generator.choice((0, 1, -1, top - 1, -top, generator.randrange(-top, top)))
    if pa.types.is_floating(kind):
        return generator.choice((*_FLOATS, generator.gauss(-60, 10)))
    if pa.types.is_boolean(kind):
        return generator.random() < 0.5
    return generator.choice(_BYTES if pa.types.is_binary(kind) else _TEXTS)
