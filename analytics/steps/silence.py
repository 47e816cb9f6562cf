"""Readers that fall silent: reads so far, and then none for longer than this reader usually pauses.

Works on effective times in effective order, behind the watermark. A reader over a shelf hears its tags all the
time; one at a dock door pauses for an hour between lorries. What is usual is learnt: with four pauses or more in
the last day, silence is five times the median of the last eight. A reader that never pauses is silent after a
minute, and one outage does not change that.

Time in which our own bridge did not listen (`away` device events) is nobody's silence: it is taken off every pause.
"""

from statistics import median

import msgspec
import numba
import numpy as np
import numpy.typing as npt

from analytics.steps.derived import Telling
from analytics.steps.findings import Cause, Finding
from analytics.steps.row_order import changes
from devices.observations import DeviceEventKind, SourceKind

SILENT_AFTER_US = 60_000_000
"""A reader without usual pauses is silent after a minute without reads."""
PAUSE_US = 10_000_000
"""Shorter intervals between reads are not pauses."""
USUAL_PAUSES = 4
"""So many pauses within `USUAL_FOR_US` are usual for a reader; fewer are outages."""
USUAL_FOR_US = 86_400_000_000
"""Pauses are remembered for a day: about the rhythm of a dock door."""
PAUSES_LIMIT = 8
"""Pauses remembered."""
USUAL_FACTOR = 5
"""Silence is this many times the usual pause."""
ABSENCES_LIMIT = 1_000
"""Spans in which nobody listened that are remembered, 16 kB; the oldest are forgotten first."""
_SECOND_US = 1_000_000

Column = npt.NDArray[np.int64]
Columns = tuple[Column, Column, Column, Column, Column, Column, Column]
"""Reads as columns: reader number, effective time, event time, receive time, edge log number, offset, index."""

NO_READS: Columns = tuple(np.empty(0, dtype=np.int64) for _ in range(7))  # type: ignore[assignment]


class Names(msgspec.Struct, array_like=True):
    """Names by number, as reads have them."""

    readers: list[str] = msgspec.field(default_factory=list)
    """Readers."""
    edges: list[str] = msgspec.field(default_factory=list)
    """Edge logs."""


class Absences(msgspec.Struct, array_like=True):
    """Spans in which the bridge did not listen, in the order of the edge log."""

    spans: list[tuple[int, int]] = msgspec.field(default_factory=list)
    """First and last instant of each, microseconds, rising and apart."""

    def add(self, from_us: int, until_us: int) -> None:
        """Take a span in. What an earlier one covers is cut off: a bridge's clock may have been set back."""
        from_us = max(from_us, self.spans[-1][1]) if self.spans else from_us
        if from_us < until_us:
            self.spans = [*self.spans, (from_us, until_us)][-ABSENCES_LIMIT:]

    def within(self, from_us: int, until_us: int) -> int:
        """Return for how long of a pause nobody listened, microseconds."""
        return sum(max(0, min(until_us, last) - max(from_us, first)) for first, last in self.spans)

    def deadline_us(self, heard_us: int, patience_us: int) -> int:
        """Return the instant by which somebody has listened for as long as patience lasts."""
        deadline_us = heard_us + patience_us
        for first, last in self.spans:
            if first < deadline_us and last > heard_us:
                deadline_us += last - max(first, heard_us)
        return deadline_us


class Life(msgspec.Struct, array_like=True):
    """What is known of one reader's reads."""

    heard_us: int
    """Effective time of its last read."""
    last: Cause
    """That read."""
    silent: bool = False
    """Whether its silence has been told."""
    pauses: list[tuple[int, int]] = msgspec.field(default_factory=list)
    """End and length of its last pauses, microseconds."""

    def patience_us(self) -> int:
        """Return how long a pause after the last read is not silence."""
        recent = [length for end, length in self.pauses if end >= self.heard_us - USUAL_FOR_US]
        usual = round(USUAL_FACTOR * median(recent)) if len(recent) >= USUAL_PAUSES else 0
        return max(SILENT_AFTER_US, usual)


def thinned(reads: Columns) -> Columns:
    """Return the first and the last read of each stretch of a reader's reads within one second: no pause is lost."""
    keep = np.zeros(reads[0].size, dtype=np.bool_)
    if keep.size:
        _mark_ends(reads[0], reads[1], int(reads[0].max()) + 1, keep)
    return _taken(reads, keep)


def joined(first: Columns, second: Columns) -> Columns:
    """Put reads behind one another."""
    return tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))  # type: ignore[return-value]


def split(reads: Columns, watermark_us: int) -> tuple[Columns, Columns]:
    """Return the reads that the watermark has passed, in effective order by reader, and the others."""
    passed = reads[1] <= watermark_us
    due = _taken(reads, passed)
    order = np.lexsort((due[6], due[5], due[4], due[1], due[0]))
    return _taken(due, order), _taken(reads, ~passed)


def listen(lives: dict[str, Life], names: Names, absences: Absences, due: Columns) -> list[Finding]:
    """Take reads in and return the silences that lie between them.

    Args:
        lives: Readers by name; changed.
        names: What the numbers in the reads stand for.
        absences: When nobody listened.
        due: Reads in effective order by reader.
    """
    findings = []
    for begin, end in changes(due[0]):
        name = names.readers[int(due[0][begin])]
        life = lives.get(name)
        if life is None:
            life = lives[name] = Life(heard_us=int(due[1][begin]), last=_cause(due, begin, names))
        before = np.concatenate([[life.heard_us], due[1][begin : end - 1]])
        for row in (begin + np.flatnonzero(due[1][begin:end] - before > PAUSE_US)).tolist():
            if row > begin:
                life.heard_us, life.last = int(due[1][row - 1]), _cause(due, row - 1, names)
            findings += _end_pause(name, life, absences, int(due[1][row]), _cause(due, row, names))
        life.heard_us, life.last = int(due[1][end - 1]), _cause(due, end - 1, names)
    return findings


def notice(lives: dict[str, Life], absences: Absences, watermark_us: int) -> list[Finding]:
    """Return the silences that the watermark makes certain."""
    findings = []
    for name, life in lives.items():
        if not life.silent and absences.deadline_us(life.heard_us, life.patience_us()) <= watermark_us:
            findings.append(_silent(name, life, absences))
            life.silent = True
    return findings


def _end_pause(name: str, life: Life, absences: Absences, until_us: int, by: Cause) -> list[Finding]:
    length_us = until_us - life.heard_us - absences.within(life.heard_us, until_us)
    findings = []
    if until_us > absences.deadline_us(life.heard_us, life.patience_us()):
        if not life.silent:
            findings.append(_silent(name, life, absences))
        findings.append(_resumed(name, life, until_us, by))
        life.silent = False
    if length_us > PAUSE_US:
        life.pauses = [*life.pauses, (until_us, length_us)][-PAUSES_LIMIT:]
    return findings


def _silent(name: str, life: Life, absences: Absences) -> Finding:
    patience_us = life.patience_us()
    silent_us = absences.deadline_us(life.heard_us, patience_us)
    return Finding(
        due_us=silent_us,
        sender=(SourceKind.READER.value, name),
        event=DeviceEventKind.SILENT,
        telling=Telling.SILENT,
        cause=life.last,
        event_us=silent_us,
        from_us=life.heard_us,
        until_us=None,
        count=None,
        detail={"silent_after_s": patience_us / 1e6},
    )


def _resumed(name: str, life: Life, until_us: int, by: Cause) -> Finding:
    return Finding(
        due_us=until_us,
        sender=(SourceKind.READER.value, name),
        event=DeviceEventKind.RESUMED,
        telling=Telling.RESUMED,
        cause=by,
        event_us=until_us,
        from_us=life.heard_us,
        until_us=until_us,
        count=None,
        detail={"silent_for_s": (until_us - life.heard_us) / 1e6},
    )


def _cause(reads: Columns, row: int, names: Names) -> Cause:
    event_us, received_us, edge, edge_offset, edge_index = (int(column[row]) for column in reads[2:])
    return Cause(event_us, received_us, names.edges[edge], edge_offset, edge_index)


def _taken(reads: Columns, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Columns:
    return tuple(column[rows] for column in reads)  # type: ignore[return-value]


@numba.njit(cache=True)
def _mark_ends(reader: Column, effective_us: Column, readers: int, keep: npt.NDArray[np.bool_]) -> None:
    first = np.full(readers, -1, dtype=np.int64)
    last = np.full(readers, -1, dtype=np.int64)
    for row in range(reader.size):
        number = reader[row]
        if first[number] >= 0 and effective_us[first[number]] // _SECOND_US == effective_us[row] // _SECOND_US:
            if effective_us[row] < effective_us[first[number]]:
                first[number] = row
            if effective_us[row] >= effective_us[last[number]]:
                last[number] = row
        else:
            if first[number] >= 0:
                keep[first[number]] = True
                keep[last[number]] = True
            first[number] = row
            last[number] = row
    for number in range(readers):
        if first[number] >= 0:
            keep[first[number]] = True
            keep[last[number]] = True
