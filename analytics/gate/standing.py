"""What stands beside a gate: pieces of one stay are one row.

A pallet that stands beside a gate is heard now and then: when nothing else is read, when a fork-lift turns a reflection
towards it. Each time is a passage of its own to `analytics.gate.presence`. States of a tag here, and what moves it:

```
none      --a passage judged static----------------------------->  standing  (its row is held back)
standing  --a passage judged static, or a glimpse--------------->  standing  (it is a piece of that row)
standing  --static again, well heard after AGAIN_S of silence--->  standing  (the row is told, the next held back)
standing  --any other passage----------------------------------->  none      (both rows are told)
standing  --not heard for GAP_S, or there for LONGEST_S--------->  none      (its row is told)
```

A tag that stands there is likelier to stand there still than to have gone through (`STAYS_ODDS`), and is no company of
what passes meanwhile. Rows of others wait for nothing. What bounds the memory: one row for each tag that stood there
within the last `GAP_S`, or stands there now.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from analytics.gate.companions import GLIMPSE_READS

GAP_S = 120
"""A stay is over when its tag has not been heard for so long."""
AGAIN_S = 25
"""What is hardly heard is silent for minutes. What is heard well is not: after so long it was away, and stands there
again."""
FAINT_READS = 10
"""A piece of so many reads at most is hardly heard."""
LONGEST_S = 3_600
"""A stay that goes on for longer is told every hour."""
STAYS_ODDS = 9.0
"""How much likelier it is that what stood beside a gate stands there still, than that it did any other thing."""
GAP_US, AGAIN_US, LONGEST_US = GAP_S * 1_000_000, AGAIN_S * 1_000_000, LONGEST_S * 1_000_000


class Stay(msgspec.Struct, array_like=True):
    """A stay beside a gate that may go on."""

    begin_us: int
    """Effective time of its first read."""
    last_us: int
    """Effective time of the last read of its pieces."""
    pieces: int
    """How many."""
    row: dict[str, Any]
    """Its row of `passages`, so far."""


def continues(stay: Stay, *, static: bool, reads: int, begin_us: int) -> bool:
    """Tell whether a passage is a piece of a stay.

    Args:
        stay: Of the same tag at the same gate.
        static: Whether the passage is judged static.
        reads: Its reads.
        begin_us: Effective time of the first of them.
    """
    if reads <= FAINT_READS:
        return static or reads <= GLIMPSE_READS
    return static and begin_us - stay.last_us <= AGAIN_US


def begin(row: Mapping[str, Any], begin_us: int, last_us: int) -> Stay:
    """Hold back the row of a passage that is judged static."""
    return Stay(begin_us, last_us, 1, dict(row))


def join(stay: Stay, row: Mapping[str, Any], last_us: int) -> None:
    """Add a piece to a stay."""
    stay.last_us = max(stay.last_us, last_us)
    stay.pieces += 1
    stay.row["until_time"] = max(stay.row["until_time"], row["until_time"])
    stay.row["reads"] += row["reads"]


def release_us(stay: Stay, *, away: bool) -> int:
    """Return when a stay is told at the latest, if its tag is heard no more.

    Args:
        stay: The stay.
        away: Whether its tag is neither heard at present nor waiting for a load.
    """
    longest_us = stay.begin_us + LONGEST_US
    return min(stay.last_us + GAP_US, longest_us) if away else longest_us


def told(stays: Sequence[Stay], as_of_us: int) -> list[dict[str, Any]]:
    """Return the rows of stays that are over."""
    return [{**stay.row, "as_of_time": as_of_us} for stay in stays]
