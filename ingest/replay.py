"""Replays: a capture enters the edge log with its recorded receive times, as if it had just arrived.

A capture is known by the SHA-256 of its file. How far a replay has come is a note in the edge log, written in the
same commit as the publications that it counts, so a replay that was killed goes on where it stopped, and a finished
one that is asked for again adds nothing, unless `again` says to.

Lines that cannot be read become publications on `CAPTURE_PROBLEM_TOPIC` and from there rejects: they are not lost.
The replay ends with one clock record of the latest receive time: nothing received before it will come any more.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from devices.errors import CaptureError, UsageError
from devices.publication import CAPTURE_PROBLEM_TOPIC, CLOCK_TOPIC, Publication
from ingest.capture import CaptureProblem, read_capture
from ingest.edge_log import EdgeLog

MAX_SPEED = "max"
"""As fast as it goes."""

_BATCH_ROWS = 2_000  # a commit costs 1 to 3 ms whatever it holds; two thousand rows make that 1 us each
_BATCH_BYTES = 16 * 2**20  # bounds memory where payloads are large
_PACED_BATCH_S = 0.05  # at the recorded pace, how long publications may wait for one common commit
_LEADING_PROBLEMS_MAX = 10_000  # unreadable lines held back until the first readable one tells their time

Progress = Callable[["ReplayProgress"], None]


class ReplayProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay has come; the note in the edge log is this, as JSON."""

    run: int = 1
    """Which replay of this capture into this log, 1 and up."""
    entries: int = 0
    """Publications and unreadable lines that are in the log."""
    problems: int = 0
    """Unreadable lines among them."""
    last_received_us: int = 0
    """Latest receive time so far, microseconds since the epoch."""
    finished: bool = False
    """Whether the whole capture is in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What a replay did."""

    entries: int
    """Publications and unreadable lines of the capture."""
    problems: int
    """Unreadable lines among them; they end as rejects."""
    added: int
    """What this call added to the edge log; 0 where the capture had been replayed before."""
    resumed: bool
    """Whether this call went on with a replay that had been cut short."""
    finished: bool
    """Whether the whole capture is in the log now; false where this call was stopped."""
    last_offset: int
    """End of the edge log after the replay: when everything up to here is landed, so is the capture."""


def replay_into_log(
    capture: Path | str,
    log: EdgeLog,
    *,
    speed: str | float = MAX_SPEED,
    progress: Progress | None = None,
    again: bool = False,
    stop: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> ReplayResult:
    """Put a capture into an edge log.

    Args:
        capture: The file, plain or gzipped.
        log: Where to; this process becomes its writer.
        speed: `max`, or how many times faster than recorded.
        progress: Told after every commit.
        again: Replay a capture that this log already holds once more.
        stop: Asked between commits; a replay that is stopped can be taken up again.
        sleep: Waits, for a paced replay.
        monotonic: Seconds, for a paced replay.

    Raises:
        CaptureError: The capture cannot be opened.
        EdgeLogError: The edge log cannot be written; the replay may be repeated later and goes on from there.
        UsageError: `speed` is neither `max` nor a positive number.
    """
    pace = Pace(checked_speed(speed), sleep, monotonic)
    key = f"replay:{capture_identity(capture)}"
    log.claim_writer()
    done = _progress_of(log, key)
    if done.finished and again:
        done = ReplayProgress(run=done.run + 1)
    before = done.entries
    if not done.finished:
        entries = islice(_as_publications(read_capture(capture)), done.entries, None)
        for batch in _batches(entries, pace):
            done = _append(log, key, done, batch)
            if progress is not None:
                progress(done)
            if stop():
                break
        else:
            done = _finish(log, key, done)
    return ReplayResult(
        entries=done.entries,
        problems=done.problems,
        added=done.entries - before,
        resumed=before > 0 and done.entries > before,
        finished=done.finished,
        last_offset=log.last_offset,
    )


def checked_speed(speed: str | float) -> float | None:
    """Return how many times faster than recorded to replay; `None` is as fast as it goes."""
    if speed == MAX_SPEED:
        return None
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise UsageError(f"speed must be {MAX_SPEED} or a positive number, not {speed}", hint="--speed max")
    return factor


def capture_identity(capture: Path | str) -> str:
    """Return the SHA-256 of a capture's file, in hexadecimal."""
    try:
        with Path(capture).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as cause:
        raise CaptureError(f"cannot open the capture {capture}: {cause.strerror}", hint="check the path") from cause


def _progress_of(log: EdgeLog, key: str) -> ReplayProgress:
    note = log.note(key)
    return ReplayProgress() if note is None else msgspec.json.decode(note, type=ReplayProgress)


def _append(log: EdgeLog, key: str, done: ReplayProgress, batch: list[Publication]) -> ReplayProgress:
    progress = ReplayProgress(
        run=done.run,
        entries=done.entries + len(batch),
        problems=done.problems + sum(publication.topic == CAPTURE_PROBLEM_TOPIC for publication in batch),
        last_received_us=max(done.last_received_us, *(publication.received_us for publication in batch)),
    )
    log.append(batch, note=(key, msgspec.json.encode(progress).decode("ascii")))
    return progress


def _finish(log: EdgeLog, key: str, done: ReplayProgress) -> ReplayProgress:
    finished = msgspec.structs.replace(done, finished=True)
    clock = Publication(topic=CLOCK_TOPIC, payload=b"", received_us=done.last_received_us, qos=0)
    log.append([clock] if done.entries else [], note=(key, msgspec.json.encode(finished).decode("ascii")))
    return finished


def _as_publications(entries: Iterator[Publication | CaptureProblem]) -> Iterator[Publication]:
    """Give problems the receive time of the entry before them; those at the beginning that of the first entry."""
    received_us: int | None = None
    leading: list[CaptureProblem] = []
    for entry in entries:
        if isinstance(entry, Publication):
            yield from (_problem(problem, entry.received_us) for problem in leading)
            leading.clear()
            received_us = entry.received_us
            yield entry
        elif received_us is not None:
            yield _problem(entry, received_us)
        else:
            leading.append(entry)
            if len(leading) == _LEADING_PROBLEMS_MAX:
                received_us = 0
                yield from (_problem(problem, received_us) for problem in leading)
                leading.clear()
    yield from (_problem(problem, 0) for problem in leading)


def _problem(problem: CaptureProblem, received_us: int) -> Publication:
    payload = problem.reason_code.encode("ascii") + b"\n" + problem.raw
    return Publication(topic=CAPTURE_PROBLEM_TOPIC, payload=payload, received_us=received_us, qos=0)


class Pace:
    """When a publication is due, at a multiple of the recorded pace."""

    def __init__(self, factor: float | None, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> None:
        self._factor = factor
        self._sleep = sleep
        self._monotonic = monotonic
        self._begin: tuple[float, int] | None = None

    def wait_s(self, received_us: int) -> float:
        """Return how long until a publication is due, in seconds; 0 where it is."""
        if self._factor is None:
            return 0.0
        if self._begin is None:
            self._begin = (self._monotonic(), received_us)
        begin_s, begin_us = self._begin
        return max(0.0, begin_s + (received_us - begin_us) / 1e6 / self._factor - self._monotonic())

    def wait(self, seconds: float) -> None:
        """Sleep."""
        self._sleep(seconds)


def _batches(publications: Iterator[Publication], pace: Pace) -> Iterator[list[Publication]]:
    """Group publications into commits: as many as the bounds allow, and none later than its pace by much."""
    batch: list[Publication] = []
    batch_bytes = 0
    for publication in publications:
        due_in_s = pace.wait_s(publication.received_us)
        full = len(batch) >= _BATCH_ROWS or batch_bytes + len(publication.payload) > _BATCH_BYTES
        if batch and (full or due_in_s > _PACED_BATCH_S):
            yield batch
            batch, batch_bytes = [], 0
            due_in_s = pace.wait_s(publication.received_us)
        if due_in_s > _PACED_BATCH_S:
            pace.wait(due_in_s)
        batch.append(publication)
        batch_bytes += len(publication.payload)
    if batch:
        yield batch
