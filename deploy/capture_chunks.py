"""A capture as decoded chunks, without edge log and lake: for evaluation."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from devices.bulk import TopicDirectory, decode_publications
from devices.chunk import Chunk
from devices.publication import CLOCK_TOPIC, LoggedPublication, Publication
from devices.site.model import Site
from ingest.capture import CaptureProblem, read_capture

CHUNK_PUBLICATIONS = 20_000
"""Publications decoded at once: some tens of MB of Arrow."""


def capture_chunks(
    capture: Path,
    sites: Sequence[Site],
    progress: Callable[[int], None] = lambda _: None,
    on_problem: Callable[[CaptureProblem], None] = lambda _: None,
) -> Iterator[Chunk]:
    """Yield a capture's chunks in edge order, as a replay would see them.

    Args:
        capture: The file.
        sites: Sites whose topics it holds.
        progress: Told how many publications were read.
        on_problem: Told of each line that cannot be read; it is in no chunk.

    Raises:
        CaptureError: The capture cannot be opened.
    """
    directory = TopicDirectory.of(sites)
    waiting: list[LoggedPublication] = []
    offset = last_received_us = 0
    for entry in read_capture(capture):
        if isinstance(entry, CaptureProblem):
            on_problem(entry)
            continue
        offset += 1
        last_received_us = max(last_received_us, entry.received_us)
        waiting.append(LoggedPublication(edge_offset=offset, publication=entry))
        if len(waiting) == CHUNK_PUBLICATIONS:
            progress(offset)
            yield from decode_publications(waiting, edge_id="evaluation", directory=directory)
            waiting = []
    end = Publication(topic=CLOCK_TOPIC, payload=b"", received_us=last_received_us)
    waiting.append(LoggedPublication(edge_offset=offset + 1, publication=end))
    yield from decode_publications(waiting, edge_id="evaluation", directory=directory)
