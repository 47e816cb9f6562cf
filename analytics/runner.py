"""The runner: carries site pipelines from a record source to the lake, so that each row lands exactly once.

The same runner serves the embedded and the Kafka case; only its `RecordSource` differs. One turn of its loop:

1. gather chunks for an epoch, until it has enough rows or its interval is over;
2. plan it: number, position and the offsets in it, durably, in the journal;
3. run the pipelines over it;
4. commit each table's rows to the lake under the epoch's number;
5. now and then, checkpoint the pipelines' state and release the source up to there.

A crash after 2 leads back to 1 with the plan in hand: the same rows, through the same state (the newest checkpoint
plus the planned epochs since), give the same outputs, and the lake skips tables that already have them.

States: `recovering` (repeating planned epochs) -> `running` -> (`holding` while disk or lake refuse, then `running`)
-> `stopped`. Only this module and the daemons read a clock; pipelines never do.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from analytics.journal import EpochPlan, Through
from analytics.pipeline import SitePipeline
from analytics.runner_parts import EpochJournal, EpochLake, RunnerConfig, RunnerStats
from analytics.source import RecordSource
from devices.chunk import Chunk
from devices.errors import Recovery, TagtideError
from devices.events import Event, EventLevel, OnEvent, ignore
from devices.site.model import Site

Stop = Callable[[], bool]


class Runner:
    """Runs site pipelines over a source into a lake."""

    def __init__(
        self,
        *,
        source: RecordSource,
        sites: Sequence[Site],
        lake: EpochLake,
        journal: EpochJournal,
        config: RunnerConfig | None = None,
        on_event: OnEvent = ignore,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        open_pipeline: Callable[[Site], SitePipeline] = SitePipeline,
    ) -> None:
        """Prepare; `run` begins with what the journal remembers.

        Args:
            source: Where chunks come from.
            sites: Sites whose chunks go through a pipeline; those of others are landed as they came.
            lake: Where rows go.
            journal: Where plans and state are kept.
            config: How epochs are cut.
            on_event: Told what happens.
            sleep: Waits while disk or lake refuse, seconds.
            monotonic: Seconds, of a clock that never goes back.
            open_pipeline: Makes a site's pipeline.
        """
        self._monotonic = monotonic
        self._source = source
        self._lake = lake
        self._journal = journal
        self._config = config or RunnerConfig()
        self._on_event = on_event
        self._sleep = sleep
        self._sites = {site.id: site for site in sites}
        self._pipelines = {site.id: open_pipeline(site) for site in sites}
        self._held_back: list[Chunk] = []
        self._strangers: set[str] = set()
        self._last = EpochPlan(epoch=0, position=b"", through={})
        self._checkpointed_epoch = 0
        self._unreleased: bytes | None = None
        self._checkpointed_at = self._monotonic()
        self.stats = RunnerStats()

    def run(self, stop: Stop, *, until: Callable[[Through], bool] = lambda _: False) -> None:
        """Recover, then take in chunks until told to stop.

        Args:
            stop: Asked at least once an epoch; true ends the run after the current epoch.
            until: Asked after each commit with what is committed; true ends the run.

        Raises:
            TagtideError: Something that trying again does not mend.
        """
        try:
            self._recover(stop)
            self.stats.state = "running"
            while not stop() and not until(self._last.through):
                chunks = self._gather(stop)
                if not chunks:
                    self._release()
                    self.stats.position = self._source.position()  # what came, if anything did, gave no rows
                else:
                    self._run_epoch(self._planned(chunks, stop), chunks, stop)
                if self._monotonic() - self._checkpointed_at >= self._config.checkpoint_interval_s:
                    self._checkpoint(stop)  # in a silent site too: a bridge at its bound waits for the release
            self._checkpoint(stop)
        except _StoppedWhileHoldingError as error:
            text = f"stopped while holding; the next start goes on from the last checkpoint: {error}"
            self._tell(EventLevel.WARNING, "jobs_stopped_holding", text)
        self.stats.state = "stopped"

    def remembered(self) -> tuple[int, int] | None:
        """Return the epoch of the checkpoint that a run begins with, and how many were planned since.

        Returns:
            `None` where nothing was ever planned.
        """
        checkpoint = self._journal.latest()
        epoch = 0 if checkpoint is None else checkpoint.plan.epoch
        planned = len(self._journal.planned_after(epoch))
        return (epoch, planned) if checkpoint is not None or planned else None

    @property
    def source(self) -> RecordSource:
        """Where chunks come from."""
        return self._source

    def close(self) -> None:
        """Let go of source and journal: another process may have them now."""
        self._source.close()
        self._journal.close()

    def _recover(self, stop: Stop) -> None:
        checkpoint = self._journal.latest()
        if checkpoint is not None:
            for site_id, blob in checkpoint.states.items():
                if site_id in self._pipelines:
                    for warning in self._pipelines[site_id].load(blob):
                        self._tell(EventLevel.WARNING, "state_partly_used", warning, site=site_id)
            self._last = checkpoint.plan
            self._checkpointed_epoch = checkpoint.plan.epoch
        self._source.seek(self._last.position or None)
        # We may have died between the checkpoint and the release. An edge log at its bound would then wait for the
        # release, the bridge for room in the log, and the next checkpoint for rows from the bridge.
        self._unreleased = self._last.position or None
        self._release()
        self.stats.through = self._last.through
        self.stats.position = self._last.position or None
        for plan in self._journal.planned_after(self._last.epoch):
            self._run_epoch(plan, self._gather_planned(plan, stop), stop)
            self.stats.repeated_epochs += 1
        if self.stats.repeated_epochs:
            text = f"repeated {self.stats.repeated_epochs} epochs that had been planned before the restart"
            self._tell(EventLevel.INFO, "epochs_repeated", text, epochs=self.stats.repeated_epochs)

    def _gather(self, stop: Stop) -> list[Chunk]:
        """Return the chunks of a new epoch; empty where nothing came."""
        chunks, self._held_back = self._held_back, []
        rows = sum(chunk.rows for chunk in chunks)
        deadline = self._monotonic() + self._config.epoch_interval_s
        while rows < self._config.epoch_rows_limit and not stop():
            left = deadline - self._monotonic()
            if left <= 0:
                break
            found = self._source.poll(max_rows=self._config.epoch_rows_limit - rows, timeout_s=min(left, 0.2))
            chunks += found
            rows += sum(chunk.rows for chunk in found)
        return [chunk for chunk in chunks if chunk.last_row_offset is not None]

    def _gather_planned(self, plan: EpochPlan, stop: Stop) -> list[Chunk]:
        """Return exactly the rows of an epoch that was planned before a restart."""
        taken: list[Chunk] = []
        reached = _copied(self._last.through)
        polls = 0
        while polls < _RECOVERY_POLLS_LIMIT:
            waiting, self._held_back = self._held_back, []
            for chunk in waiting:
                last = plan.through.get(chunk.site or "", {}).get(chunk.edge_id, 0)
                mine, later = chunk.through(last), chunk.after(last)
                if _advance(reached, mine):
                    taken.append(mine)
                if later.last_row_offset is not None:
                    self._held_back.append(later)
            if reached == plan.through:
                return taken
            if stop():
                raise _StoppedWhileHoldingError(f"the source has not given epoch {plan.epoch} again yet")
            self._held_back += self._source.poll(max_rows=self._config.epoch_rows_limit, timeout_s=1.0)
            polls += not self._source.is_away
        raise TagtideError(
            f"the source no longer holds what epoch {plan.epoch} was made of",
            hint="edge log or Kafka retention is shorter than the checkpoint interval, or was reset",
            code="source_truncated",
        )

    def _planned(self, chunks: Sequence[Chunk], stop: Stop) -> EpochPlan:
        through = _copied(self._last.through)
        for chunk in chunks:
            _advance(through, chunk)
        plan = EpochPlan(epoch=self._last.epoch + 1, position=self._source.position(), through=through)
        self._persist(lambda: self._journal.plan(plan), stop)
        return plan

    def _run_epoch(self, plan: EpochPlan, chunks: Sequence[Chunk], stop: Stop) -> None:
        rows = self._process(chunks)
        self._persist(lambda: self._lake.commit(plan.epoch, rows), stop)
        for name, table in rows.items():
            self.stats.rows[name] = self.stats.rows.get(name, 0) + table.num_rows
        self._last = plan
        self.stats.epochs += 1
        self.stats.through = plan.through
        self.stats.position = plan.position
        self.stats.landing.land(chunks, rows)
        if self.stats.uncheckpointed_since_s is None:
            self.stats.uncheckpointed_since_s = self._monotonic()
        self._persist(self._lake.maintain, stop)

    def _process(self, chunks: Sequence[Chunk]) -> dict[str, pa.Table]:
        gathered: dict[str, list[pa.Table]] = {}
        for chunk in chunks:
            self.stats.landing.take_in(chunk)
            for name, table in self._outputs(chunk).items():
                if table.num_rows:
                    gathered.setdefault(name, []).append(table)
        return {name: pa.concat_tables(tables) for name, tables in gathered.items()}

    def _outputs(self, chunk: Chunk) -> Mapping[str, pa.Table]:
        pipeline = self._pipelines.get(chunk.site or "")
        if pipeline is not None:
            before = dict(pipeline.repeats)
            outputs = pipeline.process(chunk)
            self.stats.landing.drop({name: count - before.get(name, 0) for name, count in pipeline.repeats.items()})
            return outputs
        if chunk.site is not None and chunk.site not in self._strangers:
            self._strangers.add(chunk.site)
            text = f"site '{chunk.site}' has no site file here: its records are landed as they came, without locations"
            self._tell(EventLevel.WARNING, "site_unknown", text, site=chunk.site)
        return {name: pa.Table.from_batches([batch]) for name, batch in chunk.batches.items()}

    def _persist(self, action: Callable[[], object], stop: Stop) -> None:
        """Do something durable, again and again while the world refuses it; give up only when told to stop."""
        pause = self._config.retry_interval_s
        while True:
            try:
                action()
            except TagtideError as error:
                if error.recovery is not Recovery.RETRY:
                    raise
                if self.stats.problem is None:
                    self._tell(EventLevel.WARNING, "jobs_holding", f"holding: {error}", cause=error.code)
                self.stats.state, self.stats.problem = "holding", str(error)
                if stop():
                    raise _StoppedWhileHoldingError(str(error)) from error
                self._pause(pause, stop)
                pause = min(2 * pause, 30.0)
            else:
                if self.stats.problem is not None:
                    self._tell(EventLevel.INFO, "jobs_resumed", "going on: writing works again")
                    self.stats.state, self.stats.problem = "running", None
                return

    def _pause(self, seconds: float, stop: Stop) -> None:
        """Wait, but notice that we are told to stop: a supervisor kills after 30 s."""
        while seconds > 0 and not stop():
            self._sleep(min(seconds, _PAUSE_SLICE_S))
            seconds -= _PAUSE_SLICE_S

    def _checkpoint(self, stop: Stop) -> None:
        self._checkpointed_at = self._monotonic()
        if self._last.epoch == self._checkpointed_epoch:
            return
        states = {site_id: pipeline.dump() for site_id, pipeline in self._pipelines.items()}
        self._persist(lambda: self._journal.checkpoint(self._last.epoch, states), stop)
        self._checkpointed_epoch = self._last.epoch
        self.stats.checkpoints += 1
        self.stats.uncheckpointed_since_s = None
        self._unreleased = self._last.position
        self._release()

    def _release(self) -> None:
        """Let the source trim what the newest checkpoint covers; where that is refused now, it is asked again."""
        if self._unreleased is None:
            return
        try:
            self._source.release(self._unreleased)
        except TagtideError as error:
            if error.recovery is not Recovery.RETRY:
                raise
        else:
            self._unreleased = None

    def _tell(self, level: EventLevel, code: str, text: str, **fields: str | int) -> None:
        self._on_event(Event(level=level, code=code, text=text, fields=fields))


def _copied(through: Through) -> Through:
    return {site: dict(logs) for site, logs in through.items()}


def _advance(through: Through, chunk: Chunk) -> bool:
    """Move `through` to a chunk's last row; return whether it has one."""
    last = chunk.last_row_offset
    if last is None:
        return False
    through.setdefault(chunk.site or "", {})[chunk.edge_id] = last
    return True


class _StoppedWhileHoldingError(Exception):
    """We were told to stop while the disk refused: the planned epoch will be repeated at the next start."""


_PAUSE_SLICE_S = 0.5
_RECOVERY_POLLS_LIMIT = 600
"""Polls of a second each while repeating an epoch, with the source there: ten minutes without the records, and they are
not coming. Kafka away counts for nothing: that says nothing about what it holds."""
