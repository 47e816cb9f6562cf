"""The `tagtide` command line in this process: what a command prints and how it ends, without starting a Python."""

import contextlib
import io
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import typer

from deploy.cli import app, main

TERMINAL = ("COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE")
"""Environment variables by which rich and typer decide how to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command left behind."""

    code: int
    """Exit code."""
    out: str
    """Standard output."""
    err: str
    """Standard error."""


def tagtide(*arguments: str | Path, columns: int = 80) -> Ended:
    """Run a command to its end, as if from a shell whose output goes into a pipe."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    environment = {name: value for name, value in os.environ.items() if name not in TERMINAL}
    with (
        mock.patch.dict(os.environ, environment | {"COLUMNS": str(columns)}, clear=True),
        mock.patch.object(sys, "argv", ["tagtide", *(str(argument) for argument in arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _signals_kept(),
    ):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return Ended(code=code, out=_read(out), err=_read(err))


def commands() -> dict[str, Any]:
    """Return every command of the tree by what is typed for it; groups are not among them."""
    return dict(_leaves(typer.main.get_command(app), ""))


def parse(line: str) -> None:
    """Check that a line of shell is a `tagtide` command line that its command takes; do not run it.

    Raises:
        Exception: The command or an option does not exist, or a value is not of its type.
    """
    words = shlex.split(line, comments=True)
    words = words[: next((at for at, word in enumerate(words) if word in {">", "|", "&&", ";", "&"}), len(words))]
    assert words[0] == "tagtide", line
    known = commands()
    name = next((name for name in (" ".join(words[1:3]), words[1]) if name in known), None)
    assert name is not None, f"no such command: {line}"
    rest = words[1 + len(name.split()) :]
    if rest not in (["--help"], ["-h"]):
        known[name].make_context(name, rest)


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, below in children.items():
        yield from _leaves(below, f"{name} {child}".strip())


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    held = stream.buffer
    assert isinstance(held, io.BytesIO)
    return held.getvalue().decode()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
