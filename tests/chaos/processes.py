"""The daemons as an operator runs them: started again when they end, found by what they are, hit by signals."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.harness_thread import HarnessThread

_RESTART_S = 1.0  # pause before what ended by itself is started again; systemd's would be 2
_LOOK_S = 0.1
STOP_DEADLINE_S = 45.0
"""How long SIGTERM may take: `TimeoutStopSec` of the shipped unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A process that ended by itself."""

    started_us: int
    """When it had been started, microseconds since the epoch."""
    at_us: int
    """When that was seen."""
    text: str
    """Which process, and how it ended."""


class Service:
    """A process under a supervisor like systemd's `Restart=always`."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        """Name a service; nothing runs yet.

        Args:
            name: What it is called.
            command: Its command line.
            log: Where its output goes.
        """
        self.name = name
        """What it is called."""
        self.log = log
        """Where its output goes."""
        self.ends: list[End] = []
        """What ended when nobody had asked for that."""
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_us = 0
        self._wanted = False
        self._restart_at: float | None = None
        self._guard = threading.RLock()
        self._over = threading.Event()
        self._keeper = HarnessThread(f"keeper {name}", self._keep)
        self._keeper.start()

    def start(self) -> None:
        """Start it; nothing happens where it runs."""
        with self._guard:
            self._wanted = True
            self._restart_at = None
            if self._process is None or self._process.poll() is not None:
                self._started_us = time.time_ns() // 1000
                with self.log.open("ab") as sink:
                    self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)

    def kill(self) -> None:
        """End it with SIGKILL; it stays down until `start`."""
        with self._guard:
            self._wanted = False
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def terminate(self) -> float:
        """Ask it to end and wait; it stays down until `start`.

        Returns:
            How long it took, seconds.

        Raises:
            TimeoutError: It was not gone within the deadline, and has been killed.
        """
        began = time.monotonic()
        with self._guard:
            self._wanted = False
            process = self._process
        if process is None or process.poll() is not None:
            return 0.0
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"{self.name} was not gone {STOP_DEADLINE_S:g} s after SIGTERM") from None
        return time.monotonic() - began

    def end(self) -> None:
        """End it for good."""
        self._over.set()
        with contextlib.suppress(TimeoutError):
            self.terminate()
        self._keeper.join()

    def check(self) -> None:
        """Raise what its keeper has died of, if it has."""
        self._keeper.check()

    def said(self) -> str:
        """Return what it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _keep(self) -> None:
        while not self._over.wait(_LOOK_S):
            with self._guard:
                if not self._wanted or self._process is None or self._process.poll() is None:
                    continue
                now = time.monotonic()
                if self._restart_at is None:
                    text = f"{self.name} ended with {self._process.returncode}"
                    self.ends.append(End(started_us=self._started_us, at_us=time.time_ns() // 1000, text=text))
                    self._restart_at = now + _RESTART_S
                elif now >= self._restart_at:
                    self.start()


def pids_of(words: Sequence[str], directory: Path) -> list[int]:
    """Return the processes whose command line has all these words and names something in a directory."""
    return [
        pid
        for pid, arguments in _command_lines()
        if set(words) <= set(arguments) and any(str(directory) in argument for argument in arguments)
    ]


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to each that still lives."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _command_lines() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")


def within(timeout_s: float, condition: Callable[[], bool]) -> bool:
    """Wait until something is so; return whether it came to be in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
