"""The laws of `analytics.step`, as checks that any step and any pipeline can be put through.

For the engineer of a step: build one chunk with everything in it that matters to the step (`chunk_building.py`
helps), then let hypothesis choose `cut_points` and call `check_step`; or `check_pipeline` for steps together.

- *Chunking changes nothing.* The chunk whole, and cut after the given offsets, gives the same rows in the same order.
- *State goes to bytes and back.* Cut likewise, with every state dumped and loaded before each piece: the same rows.
- *Watermarks never regress*, and no row comes whose effective time they have passed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from analytics.pipeline import SitePipeline
from analytics.step import Arrived, Step
from analytics.steps.arrival import ArrivalStep
from devices.chunk import Chunk
from devices.schemas import STREAMS
from devices.site.model import Site

Tables = Mapping[str, pa.Table]

SHARED_TABLES = ("device_events", "alerts")
"""Tables that several steps write to: in a pipeline, the order of rows of different steps is not promised."""


LAWS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Settings for hypothesis: a loaded machine is slow, which is no finding."""


def cut_points(chunk: Chunk) -> st.SearchStrategy[list[int]]:
    """Return a strategy for offsets after which to cut a chunk, from nowhere to everywhere."""
    offsets = st.integers(chunk.first_offset, max(chunk.first_offset, chunk.last_offset - 1))
    return st.lists(offsets, unique=True, max_size=6).map(sorted)


def cut(chunk: Chunk, offsets: Iterable[int]) -> list[Chunk]:
    """Cut a chunk after each of some offsets."""
    pieces, rest = [], chunk
    for offset in offsets:
        pieces.append(rest.through(offset))
        rest = rest.after(offset)
    return [*pieces, rest]


def check_step(step: Step[Any], site: Site, chunk: Chunk, offsets: Sequence[int]) -> Tables:
    """Check every law on a step behind the arrival step; return the step's rows.

    Args:
        step: The step.
        site: Its site.
        chunk: Everything that is to be taken in.
        offsets: Where to cut it.
    """
    pieces = cut(chunk, offsets)
    whole = run_step(step, site, [chunk])
    assert_same(whole, run_step(step, site, pieces), "cut into pieces")
    assert_same(whole, run_step(step, site, pieces, reload=True), "cut, with the state dumped and loaded")
    assert_same(whole, run_step(step, site, [chunk]), "run once more")
    return whole


def check_pipeline(site: Site, steps: Sequence[Step[Any]] | None, chunk: Chunk, offsets: Sequence[int]) -> Tables:
    """Check every law on a pipeline; return its rows.

    Args:
        site: The site.
        steps: Steps behind arrival; the product's where `None`.
        chunk: Everything that is to be taken in.
        offsets: Where to cut it.
    """
    pieces = cut(chunk, offsets)
    whole = _ordered(run_pipeline(site, steps, [chunk]))
    assert_keys_differ(whole)
    assert_same(whole, _ordered(run_pipeline(site, steps, pieces)), "cut into pieces")
    assert_same(whole, _ordered(run_pipeline(site, steps, pieces, reload=True)), "cut, with states dumped and loaded")
    return whole


def check_watermarks(site: Site, pieces: Iterable[Chunk]) -> list[Arrived]:
    """Check what the arrival step promises about watermarks; return what it made of the pieces."""
    arrived = list(run_arrival(site, pieces))
    reached = 0
    for one in arrived:
        assert one.previous_watermark_us == reached
        assert one.watermark_us >= reached
        for stream, effective in one.effective_us.items():
            batch = one.batches[stream]
            event = batch["event_time"].cast(pa.int64()).to_numpy()
            assert len(effective) == batch.num_rows
            assert (effective > reached).all(), "a row came that the watermark had passed"
            assert (effective >= event).all()
            assert batch["late"].to_pylist() == (effective != event).tolist()
        reached = one.watermark_us
    return arrived


def run_arrival(site: Site, pieces: Iterable[Chunk], *, reload: bool = False) -> Iterable[Arrived]:
    """Yield what the arrival step makes of each chunk."""
    step = ArrivalStep()
    state = step.initial(site)
    for piece in pieces:
        if reload:
            state = step.load(step.dump(state), site)
        state, arrived = step.step(state, piece, site)
        yield arrived


def run_step(step: Step[Any], site: Site, pieces: Iterable[Chunk], *, reload: bool = False) -> Tables:
    """Return the rows that one step behind arrival gives for some chunks."""
    state = step.initial(site)
    results = []
    for arrived in run_arrival(site, pieces, reload=reload):
        if reload:
            state = step.load(step.dump(state), site)
        state, outputs = step.step(state, replace(arrived, derived={}), site)
        results.append(outputs)
    return concatenated(results)


def run_pipeline(
    site: Site, steps: Sequence[Step[Any]] | None, pieces: Iterable[Chunk], *, reload: bool = False
) -> Tables:
    """Return the rows that a pipeline gives for some chunks."""
    pipeline = SitePipeline(site, steps)
    results = []
    for piece in pieces:
        if reload:
            blob = pipeline.dump()
            pipeline = SitePipeline(site, steps)
            assert pipeline.load(blob) == ()
        results.append(pipeline.process(piece))
    return concatenated(results)


def concatenated(results: Iterable[Tables]) -> Tables:
    """Put the rows of several outputs one after the other."""
    gathered: dict[str, list[pa.Table]] = {}
    for result in results:
        for name, table in result.items():
            if table.num_rows:
                gathered.setdefault(name, []).append(table)
    return {name: pa.concat_tables(tables) for name, tables in sorted(gathered.items())}


def assert_same(expected: Tables, found: Tables, when: str) -> None:
    """Fail with the first differing row of the first differing table."""
    assert sorted(expected) == sorted(found), f"{when}: tables with rows differ"
    for name, table in expected.items():
        other = found[name]
        if table.equals(other):
            continue
        for place, (a, b) in enumerate(zip(table.to_pylist(), other.to_pylist(), strict=False)):
            assert repr(a) == repr(b), f"{when}: {name}, row {place} differs"
        assert table.num_rows == other.num_rows, f"{when}: {name} has {other.num_rows} rows, not {table.num_rows}"


def assert_keys_differ(tables: Tables) -> None:
    """Fail where two rows of the canonical streams, derived ones among them, have the same primary key."""
    keys = [
        (row["edge_id"], row["edge_offset"], row["edge_index"])
        for name in STREAMS
        if name in tables
        for row in tables[name].select(["edge_id", "edge_offset", "edge_index"]).to_pylist()
    ]
    assert len(set(keys)) == len(keys), f"{len(keys) - len(set(keys))} rows have the key of another"


def _ordered(tables: Tables) -> Tables:
    """Bring tables that several steps write to into an order of their own."""
    ordered = dict(tables)
    for name in SHARED_TABLES:
        if name in ordered:
            keys = ["edge_offset", "edge_index"] if name == "device_events" else ["event_time", "alert", "subject"]
            ordered[name] = ordered[name].sort_by([(key, "ascending") for key in keys])
    return ordered
