"""What is at a gate: reads in, passages out once nothing can change them any more.

States of a tag at one gate, and what moves it:

```
away       --a read---------------------------------->  present   (its reads are kept)
present    --silent for GAP_S------------------------>  away      (its reads are a passage)
present    --there for HEAD_S------------------------>  lingering (its reads so far are a passage)
lingering  --silent for GAP_S------------------------>  away      (its last TAIL_S are a passage)
```

A pallet that is put down beside a door is read for hours: what it did when it came and what it did when it left are
told, and what lies between costs next to nothing. Passages wait until no tag is present that was at the gate together
with them, so that a load is judged whole, but `LOAD_WAIT_S` at most.

Time is looked at on a grid of whole seconds of event time, so that nothing depends on where chunks end.

What bounds the memory: a reader manages some hundred reads a second, however many tags there are, and keeps those of
`HEAD_S` and of the `TAIL_S` of each that lingers; of one tag at most `READS_MAX`.
"""

from collections.abc import Iterator

import msgspec

from analytics.gate.passages import GAP_S
from analytics.gate.standing import Stay, release_us

GRID_US = 1_000_000
"""The grid of event time."""
HEAD_S = 40
"""A tag that is at a gate for so long is not on its way through it: recorded passages take 16 s at most."""
TAIL_S = 12
"""What a tag that lingers did in its last seconds: through and out of sight takes 5 to 10 s."""
LOAD_WAIT_S = 120
"""So long a passage waits for what was at the gate with it, where trolleys follow each other without a pause."""
READS_MAX = 4_096
"""Reads kept of a tag: 100 a second for `HEAD_S`. Further ones are counted only."""
_GAP_US = round(GAP_S * 1e6)
_HEAD_US, _TAIL_US, _WAIT_US = (seconds * 1_000_000 for seconds in (HEAD_S, TAIL_S, LOAD_WAIT_S))


class Heard(msgspec.Struct, array_like=True):
    """Reads of one tag, in the order in which they came."""

    epc: str
    """Whose."""
    begin_us: int
    """Effective time of the first."""
    last_us: int
    """Effective time of the last."""
    reads: int = 0
    """How many, those included that are not kept."""
    event_us: list[int] = msgspec.field(default_factory=list)
    """Event times of those kept."""
    side: list[int] = msgspec.field(default_factory=list)
    """0 outer, 1 inner."""
    level_db: list[float | None] = msgspec.field(default_factory=list)
    """Levels as reported."""
    lingers_us: int | None = None
    """Since when the tag was there before these reads; `None` where they are the first of it."""


class GateState(msgspec.Struct):
    """What is remembered of one gate."""

    mark_us: int = 0
    """The last mark of the grid that has passed."""
    present: dict[str, Heard] = msgspec.field(default_factory=dict)
    """By EPC."""
    over: list[Heard] = msgspec.field(default_factory=list)
    """Passages that wait for their load."""
    levels: bytes = b""
    """Counts of reads by level: `analytics.gate.levels`."""
    standing: dict[str, Stay] = msgspec.field(default_factory=dict)
    """What stands beside the gate, by EPC: `analytics.gate.standing`."""


class Flush(msgspec.Struct):
    """Passages that are certain, in the order of their begin."""

    as_of_us: int
    """When they became so."""
    passages: list[Heard]
    """Those of loads that can be told apart from all others by time."""
    stays: list[Stay]
    """Stays beside the gate that are over; they come before the passages."""


def take_read(state: GateState, read: tuple[int, int, str, int, float | None]) -> None:
    """Take in one read.

    Args:
        state: Of the gate; its grid has passed everything before the read.
        read: Effective time, event time, EPC, side and level.
    """
    time_us, event_us, epc, side, level_db = read
    heard = state.present.get(epc)
    if heard is None:
        heard = state.present[epc] = Heard(epc, time_us, time_us)
    heard.last_us = time_us
    heard.reads += 1
    if heard.lingers_us is not None and len(heard.event_us) >= READS_MAX:
        _keep_tail(heard)
    if len(heard.event_us) < READS_MAX:
        heard.event_us.append(event_us)
        heard.side.append(side)
        heard.level_db.append(level_db)


def pass_marks(state: GateState, to_us: int) -> Iterator[Flush]:
    """Let the marks of the grid before a time pass; yield what became certain at each.

    Args:
        state: Of the gate.
        to_us: Every read effective before this has been taken in, or will be after these marks.
    """
    last_us = (to_us - 1) // GRID_US * GRID_US
    while state.mark_us < last_us:
        if not state.present and not state.over and not state.standing:
            state.mark_us = last_us
            return
        state.mark_us = max(state.mark_us + GRID_US, _quiet_until(state, last_us))
        _end_presences(state)
        stays = _ended_stays(state)
        flushed = _certain(state)
        if flushed or stays:
            yield Flush(as_of_us=state.mark_us, passages=flushed, stays=stays)


def _quiet_until(state: GateState, last_us: int) -> int:
    """Return a mark before which nothing can happen without further reads."""
    if state.over:
        return 0
    ends = (
        min(heard.last_us + _GAP_US, last_us if heard.lingers_us is not None else heard.begin_us + _HEAD_US)
        for heard in state.present.values()
    )
    releases = (release_us(stay, away=epc not in state.present) for epc, stay in state.standing.items())
    return min(last_us, min((*ends, *releases)) // GRID_US * GRID_US)


def _ended_stays(state: GateState) -> list[Stay]:
    """Take out the stays that are over; one that goes on for very long is told until now."""
    waiting = {heard.epc for heard in state.over}
    found = []
    for epc, stay in list(state.standing.items()):
        heard = state.present.get(epc)
        if release_us(stay, away=heard is None and epc not in waiting) <= state.mark_us:
            if heard is not None and heard.event_us:
                stay.row["until_time"] = max(stay.row["until_time"], *heard.event_us)
            found.append(stay)
            del state.standing[epc]
    return found


def _end_presences(state: GateState) -> None:
    now_us = state.mark_us
    for epc, heard in list(state.present.items()):
        if now_us - heard.last_us >= _GAP_US:
            del state.present[epc]
            if heard.lingers_us is not None:
                _keep_tail(heard)
            if heard.event_us:
                state.over.append(heard)
        elif heard.lingers_us is None and now_us - heard.begin_us >= _HEAD_US:
            state.over.append(heard)
            state.present[epc] = Heard(epc, heard.last_us, heard.last_us, lingers_us=heard.begin_us)
        elif heard.lingers_us is not None:
            _keep_tail(heard)


def _keep_tail(heard: Heard) -> None:
    """Drop the reads that are longer ago than `TAIL_S` before the last one."""
    if not heard.event_us:
        return
    since_us = max(heard.event_us) - _TAIL_US
    if min(heard.event_us) < since_us:
        kept = [place for place, event_us in enumerate(heard.event_us) if event_us >= since_us]
        heard.event_us = [heard.event_us[place] for place in kept]
        heard.side = [heard.side[place] for place in kept]
        heard.level_db = [heard.level_db[place] for place in kept]


def _certain(state: GateState) -> list[Heard]:
    """Take the passages out of the waiting ones whose load is complete."""
    coming_us = min((heard.begin_us for heard in state.present.values() if heard.lingers_us is None), default=None)
    found: list[Heard] = []
    for group in _groups(state.over):
        ends_us = max(heard.last_us for heard in group)
        waited = state.mark_us - min(_begin_us(heard) for heard in group) >= _WAIT_US
        if coming_us is None or ends_us < coming_us or waited:
            found += group
    if found:
        gone = {id(heard) for heard in found}
        state.over = [heard for heard in state.over if id(heard) not in gone]
    return found


def _groups(over: list[Heard]) -> Iterator[list[Heard]]:
    """Yield passages that overlap in time, directly or through others."""
    group: list[Heard] = []
    reach_us = 0
    for heard in sorted(over, key=lambda heard: (_begin_us(heard), heard.epc)):
        if group and _begin_us(heard) > reach_us:
            yield group
            group = []
        group.append(heard)
        reach_us = max(reach_us, heard.last_us) if len(group) > 1 else heard.last_us
    if group:
        yield group


def _begin_us(heard: Heard) -> int:
    """Return when the kept reads begin, by event time where they are a tail."""
    return heard.begin_us if heard.lingers_us is None else min(heard.event_us)
