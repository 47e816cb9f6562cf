"""Keeps child processes of ours running: `tagtide up` is a bridge and the jobs, each in a process of its own.

Two processes, because each is then as fast alone as it is together, and a fault in one does not take the other with
it: a bridge goes on storing while the jobs restart.

A child that ends is started again after a pause that doubles up to a limit. Only one that ends with exit code 1 or 2
soon after its *first* start ends the whole stack: it has something to tell (a site file, a lock, a port), its message
has been printed, and trying again does not mend it. A child that was well once is tried again for ever, since what
the others do meanwhile is worth having. Soon is counted from when the child says that it has come up (`tell_started`),
which takes a second, and on a busy machine half a minute.

A child knows its supervisor's process id from the environment, and stops when that is gone (`stop_on_signals`).
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from deploy.telemetry.monitoring import Monitoring
from devices.errors import TagtideError
from devices.events import Event, EventLevel, OnEvent

SUPERVISOR_VARIABLE = "TAGTIDE_SUPERVISOR"
"""Environment variable by which a child knows its supervisor's process id."""

STARTED_VARIABLE = "TAGTIDE_STARTED"
"""Environment variable by which a child knows the descriptor of a pipe into which it tells that it has come up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """How long a supervisor waits for what, in seconds."""

    first_s: float = 0.5
    """Pause before the first restart."""
    longest_s: float = 30.0
    """Pauses double up to this."""
    anew_s: float = 30.0
    """A child that ran for longer than this begins anew with the first pause."""
    settled_s: float = 15.0
    """A child that ran this long after it had come up was started well."""
    start_s: float = 300.0
    """A child that never said that it had come up is taken to have done so after this long."""
    stop_s: float = 30.0
    """SIGTERM asks a child to store and commit what it holds; after this it is killed, and the next start repeats."""
    look_s: float = 0.2
    """How often to look after the children."""


@dataclass(slots=True, kw_only=True)
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    telling: int
    """The pipe's end at which we hear that it has come up."""
    started: float
    pause_s: float
    restart_at: float | None = None
    up_at: float | None = None
    was_well: bool = False

    def hear(self, now: float, start_s: float) -> None:
        """Note since when it is up."""
        with contextlib.suppress(BlockingIOError):
            if self.up_at is None and os.read(self.telling, 1):
                self.up_at = now
        if self.up_at is None and now - self.started >= start_s:
            self.up_at = self.started + start_s

    def forget(self) -> None:
        """Close what belonged to the process that has ended."""
        os.close(self.telling)
        self.up_at = None


def tagtide_command(*arguments: str) -> list[str]:
    """Return the command line of another `tagtide` with the same interpreter."""
    return [sys.executable, "-m", "deploy.cli", *arguments]


def tell_started() -> None:
    """Tell our supervisor, where there is one, that we have come up; a second time tells nothing."""
    descriptor = os.environ.pop(STARTED_VARIABLE, None)
    if descriptor is not None:
        with contextlib.suppress(OSError):  # it is gone
            os.write(int(descriptor), b".")
            os.close(int(descriptor))


def supervise(
    commands: Mapping[str, Sequence[str]],
    stop: Callable[[], bool],
    on_event: OnEvent,
    *,
    log: IO[bytes] | None = None,
    pauses: Pauses | None = None,
    monitoring: Monitoring | None = None,
) -> None:
    """Run commands until told to stop, starting again what ends.

    Args:
        commands: Command line by name.
        stop: Asked a few times a second; true ends all of them, politely first.
        on_event: Told what happens.
        log: Where the children's output goes; ours where absent.
        pauses: How long to wait for what.
        monitoring: What the children report to.

    Raises:
        TagtideError: A child cannot start.
    """
    pauses = pauses or Pauses()
    monitoring = monitoring or Monitoring()
    children: list[_Child] = []
    try:
        for name, command in commands.items():
            process, telling = _started(command, log, monitoring)
            children.append(
                _Child(
                    name=name,
                    command=command,
                    process=process,
                    telling=telling,
                    started=time.monotonic(),
                    pause_s=pauses.first_s / 2,
                )
            )
        while not stop():
            for child in children:
                _tend(child, pauses, on_event, log, monitoring)
            time.sleep(pauses.look_s)
    finally:
        _stop_all(children, pauses.stop_s, on_event)
        for child in children:
            if child.restart_at is None:
                child.forget()


def _started(
    command: Sequence[str], log: IO[bytes] | None, monitoring: Monitoring
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a child; returns it and where to hear that it has come up."""
    telling, told = os.pipe()
    os.set_blocking(telling, False)
    ours = {SUPERVISOR_VARIABLE: str(os.getpid()), STARTED_VARIABLE: str(told)}
    try:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | ours | monitoring.environment,
            pass_fds=(told, *monitoring.descriptors),
        )
    except BaseException:
        os.close(telling)
        raise
    finally:
        os.close(told)
    return process, telling


def _tend(child: _Child, pauses: Pauses, on_event: OnEvent, log: IO[bytes] | None, monitoring: Monitoring) -> None:
    now = time.monotonic()
    if child.restart_at is not None:
        if now >= child.restart_at:
            child.process, child.telling = _started(child.command, log, monitoring)
            child.started, child.restart_at = now, None
            monitoring.restarted(child.name)
        return
    code = child.process.poll()
    ran_s = now - child.started
    child.hear(now, pauses.start_s)
    child.was_well |= child.up_at is not None and now - child.up_at >= pauses.settled_s
    if code is None:
        return
    if code in {1, 2} and not child.was_well:
        raise TagtideError(f"{child.name} could not start; its message is above", code="child_failed")
    child.pause_s = pauses.first_s if ran_s > pauses.anew_s else min(2 * child.pause_s, pauses.longest_s)
    child.restart_at = now + child.pause_s
    child.forget()
    ended = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    text = f"{child.name} {ended}; starting it again in {child.pause_s:.1f} s"
    on_event(
        Event(level=EventLevel.ERROR, code="process_ended", text=text, fields={"process": child.name, "code": code})
    )


def _stop_all(children: Sequence[_Child], within_s: float, on_event: OnEvent) -> None:
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + within_s
    for child in children:
        try:
            child.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            text = f"{child.name} has not stopped within {within_s:g} s and is killed"
            on_event(Event(level=EventLevel.ERROR, code="process_killed", text=text, fields={"process": child.name}))
            child.process.kill()
            child.process.wait()
