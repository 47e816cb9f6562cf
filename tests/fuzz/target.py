"""What a fuzz target is: it makes inputs, and holds one reader of outside bytes to the law."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class Outcome:
    """What came of an input that kept the law."""

    rows: int = 0
    """Things that were accepted."""
    rejects: list[str] = field(default_factory=list)
    """Code of each rejection."""


class BrokenLawError(AssertionError):
    """The reader under test did what it must not; other exceptions that come out of it are as bad."""


class Target(Protocol):
    """One reader of outside bytes."""

    name: str
    """Its name on the command line."""
    reads: str
    """What it holds to the law, in a few words."""

    def make(self, rng: random.Random) -> bytes:
        """Return an input; a pure function of the generator."""
        ...

    def check(self, data: bytes) -> Outcome:
        """Feed one input; raises anything at all where the law is broken."""
        ...

    def settle(self) -> None:
        """Hold everything since the last call to the laws that are about several inputs; forget it."""
        ...


def hold(law: object, says: str) -> None:
    """Raise `BrokenLawError` where a law does not hold."""
    if not law:
        raise BrokenLawError(says)


def replay(target: Target, inputs: Iterable[bytes]) -> None:
    """Feed inputs and settle; raises what breaks."""
    for data in inputs:
        target.check(data)
    target.settle()
