"""Running the `tagtide` command as its users do: as a process, seen from outside."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from analytics.query import ask, connect
from deploy.supervisor import tagtide_command
from devices.errors import TagtideError

DEADLINE_S = 240.0
"""Longest that anything may take; reached only when it fails. The kernels of a fresh machine have to be compiled first:
30 s on an idle core, two minutes on a busy one."""


class Tagtide:
    """A `tagtide` process that runs until the `with` block ends, then gets SIGTERM and must end well."""

    def __init__(self, *arguments: str | Path, log: Path) -> None:
        self._command = tagtide_command(*(str(argument) for argument in arguments))
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(self._command, stdout=sink, stderr=sink)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(DEADLINE_S)
        assert code == 0, f"{self._command[2:]} ended with {code}:\n{self.told()}"

    def told(self) -> str:
        """Return what the process has printed."""
        return self._log.read_text(errors="replace")


def run(*arguments: str | Path, expect: int = 0) -> str:
    """Run a command to its end and return what it prints."""
    command = tagtide_command(*(str(argument) for argument in arguments))
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == expect, f"{command[2:]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def query(data: Path, sql: str) -> pa.Table:
    """Ask the lake."""
    return ask(connect(data), sql)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so; a lake that is not there yet counts as not so."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            if condition():
                return
        except TagtideError:
            pass
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.2)
