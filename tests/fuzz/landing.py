"""What decoders accepted goes on, through every step and into a lake, and has to arrive."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.lake import Lake
from analytics.pipeline import SitePipeline
from analytics.schemas import TABLES
from devices.bulk import decode_publications
from devices.chunk import Chunk
from devices.directory import TopicDirectory
from devices.publication import LoggedPublication
from devices.schemas import STREAMS
from devices.site import parse_site
from devices.site.model import Site
from devices.timestamps import TIME_US_MAX, TIME_US_MIN
from tests.analytics.step_laws import assert_same, concatenated
from tests.fuzz import rejections
from tests.fuzz.scratch import Scratch
from tests.fuzz.target import hold

EDGE_ID = "fuzz"
CLOCKS = ("estimate", "trusted", "arrival")
WEIGHT_TOPICS = ("mass", "touched", "state", "raw", "anything")


def topic_of(profile: str, clock: str = "estimate", last: str = "events") -> str:
    """Return the topic of a device of the fuzzed site."""
    return f"{profile}/{clock}/{last}"


def _site_toml() -> str:
    lines = ['schema = 1\nid = "s"\ntimezone = "Europe/Berlin"']
    zones = [("back", "back_room"), ("floor", "sales_floor"), ("till", "point_of_sale"), ("door", "exit")]
    for at, (zone, kind) in enumerate(zones):
        corners = f"[[{8 * at}, 0], [{8 * at + 8}, 0], [{8 * at + 8}, 9], [{8 * at}, 9]]"
        lines.append(f'[[zone]]\nid = "{zone}"\nkind = "{kind}"\npolygon = {corners}')
    for profile in ("impinj", "zebra", "tagtide"):
        for clock in CLOCKS:
            lines.append(
                f'[[reader]]\nid = "{profile}-{clock}"\nprofile = "{profile}"\nclock = "{clock}"\n'
                f'mqtt_topic = "{topic_of(profile, clock)}"'
            )
            lines += [
                f'[[reader.antenna]]\nport = {port}\nname = "a{port}"\nx = {8 * port - 4}\ny = 4' for port in (1, 3)
            ]
    for last in WEIGHT_TOPICS:
        lines.append(
            f'[[shelf]]\nid = "w-{last}"\nzone = "floor"\ngtin = "09506000134352"\nunit_grams = 410\n'
            f'capacity_units = 20\nprofile = "weight"\nmqtt_topic = "{topic_of("weight", last=last)}"'
        )
    lines.append('[[shelf]]\nid = "tagtide"\nzone = "till"\nprofile = "tagtide"\nmqtt_topic = "tagtide/shelf/events"')
    lines.append('[[feed]]\nid = "erp"\nprofile = "tagtide"\nmqtt_topic = "tagtide/feed/events"')
    return "\n".join(lines) + "\n"


SITE: Site = parse_site(_site_toml())
"""A site with every dialect, every way to take a clock, scales and a feed."""
DIRECTORY = TopicDirectory.of([SITE])


def decoded(publications: Sequence[LoggedPublication]) -> list[Chunk]:
    """Decode publications in bulk; hold every chunk to its schema and every reject to the documentation."""
    chunks = decode_publications(publications, edge_id=EDGE_ID, directory=DIRECTORY)
    for chunk in chunks:
        for stream, batch in chunk.batches.items():
            batch.validate(full=True)
            hold(batch.schema == STREAMS[stream], f"{stream} has the schema {batch.schema}")
            check_batch(stream, batch)
    return chunks


def check_batch(stream: str, batch: pa.RecordBatch) -> None:
    """Hold a batch to what no column may ever say."""
    if stream == "rejects":
        for code in set(batch["reason_code"].to_pylist()):
            hold(code != "decoder_bug", f"decoder_bug: {batch['reason'].to_pylist()[:1]}")
            hold(rejections.is_explained(code), f"docs/rejects.md does not explain {code}")
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_floating(column.type):
            hold(pc.all(pc.is_finite(column.drop_null())).as_py() is not False, f"{stream}.{name} is not finite")
        if name in {"reader_time", "from_time", "until_time"} and len(column.drop_null()):
            bounds = pc.min_max(column.cast(pa.int64())).as_py()
            hold(bounds["min"] >= TIME_US_MIN and bounds["max"] < TIME_US_MAX, f"{stream}.{name}: {bounds}")


def processed(chunks: Sequence[Chunk], cuts: Sequence[int] = (), *, reload: bool = False) -> dict[str, pa.Table]:
    """Send the site's chunks through a new pipeline and return its rows.

    Args:
        chunks: Of the whole range, in order.
        cuts: Offsets after which chunks are cut.
        reload: Whether the state goes through bytes before each piece.
    """
    pipeline = SitePipeline(SITE)
    results: list[Any] = []
    for chunk in chunks:
        if chunk.site != SITE.id:
            continue
        rest = chunk
        pieces = []
        for cut in sorted(cuts):
            if rest.first_offset <= cut < rest.last_offset:
                pieces.append(rest.through(cut))
                rest = rest.after(cut)
        for piece in (*pieces, rest):
            if reload:
                blob = pipeline.dump()
                pipeline = SitePipeline(SITE)
                hold(pipeline.load(blob) == (), "a state that was just dumped loads with a remark")
            results.append(pipeline.process(piece))
    tables = dict(concatenated(results))
    for name, table in tables.items():
        table.validate(full=True)
        hold(table.schema == TABLES[name], f"{name} has the schema {table.schema}")
    return tables


def check_chunking(whole: dict[str, pa.Table], chunks: Sequence[Chunk], cuts: Sequence[int]) -> None:
    """Hold the pipeline to its law: where chunks end changes nothing, nor does a state that goes through bytes."""
    cut = processed(chunks, cuts, reload=True)
    shared = {"device_events": ["edge_offset", "edge_index"], "alerts": ["event_time", "alert", "subject", "detail"]}

    def ordered(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
        return {
            name: table.sort_by([(key, "ascending") for key in shared[name]]) if name in shared else table
            for name, table in tables.items()
        }

    assert_same(ordered(whole), ordered(cut), "cut into pieces, with the state dumped and loaded")


def land(tables: dict[str, pa.Table]) -> None:
    """Commit tables to a new lake, and find all rows in it again."""
    scratch = Scratch()
    lake = Lake(scratch.path, writer="fuzz")
    written = lake.commit(1, tables)
    hold(written == sum(table.num_rows for table in tables.values()), f"{written} rows were written")
