"""A replay from capture to committed lake: one thread fills the edge log, the runner follows to its end."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from analytics.data_directory import DataDirectory
from analytics.journal import Through
from analytics.runner import Runner, RunnerConfig
from deploy.assembly import open_runner
from deploy.bridging import forwarding
from devices.site.model import Site
from ingest.edge_log import EdgeLog
from ingest.replay import MAX_SPEED, ReplayProgress, ReplayResult, checked_speed, replay_into_log


@dataclass(slots=True, kw_only=True)
class ReplayJob:
    """One `tagtide replay` into a data directory."""

    capture: Path
    """The capture's file."""
    sites: Sequence[Site]
    """Sites whose topics it holds."""
    data: DataDirectory
    """Where to."""
    speed: str = MAX_SPEED
    """`max`, or how many times faster than recorded."""
    kafka: str | None = None
    """Bootstrap servers, to go through Kafka."""
    again: bool = False
    """Replay a capture that is there already."""
    _filled: ReplayProgress | None = None
    _result: ReplayResult | None = None
    _failure: BaseException | None = None

    def run(self, stop: Callable[[], bool]) -> ReplayResult:
        """Run to the end of the capture, or until told to stop.

        Raises:
            TagtideError: The capture, a site file, the disk or Kafka refuses.
        """
        console = Console(stderr=True, highlight=False)
        checked_speed(self.speed)
        log = EdgeLog.open(self.data.edge)
        runner = open_runner(self.sites, self.data, kafka=self.kafka, config=self._config(), on_event=console.print)
        filling = threading.Thread(target=self._fill, args=(log, stop), name="replay-fill")
        with self._progress(console) as progress, forwarding(self.data, self.sites, self.kafka):
            task = progress.add_task("", total=None)

            def finished(through: Through) -> bool:
                progress.update(task, description=self._told(runner))
                return self._failure is not None or self._landed(log.edge_id, through)

            filling.start()
            runner.run(stop, until=finished)
            filling.join()
        if self._failure is not None:
            raise self._failure
        assert self._result is not None, "the filling thread ended without a failure"
        log.close()
        self._tell_end(console, runner, self._result)
        return self._result

    def _config(self) -> RunnerConfig:
        # As fast as it goes, epochs are as large as memory allows: 8 commits each instead of 8 a second.
        return RunnerConfig() if self.speed != MAX_SPEED else RunnerConfig(epoch_rows_limit=500_000)

    def _fill(self, log: EdgeLog, stop: Callable[[], bool]) -> None:
        try:
            self._result = replay_into_log(
                self.capture, log, speed=self.speed, progress=self._note, again=self.again, stop=stop
            )
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
            self._failure = error

    def _note(self, progress: ReplayProgress) -> None:
        self._filled = progress

    def _landed(self, edge_id: str, through: Through) -> bool:
        if self._result is None:
            return False
        reached = max((logs.get(edge_id, 0) for logs in through.values()), default=0)
        return reached >= self._result.last_offset

    def _told(self, runner: Runner) -> str:
        read = self._filled.entries if self._filled else 0
        return f"{read:,} publications read, {runner.stats.rows.get('reads', 0):,} reads landed"

    def _progress(self, console: Console) -> Progress:
        return Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )

    def _tell_end(self, console: Console, runner: Runner, result: ReplayResult) -> None:
        if not result.added:
            console.print(
                f"this capture was replayed into {self.data.root} before: nothing was added (--again replays it again)"
            )
            return
        landed = ", ".join(f"{count:,} {name}" for name, count in sorted(runner.stats.rows.items()))
        console.print(f"{result.added:,} publications replayed; landed: {landed or 'nothing'}")
        if result.problems:
            console.print(f"{result.problems:,} lines of the capture could not be read; they are rejects")
        if runner.stats.rows.get("rejects"):
            console.print(f"rejects are explained by: tagtide sql --data {self.data.root} rejects-by-reason")
