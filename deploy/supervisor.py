"""Keeps child processes of ours running: `tagtide up` is a bridge and the jobs, each in a process of its own.

Two processes, because each is then as fast alone as it is together, and a fault in one does not take the other with
it: a bridge goes on storing while the jobs restart. A child that ends is started again after a pause that doubles
up to a limit; one that ends with exit code 1 or 2 at once has something to tell (a site file, a port, a lock), so its
message has been printed and the whole stack stops.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from devices.errors import TagtideError

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SETTLED_S = 5.0
"""A child that ran this long was started well; one that fails sooner is not mended by trying again."""
STOP_TIMEOUT_S = 30.0
"""SIGTERM asks a child to store and commit what it holds; later it is killed, and repeats at its next start."""
SUPERVISOR_VARIABLE = "TAGTIDE_SUPERVISOR_PID"
"""Environment variable by which a child knows its supervisor: it stops, in order, when that is gone."""


@dataclass(slots=True, kw_only=True)
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    started: float
    log: IO[bytes] | None
    pause: float = FIRST_PAUSE_S
    restart_at: float | None = None


def tagtide_command(*arguments: str) -> list[str]:
    """Return the command line of another `tagtide` with the same interpreter."""
    return [sys.executable, "-m", "deploy.cli", *arguments]


def supervise(
    commands: Mapping[str, Sequence[str]],
    stop: Callable[[], bool],
    on_event: Callable[[str], None],
    *,
    log: IO[bytes] | None = None,
) -> None:
    """Run commands until told to stop, starting again what ends.

    Args:
        commands: Command line by name.
        stop: Asked a few times a second; true ends all of them, politely first.
        on_event: Told what happens, in one line.
        log: Where the children's output goes; ours where absent.

    Raises:
        TagtideError: A child cannot start.
    """
    children = [
        _Child(name=name, command=command, process=_started(command, log), started=time.monotonic(), log=log)
        for name, command in commands.items()
    ]
    try:
        while not stop():
            for child in children:
                _tend(child, on_event)
            time.sleep(0.2)
    finally:
        _stop_all(children)


def _started(command: Sequence[str], log: IO[bytes] | None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())}
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def _tend(child: _Child, on_event: Callable[[str], None]) -> None:
    now = time.monotonic()
    if child.restart_at is not None:
        if now >= child.restart_at:
            child.process, child.started, child.restart_at = _started(child.command, child.log), now, None
        return
    code = child.process.poll()
    if code is None:
        return
    ran_s = now - child.started
    if code in {1, 2} and ran_s < SETTLED_S:
        raise TagtideError(f"{child.name} could not start; its message is above", code="child_failed")
    child.pause = FIRST_PAUSE_S if ran_s > LONGEST_PAUSE_S else min(2 * child.pause, LONGEST_PAUSE_S)
    child.restart_at = now + child.pause
    on_event(f"{child.name} ended with code {code}; starting it again in {child.pause:.1f} s")


def _stop_all(children: Sequence[_Child]) -> None:
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for child in children:
        try:
            child.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
