"""Running numbers: which of a device's reports never came.

A counter is followed row by row, in row order. Its next number is one more than the newest (or the same again,
where one report made several rows). A jump ahead opens a gap. Numbers of an open gap may still come - a reader that
drains its buffer beside live reports sends them out of order - so a gap is certain only when nothing of it has come
for `PATIENCE_US`. Numbers below the newest that no gap misses are old news, or the device has restarted: which of
the two is clear when nothing but such numbers has come for as long.

Everything is decided by rows and their effective times; the watermark only says when it may be told.
"""

from bisect import bisect_right
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from analytics.steps.derived import Telling
from analytics.steps.findings import Cause, Finding, Sender
from devices.observations import DeviceEventKind

PATIENCE_US = 60_000_000
"""A gap is certain a minute after it opened, or after the last of its numbers came. Gaps that open within it are
told together: a link that loses one report in a hundred is a row a minute, not a row a loss."""
PLAUSIBLE_PER_S = 10_000
"""Numbers that a device can use up in a second: ten times what the fastest readers report. A jump by more than that in
the time since the newest number is a counter that was set anew (to a time, to an identifier), and no loss."""
STRETCHES_LIMIT = 1_000
"""Stretches of missing numbers that one gap keeps, 16 kB; beyond, lost numbers are counted but cannot come later."""

TELLINGS = {
    "reads": Telling.GAP_BEFORE_READ,
    "readings": Telling.GAP_BEFORE_READING,
    "device_events": Telling.GAP_BEFORE_DEVICE_EVENT,
}
"""Streams whose rows carry running numbers. Each has counters of its own: Zebra's data and management events do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedRows:
    """Rows of one counter in row order."""

    edge_id: str
    """Edge log that they are in."""
    seq: npt.NDArray[np.int64]
    """Running numbers."""
    event_us: npt.NDArray[np.int64]
    """Event times."""
    effective_us: npt.NDArray[np.int64]
    """Effective times."""
    received_us: npt.NDArray[np.int64]
    """Receive times."""
    edge_offset: npt.NDArray[np.int64]
    """Places in the edge log."""
    edge_index: npt.NDArray[np.int64]
    """Places in their publications."""

    def cause(self, row: int) -> Cause:
        """Return a row as the cause of a finding."""
        return Cause(
            event_us=int(self.event_us[row]),
            received_us=int(self.received_us[row]),
            edge_id=self.edge_id,
            edge_offset=int(self.edge_offset[row]),
            edge_index=int(self.edge_index[row]),
        )


_ENDLESS = 1 << 63


class Gap(msgspec.Struct, array_like=True):
    """Numbers that are missing, told together."""

    cause: Cause
    """First row behind it."""
    from_us: int
    """Event time of the last row before it."""
    until_us: int
    """Event time of the row behind the last of its stretches."""
    joins_until_us: int
    """Effective time up to which further gaps join it."""
    certain_us: int
    """Effective time by which what is missing now is lost."""
    first: int
    """First number that was missing when it opened."""
    stretches: list[tuple[int, int]]
    """First and last number of each missing stretch, ascending."""
    uncounted: int = 0
    """Missing numbers beyond the stretches that are kept."""
    closed: bool = False
    """The counter has restarted since: its numbers mean something else now."""

    @property
    def count(self) -> int:
        """Numbers missing."""
        return self.uncounted + sum(last - first + 1 for first, last in self.stretches)

    def fill(self, number: int, effective_us: int) -> bool:
        """Take a number off what is missing; return whether it was missing, and came in time."""
        place = bisect_right(self.stretches, (number, _ENDLESS)) - 1
        if self.closed or place < 0 or number > self.stretches[place][1] or effective_us > self.certain_us:
            return False
        first, last = self.stretches[place]
        left = [(first, number - 1), (number + 1, last)]
        self.stretches[place : place + 1] = [(low, high) for low, high in left if low <= high]
        self.certain_us = max(self.certain_us, effective_us + PATIENCE_US)
        return True


class Counter(msgspec.Struct, array_like=True):
    """One running number of one device."""

    newest: int
    """Highest number since the last restart."""
    newest_us: int
    """Event time of the row that had it."""
    below_since_us: int | None = None
    """Effective time since which numbers have come that are below the newest and that no gap misses."""
    gaps: list[Gap] = msgspec.field(default_factory=list)
    """Gaps that are not certain yet."""

    def take(self, rows: NumberedRows) -> None:
        """Take rows in, by stretches of numbers that rise one by one: only a stretch's first row can jump."""
        steps = np.diff(rows.seq)
        begins = [0, *(np.flatnonzero((steps != 0) & (steps != 1)) + 1).tolist()]
        for begin, end in zip(begins, [*begins[1:], rows.seq.size], strict=True):
            if rows.seq[begin] > self.newest + 1 + self._plausible(rows, begin):
                self._restart(rows, begin)
            elif rows.seq[begin] > self.newest + 1:
                self._open_gap(rows, begin, (self.newest + 1, int(rows.seq[begin]) - 1))
            row = begin
            while row < end and rows.seq[row] < self.newest:
                self._look_back(rows, row)
                row += 1
            if row < end:
                self._advance(rows, end - 1)

    def certain(self, watermark_us: int, sender: Sender, stream: str) -> list[Finding]:
        """Take out the gaps that the watermark has made certain; return those that still miss something."""
        due = [gap for gap in self.gaps if gap.certain_us <= watermark_us]
        self.gaps = [gap for gap in self.gaps if gap.certain_us > watermark_us]
        return [_finding(gap, sender, stream) for gap in due if gap.count]

    def _advance(self, rows: NumberedRows, row: int) -> None:
        self.newest = int(rows.seq[row])
        self.newest_us = int(rows.event_us[row])
        self.below_since_us = None

    def _look_back(self, rows: NumberedRows, row: int) -> None:
        """Judge a number below the newest."""
        number, effective_us = int(rows.seq[row]), int(rows.effective_us[row])
        if any(gap.fill(number, effective_us) for gap in self.gaps):
            self.below_since_us = None
        elif self.below_since_us is None:
            self.below_since_us = effective_us
        elif effective_us > self.below_since_us + PATIENCE_US:
            self._restart(rows, row)

    def _restart(self, rows: NumberedRows, row: int) -> None:
        """The counter has begun anew: numbers that open gaps miss mean something else now."""
        for gap in self.gaps:
            gap.closed = True
        self._advance(rows, row)

    def _plausible(self, rows: NumberedRows, row: int) -> int:
        """Return how many numbers the device can have used up since the newest."""
        passed_us = max(0, int(rows.event_us[row]) - self.newest_us)
        return PLAUSIBLE_PER_S * (passed_us // 1_000_000 + 1)

    def _open_gap(self, rows: NumberedRows, row: int, missing: tuple[int, int]) -> None:
        effective_us, event_us = int(rows.effective_us[row]), int(rows.event_us[row])
        gap = self.gaps[-1] if self.gaps else None
        if gap is None or gap.closed or effective_us > gap.joins_until_us:
            gap = Gap(
                cause=rows.cause(row),
                from_us=self.newest_us,
                until_us=event_us,
                joins_until_us=effective_us + PATIENCE_US,
                certain_us=effective_us + PATIENCE_US,
                first=missing[0],
                stretches=[missing],
            )
            self.gaps.append(gap)
        elif len(gap.stretches) < STRETCHES_LIMIT:
            gap.stretches.append(missing)
            gap.until_us = event_us
        else:
            gap.uncounted += missing[1] - missing[0] + 1
            gap.until_us = event_us


def begin_counter(rows: NumberedRows) -> Counter:
    """Return a counter that begins with the first of some rows; what was before is not known to be missing."""
    return Counter(newest=int(rows.seq[0]), newest_us=int(rows.event_us[0]))


def _finding(gap: Gap, sender: Sender, stream: str) -> Finding:
    return Finding(
        due_us=gap.certain_us,
        sender=sender,
        event=DeviceEventKind.GAP,
        telling=TELLINGS[stream],
        cause=gap.cause,
        event_us=gap.cause.event_us,
        from_us=gap.from_us,
        until_us=gap.until_us,
        count=gap.count,
        detail={"stream": stream, "first_missing": gap.stretches[0][0] if gap.stretches else gap.first},
    )
