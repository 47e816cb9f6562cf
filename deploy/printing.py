"""Printing for people and pipes: messages on standard error, answers on standard output.

A message is one line however narrow the terminal, so that `grep` finds it whole. Whoever reads an answer may stop
reading (`| head`): the command then ends at once, without a complaint, as if it were done.
"""

import os
import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text


def say(text: str, *, label: str = "", style: str = "", to_stdout: bool = False) -> None:
    """Print one message.

    Args:
        text: What to say; printed as it is, without markup.
        label: Word before it, in colour on a terminal.
        style: The label's style.
        to_stdout: It is what the command was asked for, not a remark.
    """
    console = Console(stderr=not to_stdout, highlight=False)
    console.print(Text.assemble((label, style), " " if label else "", text), soft_wrap=True)


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 zone`, `2 zones`; `many` where that is not `one` and an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def put(text: str) -> None:
    """Write a part of an answer to standard output."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _leave()


class AnswerConsole(Console):
    """A console on standard output."""

    def __init__(self, *, width: int | None = None) -> None:
        super().__init__(highlight=False, width=width)

    def on_broken_pipe(self) -> None:
        """End quietly: the reader has what it wanted."""
        _leave()


def _leave() -> NoReturn:
    # What is still buffered would fail once more when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)
