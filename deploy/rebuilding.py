"""Computing a lake anew from what an edge log or Kafka still holds, beside the old one.

It is the jobs themselves that run, from the beginning to where the source ended when it began; nothing is skipped and
no cursor of the edge log is moved, so whatever runs on the old data directory goes on. The new directory can take
the old one's place: its journal stands behind the last publication that it has, and the jobs go on from there.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from analytics.data_directory import DataDirectory
from analytics.journal import Through
from analytics.runner_parts import RunnerConfig
from analytics.source import RecordSource
from deploy.assembly import open_runner, open_source
from deploy.connections import KafkaAccess
from deploy.printing import say
from devices.bulk import TopicDirectory
from devices.errors import TagtideError, UsageError
from devices.site.model import Site
from ingest.edge_log import FILE_NAME, EdgeLog
from ingest.edge_source import EdgeLogSource
from ingest.kafka_source import KafkaSource

_EPOCH_ROWS = 500_000
"""Nobody waits for a single row: large epochs, a commit a table each."""
_TELL_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildJob:
    """One `tagtide rebuild`."""

    sites: Sequence[Site]
    """Sites whose topics are in it."""
    data: DataDirectory
    """Where the edge log is."""
    into: DataDirectory
    """Where the new lake and its journal go."""
    kafka: KafkaAccess | None = None
    """The Kafka to read instead of the edge log."""

    def run(self, stop: Callable[[], bool]) -> bool:
        """Run to where the source ended when it began, or until told to stop.

        Returns:
            Whether all of it is landed and committed. The same job goes on where one was stopped.

        Raises:
            UsageError: The directories cannot be these.
            TagtideError: The source, the disk or a site file refuses.
        """
        if self.into.root.resolve() == self.data.root.resolve():
            raise UsageError("--into is --data", hint="give another directory; the old lake is not touched")
        if (self.into.edge / FILE_NAME).exists():
            raise UsageError(f"{self.into.root} has an edge log of its own", hint="give a directory without one")
        source, ended = self._from_kafka() if self.kafka is not None else self._from_edge_log()
        runner = open_runner(
            self.sites,
            self.into,
            config=RunnerConfig(epoch_rows_limit=_EPOCH_ROWS),
            on_event=lambda event: say(str(event)),
            source=source,
        )
        told_at = time.monotonic()

        def finished(_: Through) -> bool:
            nonlocal told_at
            if time.monotonic() - told_at >= _TELL_EVERY_S:
                told_at = time.monotonic()
                say(f"{runner.stats.rows.get('reads', 0):,} reads landed")
            return ended()

        with closing(runner):
            runner.run(stop, until=finished)
            complete = ended()
        landed = ", ".join(f"{count:,} {name}" for name, count in sorted(runner.stats.rows.items()))
        say(f"landed in {self.into.lake}: {landed or 'nothing'}")
        say(_HOW_TO_USE if complete else "stopped before the end; the same command goes on from here")
        return complete

    def _from_edge_log(self) -> tuple[RecordSource, Callable[[], bool]]:
        path = self.data.edge / FILE_NAME
        if not path.exists():
            raise TagtideError(
                f"there is no edge log {path}",
                hint="name the --data directory of the bridge, or --kafka",
                code="edge_log_missing",
            )
        log = EdgeLog.open(path)
        last = log.last_offset
        source = EdgeLogSource(log, TopicDirectory.of(self.sites), cursor=None)
        kept = log.count_after(0)
        begins = log.read(0, 1, 1)
        if begins:
            at = datetime.fromtimestamp(begins[0].publication.received_us / 1e6, UTC)
            say(f"from the edge log {path}: {kept:,} publications, the first received {at:%Y-%m-%d %H:%M:%S} UTC")
            if begins[0].edge_offset > 1:
                say(
                    f"publications before offset {begins[0].edge_offset} are no longer kept: the new lake begins"
                    " there, with nothing known from before"
                )
        return source, lambda: source.offset >= last

    def _from_kafka(self) -> tuple[RecordSource, Callable[[], bool]]:
        source = open_source(self.sites, self.into, self.kafka, lambda event: say(str(event)))
        assert isinstance(source, KafkaSource)
        ends: dict[int, int] | None = None

        def ended() -> bool:
            nonlocal ends
            if ends is None and (ends := source.progress_ends()) is not None:
                say(f"from Kafka: {sum(ends.values()):,} progress records")
            return ends is not None and source.has_reached(ends)

        return source, ended


_HOW_TO_USE = (
    "to use it: stop the jobs, move lake and jobs of the old directory aside and these to their places, start the jobs"
)
