"""Where an edge log's offsets jump, so that an older copy that is put back never gives out an offset again. No I/O.

Consumers know what they have had by edge offset. A log that is restored from a backup ends earlier than they have
read; were it to go on from there, its new publications would carry offsets that they take for repeats, and drop.
Nothing inside the log can tell that it is a copy. So each run of a bridge over a log that holds something goes on at
the microsecond at which it begins, if that is further: above anything that an earlier run can have given out, unless
that stored a million publications a second, or this machine's clock has been set back since.

```
one run      1 2 3 ... 80 81 ... 100 | 1795361731485691 1795361731485692 ...
the backup   1 2 3 ... 80            | 1795368942000000 ...      (81 to 100 are lost, but no new row is)
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import msgspec


class Jump(NamedTuple):
    """Two offsets that follow each other though they are not next to each other."""

    behind: int
    """The last offset before."""
    first: int
    """The first one after."""


@dataclass(frozen=True, slots=True)
class OffsetJumps:
    """The jumps of a log, rising."""

    jumps: tuple[Jump, ...] = ()
    """Those behind the oldest row that is kept, and perhaps some older ones."""

    @classmethod
    def decode(cls, note: str | None) -> Self:
        """Read them from a log's note; none where there is no note.

        Raises:
            ValueError: It is not what `encode` writes.
        """
        return cls() if note is None else cls(msgspec.json.decode(note, type=tuple[Jump, ...]))

    def encode(self) -> str:
        """Return the text for the log's note."""
        return msgspec.json.encode(self.jumps).decode()

    def with_jump(self, behind: int, first: int, *, first_kept: int) -> "OffsetJumps":
        """Add a jump, and forget those before the oldest row that is kept."""
        kept = [jump for jump in self.jumps if jump.first > first_kept]
        return OffsetJumps((*kept, Jump(behind, first)))

    def skipped(self, low: int, high: int) -> int:
        """Return how many offsets between two were never given out; both count as given out."""
        return sum(
            min(jump.first, high) - max(jump.behind, low) - 1
            for jump in self.jumps
            if jump.behind < high and low < jump.first - 1 and min(jump.first, high) > max(jump.behind, low)
        )

    def is_next(self, offset: int, found: int) -> bool:
        """Whether nothing was ever given out between an offset and a later one that was found."""
        return found == offset + 1 or any(jump.behind <= offset < jump.first == found for jump in self.jumps)


def is_dense(offsets: Sequence[int], jumps: OffsetJumps) -> bool:
    """Whether rising offsets follow each other without a gap but for jumps."""
    return not offsets or offsets[-1] - offsets[0] + 1 - jumps.skipped(offsets[0], offsets[-1]) == len(offsets)
