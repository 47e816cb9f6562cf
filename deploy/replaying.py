"""A replay from capture to committed lake: one thread fills the edge log, the runner follows to its end."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from analytics.data_directory import DataDirectory
from analytics.journal import Through
from analytics.runner import Runner
from analytics.runner_parts import RunnerConfig
from deploy.assembly import open_runner
from deploy.bridging import forwarding
from deploy.connections import KafkaAccess
from deploy.printing import say
from devices.events import Event
from devices.site.model import Site
from ingest.capture import open_capture
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
    kafka: KafkaAccess | None = None
    """Which Kafka to go through, if any."""
    again: bool = False
    """Replay a capture that is there already."""
    _filled: ReplayProgress | None = None
    _result: ReplayResult | None = None
    _failure: BaseException | None = None

    def run(self, stop: Callable[[], bool]) -> bool:
        """Run to the end of the capture, or until told to stop.

        Returns:
            Whether all of the capture is landed and committed.

        Raises:
            TagtideError: The capture, a site file, the disk or Kafka refuses.
        """
        checked_speed(self.speed)
        open_capture(self.capture).close()  # before anything is created for it
        with (
            closing(EdgeLog.open(self.data.edge)) as log,
            closing(
                open_runner(self.sites, self.data, kafka=self.kafka, config=self._config(), on_event=_say_event)
            ) as runner,
        ):
            landed = self._fill_and_run(log, runner, stop)
        if self._failure is not None:
            raise self._failure
        assert self._result is not None, "the filling thread ended without a failure"
        self._tell_end(runner, self._result, complete=landed)
        return landed

    def _fill_and_run(self, log: EdgeLog, runner: Runner, stop: Callable[[], bool]) -> bool:
        """Fill the log and land what is in it; return whether that is all of the capture."""
        ended = threading.Event()
        through: Through = {}

        def stopping() -> bool:
            return stop() or ended.is_set()

        filling = threading.Thread(target=self._fill, args=(log, stopping, ended), name="replay-fill")
        with _progress() as progress, forwarding(self.data, self.sites, self.kafka, _say_event) as forwarding_failed:
            task = progress.add_task("", total=None)

            def finished(committed: Through) -> bool:
                through.update(committed)
                progress.update(task, description=self._told(runner))
                return self._failure is not None or self._landed(log.edge_id, through)

            filling.start()
            try:
                runner.run(lambda: stop() or forwarding_failed(), until=finished)
            finally:
                ended.set()
                filling.join()
        return self._landed(log.edge_id, through)

    def _config(self) -> RunnerConfig:
        # As fast as it goes, epochs are as large as memory allows: 8 commits each instead of 8 a second.
        return RunnerConfig() if self.speed != MAX_SPEED else RunnerConfig(epoch_rows_limit=500_000)

    def _fill(self, log: EdgeLog, stop: Callable[[], bool], ended: threading.Event) -> None:
        try:
            self._result = replay_into_log(
                self.capture,
                log,
                speed=self.speed,
                progress=self._note,
                again=self.again,
                stop=stop,
                sleep=lambda seconds: _sleep(seconds, stop, ended),
            )
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
            self._failure = error

    def _note(self, progress: ReplayProgress) -> None:
        self._filled = progress

    def _landed(self, edge_id: str, through: Through) -> bool:
        if self._result is None or not self._result.finished:
            return False
        reached = max((logs.get(edge_id, 0) for logs in through.values()), default=0)
        return reached >= self._result.last_offset

    def _told(self, runner: Runner) -> str:
        read = self._filled.entries if self._filled else 0
        return f"{read:,} publications read, {runner.stats.rows.get('reads', 0):,} reads landed"

    def _tell_end(self, runner: Runner, result: ReplayResult, *, complete: bool) -> None:
        if result.finished and not result.entries:
            say(f"{self.capture} holds no publications: nothing was added")
            return
        if complete and not result.added and not runner.stats.rows:
            say(f"this capture was replayed into {self.data.root} before: nothing was added (--again replays it again)")
            return
        landed = ", ".join(f"{count:,} {name}" for name, count in sorted(runner.stats.rows.items()))
        say(f"{result.added:,} publications replayed; landed: {landed or 'nothing'}")
        if result.problems:
            lines = "1 line" if result.problems == 1 else f"{result.problems:,} lines"
            say(f"{lines} of the capture could not be read: see the rejects")
        if runner.stats.rows.get("rejects"):
            say(f"rejects are explained by: tagtide sql --data {self.data.root} rejects-by-reason")
        if not complete:
            say("stopped before the end of the capture; the same command goes on from here")


def _say_event(event: Event) -> None:
    say(event.text)


def _progress() -> Progress:
    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _sleep(seconds: float, stop: Callable[[], bool], ended: threading.Event) -> None:
    """Wait, but not for longer than it takes to notice that everything is to stop."""
    slice_s = 0.1
    while seconds > 0 and not stop():
        ended.wait(min(seconds, slice_s))
        seconds -= slice_s
