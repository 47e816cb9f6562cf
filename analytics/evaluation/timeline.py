"""Stays as step functions over one window of time, so that truth and estimate can be laid over each other.

Every item of the truth has a number, every zone a code: 0 is "not here", 1 and up are the site's zones in file order,
and the last code is "elsewhere", a place that is no zone of the site. A `Timeline` holds, for every item, the times
at which its zone changes. A time is stored as `item * span + (time - start)`, so that one sorted array of integers
holds the changes of all items and two timelines are merged by merging two sorted arrays.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.stays import NOT_HERE
from devices.errors import TagtideError
from devices.site.model import Site

ABSENT = 0
"""Zone code of "not here"."""

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


class EvaluationError(TagtideError):
    """What is to be compared does not fit together."""

    code = "evaluation_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is compared: these items, these zones, over this window."""

    items: pa.Array
    """EPCs by item number."""
    zones: tuple[str, ...]
    """Zone names; that of code `c` is `zones[c - 1]`."""
    start_us: int
    """First instant of the window."""
    end_us: int
    """First instant after it."""

    @classmethod
    def of(cls, site: Site, truth: pa.Table, *, start_us: int | None = None, end_us: int | None = None) -> "Frame":
        """Frame a truth: all its items, and its whole time where no other window is given.

        Raises:
            EvaluationError: The truth is empty, the window too, or the truth names a zone that the site has not.
        """
        if truth.num_rows == 0:
            raise EvaluationError("the truth has no rows", hint="write a truth with: tagtide simulate")
        zones = tuple(zone.id for zone in site.zones)
        unknown = sorted(set(pc.unique(truth["zone"]).to_pylist()) - {*zones, NOT_HERE})
        if unknown:
            raise EvaluationError(
                f'the truth names zone "{unknown[0]}", which site "{site.id}" does not have',
                hint="evaluate a truth with the site file that it was made with",
            )
        start_us = pc.min(truth["from_us"]).as_py() if start_us is None else start_us
        end_us = pc.max(truth["until_us"]).as_py() if end_us is None else end_us
        items = pc.unique(truth["epc_hex"])
        if end_us <= start_us:
            raise EvaluationError("the window of the evaluation is empty", hint="its end must come after its start")
        if len(items) * (end_us - start_us) >= 2**63:
            raise EvaluationError(
                f"{len(items)} items over {(end_us - start_us) / 86.4e9:.1f} days are too many at once",
                hint="evaluate a shorter window",
            )
        return cls(items=items, zones=zones, start_us=start_us, end_us=end_us)

    @property
    def span_us(self) -> int:
        """Length of the window."""
        return self.end_us - self.start_us

    @property
    def elsewhere(self) -> int:
        """Zone code of a place that is no zone of the site."""
        return len(self.zones) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A step function per item: from each key on, the zone and its confidence."""

    frame: Frame
    """What it is over."""
    key: Int64s
    """`item * span + (time - start)`, strictly rising; every item has a key at its window's start."""
    zone: Int32s
    """Zone code from then on."""
    confidence: Floats
    """Confidence from then on, not-a-number where none is stated."""

    @classmethod
    def of(cls, frame: Frame, stays: pa.Table) -> "Timeline":
        """Lay stays over a frame. Items that the frame does not have are left out.

        Args:
            frame: What is compared.
            stays: A table with `epc_hex`, `zone`, `from_us`, `until_us` and maybe `confidence`.

        Raises:
            EvaluationError: Two stays of an item overlap.
        """
        item, zone, from_us, until_us, confidence = _clipped(frame, stays)
        overlap = np.flatnonzero((item[1:] == item[:-1]) & (from_us[1:] < until_us[:-1]))
        if len(overlap):
            epc = frame.items[int(item[overlap[0]])].as_py()
            raise EvaluationError(f"stays of item {epc} overlap at {int(from_us[overlap[0] + 1])} us")
        base = item.astype(np.int64) * frame.span_us - frame.start_us
        starts = np.arange(len(frame.items), dtype=np.int64) * frame.span_us
        # Everyone is absent at the start and at the end of each stay, unless a stay begins there.
        ends = (base + until_us)[until_us < frame.end_us]
        begins = base + from_us
        absent = _without(_distinct(np.concatenate([starts, ends])), begins)
        key = np.concatenate([begins, absent])
        order = np.argsort(key, kind="stable")
        codes = np.concatenate([zone, np.full(len(absent), ABSENT, dtype=np.int32)])[order]
        sure = np.concatenate([confidence, np.full(len(absent), np.nan)])[order]
        return _merged(cls(frame=frame, key=key[order], zone=codes, confidence=sure))

    @property
    def item(self) -> Int64s:
        """Item number of each key."""
        return self.key // self.frame.span_us

    @property
    def time_us(self) -> Int64s:
        """Time of each key."""
        return self.key % self.frame.span_us + self.frame.start_us

    def at(self, keys: Int64s) -> Int64s:
        """Return the row that holds at each of some keys."""
        rows: Int64s = np.searchsorted(self.key, keys, side="right") - 1
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The window cut wherever any of several step functions changes."""

    key: Int64s
    """First instant of each segment, as in `Timeline.key`."""
    duration_us: Int64s
    """Length of each segment."""


def segments(frame: Frame, *keys: Int64s) -> Segments:
    """Cut the window of every item at all of the given keys, which include every item's start."""
    key = _distinct(np.concatenate(keys))
    end = np.append(key[1:], len(frame.items) * frame.span_us)
    return Segments(key=key, duration_us=end - key)


def _merged(timeline: Timeline) -> Timeline:
    """Leave out keys at which nothing changes."""
    frame = timeline.frame
    same_zone = timeline.zone[1:] == timeline.zone[:-1]
    before, after = timeline.confidence[:-1], timeline.confidence[1:]
    same_confidence = (before == after) | (np.isnan(before) & np.isnan(after))
    begins_item = timeline.key[1:] % frame.span_us == 0
    kept = np.concatenate([[True], ~(same_zone & same_confidence) | begins_item])
    return Timeline(frame=frame, key=timeline.key[kept], zone=timeline.zone[kept], confidence=timeline.confidence[kept])


def _distinct(keys: Int64s) -> Int64s:
    """Return keys sorted and once each. `np.unique` hashes, and is thirty times slower on keys as regular as these."""
    ordered = np.sort(keys, kind="stable")
    distinct: Int64s = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]]
    return distinct


def _without(keys: Int64s, excluded: Int64s) -> Int64s:
    """Return the keys that are not among others, which are sorted."""
    place = np.searchsorted(excluded, keys)
    found = np.append(excluded, -1)[place] == keys  # keys are never negative
    kept: Int64s = keys[~found]
    return kept


def _clipped(frame: Frame, stays: pa.Table) -> tuple[Int32s, Int32s, Int64s, Int64s, Floats]:
    """Return item, zone code, from, until and confidence of the stays within a frame, by item and time."""
    found = pc.index_in(stays["epc_hex"].cast(pa.string()), value_set=frame.items)
    item = pc.fill_null(found, -1).to_numpy().astype(np.int32)
    codes = pc.fill_null(pc.index_in(stays["zone"].cast(pa.string()), value_set=pa.array(frame.zones, pa.string())), -1)
    zone = codes.to_numpy().astype(np.int32) + 1
    zone[zone == 0] = frame.elsewhere
    zone[pc.equal(stays["zone"], NOT_HERE).to_numpy()] = ABSENT
    from_us = np.maximum(stays["from_us"].to_numpy(), frame.start_us)
    until_us = np.minimum(stays["until_us"].to_numpy(), frame.end_us)
    confidence = np.full(stays.num_rows, np.nan)
    if "confidence" in stays.column_names:
        confidence = pc.fill_null(stays["confidence"].cast(pa.float64()), float("nan")).to_numpy()
    order = np.lexsort((from_us, item))
    order = order[(item[order] >= 0) & (until_us[order] > from_us[order])]
    return item[order], zone[order], from_us[order], until_us[order], confidence[order]
