"""Running a target: inputs from a seed, totals, and a file that reproduces each failure."""

import base64
import hashlib
import mmap
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.target import BrokenLawError, Outcome, Target, replay
from tests.fuzz.watching import MEMORY_MB_MAX, hang_alarm, peak_mb, processor_s, reset_peak, seconds_allowed

SETTLE_EVERY = 2_000
"""Inputs between two looks at the laws about several of them."""
TELL_EVERY_S = 2.0
FAILURES_MAX = 20
"""A target with so many failures is given up."""
_IN_FLIGHT_BYTES = 1 << 20

Make = Callable[[random.Random], bytes]


@dataclass(slots=True)
class Failure:
    """An input, or some together, that broke the law."""

    target: str
    what: str
    """Last lines of the traceback."""
    inputs: list[bytes]

    def write(self, folder: Path) -> Path:
        """Write the reproducer: an input a line, base64."""
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(base64.b64encode(data).decode() + "\n" for data in self.inputs)
        path = folder / f"{self.target}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.b64"
        path.write_text(text)
        return path


@dataclass(slots=True)
class Totals:
    """What came of a target's inputs."""

    target: str
    inputs: int = 0
    input_bytes: int = 0
    rows: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest_bytes: int = 0
    peak_mb: float = 0.0
    failures: list[Failure] = field(default_factory=list)


def read_reproducer(path: Path) -> list[bytes]:
    """Return the inputs of a reproducer file."""
    return [base64.b64decode(line) for line in path.read_text().splitlines()]


def input_of(make: Make, target: str, seed: int, number: int) -> bytes:
    """Return the input of a number: each has a generator of its own, so none depends on another."""
    return make(random.Random(f"{seed}:{target}:{number}"))


class Run:
    """Runs one target."""

    def __init__(self, new_target: Callable[[], Target], *, in_flight: Path | None = None) -> None:
        """Make the target.

        Args:
            new_target: Makes a fresh one, also to find out which inputs of several break a law.
            in_flight: File that always holds the current input, should the process die of it.
        """
        self._new_target = new_target
        self._target = new_target()
        self.totals = Totals(self._target.name)
        self._batch: list[bytes] = []
        self._in_flight: mmap.mmap | None = None
        if in_flight is not None:
            in_flight.write_bytes(bytes(_IN_FLIGHT_BYTES))
            with in_flight.open("r+b") as file:
                self._in_flight = mmap.mmap(file.fileno(), _IN_FLIGHT_BYTES)

    def run(self, count: int, seed: int, *, on_progress: Callable[[Totals], None] = lambda _: None) -> Totals:
        """Feed `count` inputs made from a seed."""
        make, name = self._target.make, self._target.name
        return self.feed((input_of(make, name, seed, number) for number in range(count)), on_progress)

    def feed(self, inputs: Iterable[bytes], on_progress: Callable[[Totals], None] = lambda _: None) -> Totals:
        """Feed inputs."""
        reset_peak()
        totals, began, told = self.totals, time.monotonic(), 0.0
        for data in inputs:
            self._feed_one(data)
            if len(self._batch) >= SETTLE_EVERY:
                self._settle()
            now = time.monotonic()
            if now - told > TELL_EVERY_S:
                totals.seconds, totals.peak_mb, told = now - began, peak_mb(), now
                on_progress(totals)
            if len(totals.failures) >= FAILURES_MAX:
                break
        self._settle()
        totals.seconds, totals.peak_mb = time.monotonic() - began, peak_mb()
        if totals.peak_mb > MEMORY_MB_MAX:
            totals.failures.append(Failure(totals.target, f"{totals.peak_mb:.0f} MB of memory", []))
        return totals

    def _feed_one(self, data: bytes) -> None:
        totals = self.totals
        totals.inputs += 1
        totals.input_bytes += len(data)
        if self._in_flight is not None:
            self._in_flight[:8] = len(data).to_bytes(8, "little")
            self._in_flight[8 : 8 + min(len(data), _IN_FLIGHT_BYTES - 8)] = data[: _IN_FLIGHT_BYTES - 8]
        try:
            outcome, took_s = _timed(self._target, data)
        except Exception as error:  # noqa: BLE001  # whatever comes out of it is the finding
            self._fail([data], error)
            return
        self._batch.append(data)
        totals.rows += outcome.rows
        totals.rejects.update(outcome.rejects)
        if took_s > totals.slowest_s:
            totals.slowest_s, totals.slowest_bytes = took_s, len(data)

    def _settle(self) -> None:
        batch, self._batch = self._batch, []
        try:
            with hang_alarm():
                self._target.settle()
        except Exception as error:  # noqa: BLE001  # as above
            self._fail(self._smaller(batch), error)

    def _fail(self, inputs: Sequence[bytes], error: Exception) -> None:
        what = "".join(traceback.format_exception(error)[-3:])
        self.totals.failures.append(Failure(self.totals.target, what, list(inputs)))
        self._target = self._new_target()
        self._batch = []

    def _smaller(self, batch: list[bytes]) -> list[bytes]:
        """Leave inputs out while what is left still breaks."""
        size = len(batch) // 2
        while size:
            at = 0
            while at < len(batch):
                rest = batch[:at] + batch[at + size :]
                if rest and self._breaks(rest):
                    batch = rest
                else:
                    at += size
            size //= 2
        return batch

    def _breaks(self, inputs: Sequence[bytes]) -> bool:
        try:
            with hang_alarm():
                replay(self._new_target(), inputs)
        except Exception:  # noqa: BLE001  # as above
            return True
        return False


def _timed(target: Target, data: bytes) -> tuple[Outcome, float]:
    """Check one input; what seems too slow is measured again, for the first time may have compiled something."""
    allowed_s = seconds_allowed(len(data))
    for _ in range(3):
        with hang_alarm():
            began = processor_s()
            outcome = target.check(data)
            took_s = processor_s() - began
        if took_s <= allowed_s:
            return outcome, took_s
    raise BrokenLawError(f"{len(data)} bytes took {took_s:.2f} s, {allowed_s:.2f} s are allowed")
