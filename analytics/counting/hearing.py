"""How often fixed readers hear each item as a rule, and what a silence therefore says: is it still there?

Of each item it is known when it was last heard, by which reader, and how long its silences last on average, counted
in *ticks*: seconds in which that reader has read anything at all, so that the silence of a dark reader is no silence
of its items. A silence is compared with the item's own mean; how long silences last beside the mean, over all items
of the site, is counted in `lengths` (a histogram in quarter octaves, each silence weighted by the item's mean, so
that items that are read often do not outvote the others). Silences that never end are in no histogram: an item that
is put behind metal is *lost* to fixed readers, with a probability of `loss` a second, and it leaves with one of
`hazard`. With G(u) the share of silences longer than u means, an item that is there and was last heard x seconds ago
has been silent for so long with a weight of Q(x) = G(x / mean) + loss * (integral of G until x). So it

* is there still with a weight of Q(s), s being the present length of its silence, and
* left x seconds after it was last heard with a density of hazard * Q(x).

What has been put elsewhere is heard better or worse there: an item that moves keeps of its silences only their mean,
as if there had been two. Lengths are counted apart for items whose mean is hardly known, for those where it is
somewhat and where it is well known (`KNOWN_FROM`). Of an item that has been heard once or twice, silence says
nothing. Everything that is counted is whole numbers, and reads are taken in the order of their times, so that chunks
change nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.steps.state_bytes import pack, unpack

TICK_US: Final = 1_000_000
"""A reader's clock goes on by one where it has read anything within a second of event time."""
KNOWN_FROM: Final = (2, 4, 16)
"""From so many silences on, an item's mean is hardly, somewhat and well known."""
KEPT_US: Final = 24 * 3600 * 1_000_000
"""Items that were not heard for so long are forgotten: a few a day more than the site holds."""
_PER_OCTAVE, _OCTAVES_BELOW, _OCTAVES = 4, 6, 14
_BINS: Final = _PER_OCTAVE * _OCTAVES
_CUTS: Final = np.linspace(0.0, 1.0, 129) ** 3  # of a silence, to integrate over it: most changes at its beginning
_PRIOR_SILENCES = 50.0  # weight of what is believed of lengths before any is counted, in silences of a mean of a minute
_PRIOR_SHAPE = 4.0  # they are as if items' rates varied by a half from hour to hour (Lomax)
_VERSION = 1

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_EDGES: Final = 2.0 ** (np.arange(_BINS + 1) / _PER_OCTAVE - _OCTAVES_BELOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Whether an item is there still, as weights that need not add up to 1."""

    now: float
    """It is there now."""
    after: float
    """It left after the time asked about, and is gone now."""
    before: float
    """It left before the time asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How an item may fall silent."""

    hazard: float
    """Its probability to leave within a second."""
    loss: float
    """Its probability to be put where fixed readers hear it no more, within a second."""


@dataclass(slots=True)
class _Reader:
    """A reader's clock."""

    second: int = -1
    """The last second in which it read anything."""
    ticks: int = 0
    """Seconds in which it did."""


@dataclass(slots=True)
class Hearing:
    """What is known of items by the reads of fixed readers."""

    epcs: list[str] = field(default_factory=list)
    """Items, in the order in which they were first heard."""
    readers: dict[str, _Reader] = field(default_factory=dict)
    """Clocks by reader."""
    last_us: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """When each item was last heard."""
    reader: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Number of the reader that did."""
    tick: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Its clock at that time."""
    gaps: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Silences of each item that have ended."""
    gap_ticks: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Their lengths together."""
    lengths: Ints = field(default_factory=lambda: np.zeros((len(KNOWN_FROM), _BINS), dtype=np.int64))
    """Silences by how well their item's mean was known, and by their length in means; each weighted by that mean, in
    ticks."""
    forgot_us: int = 0
    """When items were last forgotten."""
    _place: dict[str, int] = field(default_factory=dict)

    def take(self, time_us: Ints, epc: Sequence[str], reader: Sequence[str]) -> None:
        """Take reads in.

        Args:
            time_us: When; rising, and none before what was taken in earlier.
            epc: Whose.
            reader: By which reader.
        """
        start = 0
        while start < len(time_us):
            if time_us[start] >= self.forgot_us + KEPT_US:
                self._forget(int(time_us[start]) // KEPT_US * KEPT_US)
            end = int(np.searchsorted(time_us, self.forgot_us + KEPT_US))
            self._take(time_us[start:end], self._places(epc[start:end]), self._numbers(reader[start:end]))
            start = end

    def move(self, epcs: Iterable[str]) -> None:
        """Take in that items have moved: how often they were heard until now says less of how often they will be."""
        for epc in epcs:
            place = self._place.get(epc)
            if place is not None and self.gaps[place] > KNOWN_FROM[0]:
                self.gap_ticks[place] = max(1, round(self._mean(place) * KNOWN_FROM[0]))
                self.gaps[place] = KNOWN_FROM[0]

    def presence(self, epc: str, now_us: int, then_us: int, seen_us: int, ways: Ways) -> Presence | None:
        """Tell whether an item is there still.

        Args:
            epc: Whose; all reads until `now_us` have been taken in.
            now_us: The present.
            then_us: Another time that is asked about, before it.
            seen_us: When it was surely there, by other evidence; 0 where there is none.
            ways: How it may fall silent.

        Returns:
            `None` where its silences are not known well enough.
        """
        place = self._place.get(epc)
        if place is None or self.gaps[place] < KNOWN_FROM[0]:
            return None
        since_us = int(self.last_us[place])
        known_us = max(since_us, seen_us)
        if known_us >= now_us:
            return Presence(now=1.0, after=0.0, before=0.0)
        silent_s = max(1e-6, (now_us - since_us) / 1e6)
        clock = list(self.readers.values())[int(self.reader[place])]
        means = (clock.ticks - int(self.tick[place])) / self._mean(place) / silent_s  # for each second of silence
        if means * silent_s < 1.0:
            return Presence(now=1.0, after=0.0, before=0.0)
        edges_s = silent_s * _CUTS
        longer = self._longer(edges_s * means, _how_known(self.gaps[place : place + 1])[0])
        quiet = longer + ways.loss * _integral(longer, edges_s)
        left = ways.hazard * _integral(quiet, edges_s)
        known, then = np.interp([(known_us - since_us) / 1e6, (max(then_us, known_us) - since_us) / 1e6], edges_s, left)
        return Presence(now=float(quiet[-1]), after=float(left[-1] - then), before=float(then - known))

    def heard_us(self, epc: str) -> int:
        """Return when an item was last heard; 0 where it never was."""
        place = self._place.get(epc)
        return 0 if place is None else int(self.last_us[place])

    def dump(self) -> bytes:
        """Turn everything to bytes."""
        values = {"forgot_us": self.forgot_us, "epcs": "\n".join(self.epcs), "readers": "\n".join(self.readers)}
        clocks = np.array([[one.second, one.ticks] for one in self.readers.values()], dtype=np.int64).reshape(-1, 2)
        arrays = {name: getattr(self, name) for name in (*_COLUMNS, "lengths")}
        return pack(_VERSION, values, {**arrays, "clocks": clocks})  # type: ignore[arg-type]  # narrower values

    @classmethod
    def load(cls, blob: bytes) -> "Hearing":
        """Turn bytes back."""
        values, arrays = unpack(_VERSION, blob)
        epcs, names = str(values["epcs"]).split(), str(values["readers"]).split("\n")
        clocks = arrays.pop("clocks").tolist()
        readers = {name: _Reader(*clock) for name, clock in zip(names, clocks, strict=False)}
        columns: dict[str, Any] = dict(arrays)
        found = cls(epcs=epcs, readers=readers, forgot_us=int(values["forgot_us"] or 0), **columns)
        found._place = {epc: place for place, epc in enumerate(epcs)}
        return found

    def _take(self, time_us: Ints, item: Ints, reader: Ints) -> None:
        second = time_us // TICK_US
        ticks = self._clocks(second, reader)
        order = np.argsort(item, kind="stable")
        item, time_us, second, reader = item[order], time_us[order], second[order], reader[order]
        tick = _at(ticks, reader, second)
        first = np.concatenate([[True], item[1:] != item[:-1]])
        before_reader = np.where(first, self.reader[item], np.concatenate([[0], reader[:-1]]))
        before_tick = np.where(first, self.tick[item], np.concatenate([[0], tick[:-1]]))
        gap = _at(ticks, before_reader, second) - before_tick
        gap[first & (self.last_us[item] == 0)] = 0  # heard for the first time
        self._count(item, gap, first)
        last = np.concatenate([item[1:] != item[:-1], [True]])
        self.last_us[item[last]], self.reader[item[last]] = time_us[last], reader[last]
        self.tick[item[last]] = tick[last]

    def _clocks(self, second: Ints, reader: Ints) -> dict[int, tuple[Ints, int]]:
        """Let clocks go on; return the seconds at which each did, and where it stood before the first of them."""
        found = {}
        for number, clock in enumerate(self.readers.values()):
            heard = np.unique(second[reader == number])
            new = heard[heard > clock.second]
            found[number] = new, clock.ticks
            if len(new):
                clock.second, clock.ticks = int(new[-1]), clock.ticks + len(new)
        return found

    def _count(self, item: Ints, gap: Ints, first: npt.NDArray[np.bool_]) -> None:
        """Count silences that have ended, each beside what was known of its item before."""
        ended = (gap > 0).astype(np.int64)
        gaps, ticks = np.cumsum(ended) - ended, np.cumsum(gap) - gap
        begin = np.maximum.accumulate(np.where(first, np.arange(len(item)), 0))
        gaps += self.gaps[item] - gaps[begin]
        ticks += self.gap_ticks[item] - ticks[begin]
        told = (gap > 0) & (gaps >= KNOWN_FROM[0])
        mean = ticks[told] / gaps[told]
        at = np.clip(np.searchsorted(_EDGES, gap[told] / mean, side="right") - 1, 0, _BINS - 1)
        np.add.at(self.lengths, (_how_known(gaps[told]), at), np.rint(mean).astype(np.int64))
        np.add.at(self.gaps, item, ended)
        np.add.at(self.gap_ticks, item, gap)

    def _mean(self, place: int) -> float:
        return float(self.gap_ticks[place] / self.gaps[place])

    def _longer(self, means: Floats, how_known: int) -> Floats:
        """Return the share of silences that last longer than so many means."""
        believed = _PRIOR_SILENCES * 60.0 * (1.0 + _EDGES / _PRIOR_SHAPE) ** -_PRIOR_SHAPE
        longer = np.concatenate([np.cumsum(self.lengths[how_known, ::-1])[::-1], [0]]) + believed
        share = np.interp(means, np.concatenate([[0.0], _EDGES]), np.concatenate([[1.0], longer / longer[0]]))
        return np.asarray(share)

    def _places(self, epcs: Sequence[str]) -> Ints:
        for epc in epcs:
            if epc not in self._place:
                self._place[epc] = len(self._place)
                self.epcs.append(epc)
        more = len(self.epcs) - len(self.last_us)
        for name in _COLUMNS:
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more, dtype=np.int64)]))
        return np.array([self._place[epc] for epc in epcs], dtype=np.int64)

    def _numbers(self, readers: Sequence[str]) -> Ints:
        for reader in readers:
            if reader not in self.readers:
                self.readers[reader] = _Reader()
        number = {reader: at for at, reader in enumerate(self.readers)}
        return np.array([number[reader] for reader in readers], dtype=np.int64)

    def _forget(self, now_us: int) -> None:
        """Forget items that were not heard for a day."""
        kept = np.flatnonzero(self.last_us > now_us - KEPT_US)
        self.epcs = [self.epcs[place] for place in kept.tolist()]
        self._place = {epc: place for place, epc in enumerate(self.epcs)}
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[kept])
        self.forgot_us = now_us


_COLUMNS: Final = ("last_us", "reader", "tick", "gaps", "gap_ticks")


def _integral(values: Floats, at: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2.0 * np.diff(at))])


def _how_known(gaps: Ints) -> Ints:
    """Return how well means of so many silences are known."""
    return np.searchsorted(np.array(KNOWN_FROM), gaps, side="right") - 1


def _at(ticks: dict[int, tuple[Ints, int]], reader: Ints, second: Ints) -> Ints:
    """Return where clocks stood at the end of some seconds."""
    found = np.zeros(len(second), dtype=np.int64)
    for number, (heard, before) in ticks.items():
        mine = reader == number
        found[mine] = before + np.searchsorted(heard, second[mine], side="right")
    return found
