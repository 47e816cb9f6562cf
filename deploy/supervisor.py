"""Keeps child processes of ours running: `tagtide up` is a bridge and the jobs, each in a process of its own.

Two processes, because each is then as fast alone as it is together, and a fault in one does not take the other with
it: a bridge goes on storing while the jobs restart.

A child that ends is started again after a pause that doubles up to a limit. Only one that ends with exit code 1 or 2
soon after its *first* start ends the whole stack: it has something to tell (a site file, a lock, a port), its message
has been printed, and trying again does not mend it. A child that was well once is tried again for ever, since what
the others do meanwhile is worth having.

A child knows its supervisor's process id from the environment, and stops when that is gone (`stop_on_signals`).
"""

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
    """A child that ran this long was started well. Python and its libraries take 1 to 3 s, on a busy machine 8."""
    stop_s: float = 30.0
    """SIGTERM asks a child to store and commit what it holds; after this it is killed, and the next start repeats."""
    look_s: float = 0.2
    """How often to look after the children."""


@dataclass(slots=True, kw_only=True)
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float
    restart_at: float | None = None
    was_well: bool = False


def tagtide_command(*arguments: str) -> list[str]:
    """Return the command line of another `tagtide` with the same interpreter."""
    return [sys.executable, "-m", "deploy.cli", *arguments]


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
            process = _started(command, log, monitoring)
            children.append(
                _Child(
                    name=name, command=command, process=process, started=time.monotonic(), pause_s=pauses.first_s / 2
                )
            )
        while not stop():
            for child in children:
                _tend(child, pauses, on_event, log, monitoring)
            time.sleep(pauses.look_s)
    finally:
        _stop_all(children, pauses.stop_s, on_event)


def _started(command: Sequence[str], log: IO[bytes] | None, monitoring: Monitoring) -> subprocess.Popen[bytes]:
    environment = os.environ | {SUPERVISOR_VARIABLE: str(os.getpid())} | monitoring.environment
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment, pass_fds=monitoring.descriptors)


def _tend(child: _Child, pauses: Pauses, on_event: OnEvent, log: IO[bytes] | None, monitoring: Monitoring) -> None:
    now = time.monotonic()
    if child.restart_at is not None:
        if now >= child.restart_at:
            child.process, child.started, child.restart_at = _started(child.command, log, monitoring), now, None
            monitoring.restarted(child.name)
        return
    code = child.process.poll()
    ran_s = now - child.started
    child.was_well |= ran_s >= pauses.settled_s
    if code is None:
        return
    if code in {1, 2} and not child.was_well:
        raise TagtideError(f"{child.name} could not start; its message is above", code="child_failed")
    child.pause_s = pauses.first_s if ran_s > pauses.anew_s else min(2 * child.pause_s, pauses.longest_s)
    child.restart_at = now + child.pause_s
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
