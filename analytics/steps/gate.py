"""The gate step: one row per passage of an item through a gate, with its direction, once it is over.

Which reads belong to a passage, and when nothing can change it any more, is the business of `analytics.gate.presence`;
what its direction is, of `analytics.gate.models`: the model that the site file names, else the one that ships. This
file brings reads to their gates and writes rows.

A read counts at its event time and is waited for as long as its effective time says. One that is later than `LATE_S`
is left out, as in location: a gate asks for the order of what happened, and half of that is gone.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.gate.companions import GLIMPSE_READS
from analytics.gate.direction import DIRECTIONS, Direction
from analytics.gate.levels import LevelRange
from analytics.gate.models import judge, shipped_model
from analytics.gate.passages import Passage, level_of_linear
from analytics.gate.presence import Flush, GateState, Heard, pass_marks, take_read
from analytics.gate.standing import STAYS_ODDS, begin, continues, join, told
from analytics.schemas import PASSAGES
from analytics.step import Arrived, Outputs
from analytics.steps.derived import microseconds, table_of
from analytics.steps.identity import identify
from analytics.steps.state_bytes import StateVersionError
from devices.site.gate_model import GateModelFile
from devices.site.gates import antenna_of
from devices.site.model import Gate, Site

LATE_S = 15.0
"""A read that is later than this is left out."""
READS_MIN = 3
"""Fewer reads are no passage of their own, only one of a load that was heard better: a tag that lies within hearing of
a gate and is read now and then would else be a row each time."""
JUDGED_AT_ONCE = 500
"""Passages that may be one load at most: each is compared with each, and thousands of tags lie within hearing of some
docks. A pallet has some hundred."""
_VERSION = 2


class _Read(msgspec.Struct, array_like=True):
    """A read that waits for the watermark."""

    time_us: int
    event_us: int
    gate: str
    epc: str
    side: int
    level_db: float | None


class GateStepState(msgspec.Struct):
    """Everything that the gate step remembers of a site."""

    version: int
    """Format version."""
    gates: dict[str, GateState]
    """By gate; the site file bounds them."""
    pending: list[_Read]
    """In arrival order; bounded by what arrives within the allowed lateness."""


class GateStep:
    """What went through which gate, and which way."""

    name = "gate"

    def initial(self, site: Site) -> GateStepState:
        """Return the state before any read."""
        return GateStepState(_VERSION, {gate.id: GateState() for gate in site.gates}, [])

    def step(self, state: GateStepState, arrived: Arrived, site: Site) -> tuple[GateStepState, Outputs]:
        """Take one chunk in; return the passages that are over for certain by its watermark."""
        if not site.gates:
            return state, {}
        state.pending.extend(_reads(arrived, site))
        due = [read for read in state.pending if read.time_us <= arrived.watermark_us]
        state.pending = [read for read in state.pending if read.time_us > arrived.watermark_us]
        due.sort(key=lambda read: read.time_us)
        found: list[tuple[int, int, list[dict[str, Any]]]] = []
        for number, gate in enumerate(site.gates):
            mine = [read for read in due if read.gate == gate.id]
            known = state.gates[gate.id]
            # One flush after the other: what stands beside the gate is known by the rows of the last one.
            flushes = _flushes(known, mine, arrived.watermark_us)
            found.extend((flush.as_of_us, number, _told(flush, known, gate, site)) for flush in flushes)
        rows = [row for _, _, rows in sorted(found, key=lambda entry: entry[:2]) for row in rows]
        return state, {"passages": table_of(rows, PASSAGES)} if rows else {}

    def dump(self, state: GateStepState) -> bytes:
        """Turn a state to bytes."""
        return msgspec.msgpack.encode(state)

    def load(self, blob: bytes, site: Site) -> GateStepState:
        """Turn bytes back to a state; gates that are new in the site file begin with nothing, others are forgotten."""
        state = msgspec.msgpack.decode(blob, type=GateStepState)
        if state.version != _VERSION:
            raise StateVersionError(f"gate state is of version {state.version}, expected {_VERSION}")
        state.gates = {gate.id: state.gates.get(gate.id, GateState()) for gate in site.gates}
        state.pending = [read for read in state.pending if read.gate in state.gates]
        return state


def _reads(arrived: Arrived, site: Site) -> list[_Read]:
    """Return the reads of the gates' antennas."""
    batch = arrived.batches.get("reads")
    if batch is None or batch.num_rows == 0:
        return []
    sides = {
        antenna: (gate.id, side)
        for gate in site.gates
        for side, antennas in ((0, gate.outside), (1, gate.inside))
        for antenna in map(antenna_of, antennas)
    }
    readers = {antenna[0] for antenna in sides if antenna is not None}
    times = np.asarray(arrived.effective_us["reads"], dtype=np.int64)
    events = microseconds(batch["event_time"])
    of_gates = pc.is_in(batch["reader"], value_set=pa.array(sorted(readers), pa.string()))
    mine = np.asarray(of_gates.to_numpy(zero_copy_only=False), dtype=np.bool_)
    mine &= times - events <= LATE_S * 1e6
    chosen = pa.array(mine)
    columns = [batch[name].filter(chosen).to_pylist() for name in ("reader", "antenna", "epc_hex")]
    levels = _levels(batch["rssi_dbm"].filter(chosen), batch["rssi_linear"].filter(chosen))
    found = []
    for time_us, event_us, reader, port, epc, level_db in zip(
        times[mine].tolist(), events[mine].tolist(), *columns, levels, strict=True
    ):
        place = sides.get((reader, port))
        if place is not None:
            found.append(_Read(time_us, event_us, place[0], epc, place[1], level_db))
    return found


def _levels(dbm: pa.Array, linear: pa.Array) -> list[float | None]:
    """Return levels in decibels; `None` where a reader reports none."""
    shown = np.asarray(dbm.fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    numbers = np.asarray(linear.fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        levels = np.where(np.isfinite(shown), shown, level_of_linear(numbers))
    return [level if np.isfinite(level) else None for level in levels.tolist()]


def _flushes(state: GateState, reads: list[_Read], watermark_us: int) -> Iterator[Flush]:
    """Take reads in, in order of time, and let the grid pass up to the watermark."""
    mark_us = state.mark_us
    for read in reads:
        if read.time_us > mark_us + 1_000_000:
            yield from pass_marks(state, read.time_us)
            mark_us = state.mark_us
        take_read(state, (read.time_us, read.event_us, read.epc, read.side, read.level_db))
    yield from pass_marks(state, watermark_us + 1)


def _told(flush: Flush, state: GateState, gate: Gate, site: Site) -> list[dict[str, Any]]:
    """Return the rows that can be told now; what stands beside the gate is held back until its stay is over."""
    found = told(flush.stays, flush.as_of_us)
    if not flush.passages:
        return found
    for heard, row in _rows(flush, state, gate, site):
        stay = state.standing.get(heard.epc)
        static = row["direction"] == Direction.STATIC
        if stay is not None and continues(stay, static=static, reads=heard.reads, begin_us=heard.begin_us):
            join(stay, row, heard.last_us)
            continue
        if stay is not None:
            found += told([state.standing.pop(heard.epc)], flush.as_of_us)
        if static:
            state.standing[heard.epc] = begin(row, heard.begin_us, heard.last_us)
        else:
            found.append(row)
    return found


def _rows(flush: Flush, state: GateState, gate: Gate, site: Site) -> list[tuple[Heard, dict[str, Any]]]:
    """Judge passages that became certain together; return those that are rows, each with its own."""
    levels = LevelRange(np.frombuffer(state.levels, dtype=np.int64).copy() if state.levels else None)
    passages = [_passage(heard) for heard in flush.passages]
    for passage in passages:
        levels.add(passage.level_db)
    state.levels = levels.counts.tobytes()
    model = gate.learnt or shipped_model()
    standing = [heard.epc in state.standing for heard in flush.passages]
    chances, loads = _judged(passages, standing, model, levels.ends_db())
    heard_well = {load for load, one in zip(loads, passages, strict=True) if one.reads > GLIMPSE_READS}
    names = _load_names(gate.id, passages, loads)
    rows = []
    for heard, passage, chance, load in zip(flush.passages, passages, chances, loads, strict=True):
        if passage.reads < READS_MIN and load not in heard_well and heard.epc not in state.standing:
            continue
        best = int(chance.argmax())
        uri, gtin = identify(passage.epc)
        row = {
            "site": site.id,
            "gate": gate.id,
            "epc_hex": passage.epc,
            "epc_uri": uri,
            "gtin": gtin,
            "from_time": int(passage.time_us[0]),
            "until_time": int(passage.time_us[-1]),
            "direction": DIRECTIONS[best].value,
            "confidence": round(float(chance[best]), 6),
            "probabilities": _json(
                {way.value: round(float(share), 6) for way, share in zip(DIRECTIONS, chance, strict=True)}
            ),
            "load": names[load],
            "reads": heard.reads,
            "evidence": _json(_evidence(heard, passage)),
            "model": model.name,
            "as_of_time": flush.as_of_us,
        }
        rows.append((heard, row))
    return rows


def _judged(
    passages: list[Passage], standing: list[bool], model: GateModelFile, ends_db: tuple[float, float]
) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Return the chances of each passage, and the number of its load; what stands beside the gate is judged apart."""
    chances = np.zeros((len(passages), len(DIRECTIONS)))
    loads = [0] * len(passages)
    for stands in (False, True):
        places = [place for place, one in enumerate(standing) if one is stands]
        for start in range(0, len(places), JUDGED_AT_ONCE):
            some = places[start : start + JUDGED_AT_ONCE]
            chances[some], of_some = judge([passages[place] for place in some], model, ends_db)
            for place, load in zip(some, of_some.tolist(), strict=True):
                loads[place] = some[0] * 2 + int(stands) + load * 2 * len(passages)
    chances[standing, DIRECTIONS.index(Direction.STATIC)] *= STAYS_ODDS
    return chances / chances.sum(axis=1, keepdims=True), loads


def _passage(heard: Heard) -> Passage:
    order = np.argsort(np.array(heard.event_us, dtype=np.int64), kind="stable")
    return Passage(
        epc=heard.epc,
        time_us=np.array(heard.event_us, dtype=np.int64)[order],
        side=np.array(heard.side, dtype=np.int8)[order],
        level_db=np.array([np.nan if level is None else level for level in heard.level_db])[order],
    )


def _load_names(gate: str, passages: list[Passage], loads: list[int]) -> dict[int, str]:
    """Name each load by its gate and its first read; loads that begin in the same microsecond are numbered."""
    begins: dict[int, int] = {}
    for passage, load in zip(passages, loads, strict=True):
        begins[load] = min(begins.get(load, int(passage.time_us[0])), int(passage.time_us[0]))
    names: dict[int, str] = {}
    taken: dict[int, int] = {}
    for load, begin_us in sorted(begins.items(), key=lambda entry: (entry[1], entry[0])):
        taken[begin_us] = taken.get(begin_us, 0) + 1
        stamp = np.datetime_as_string(np.datetime64(begin_us, "us"), unit="us")
        names[load] = f"{gate}/{stamp}Z" + (f"-{taken[begin_us]}" if taken[begin_us] > 1 else "")
    return names


def _evidence(heard: Heard, passage: Passage) -> dict[str, Any]:
    """Say what was heard on either side, and for how long the tag had been there before."""
    found: dict[str, Any] = {}
    for side, name in ((0, "outside"), (1, "inside")):
        levels, times = passage.level_db[passage.side == side], passage.time_us[passage.side == side]
        if not len(levels):
            continue
        told: dict[str, Any] = {"reads": len(levels), "first_s": _seconds(times[0] - passage.time_us[0])}
        told["last_s"] = _seconds(times[-1] - passage.time_us[0])
        if np.isfinite(levels).any():
            strongest = int(np.nanargmax(levels))
            told["peak_db"] = round(float(levels[strongest]), 1)
            told["peak_s"] = _seconds(times[strongest] - passage.time_us[0])
        found[name] = told
    if heard.lingers_us is not None:
        found["there_before_s"] = _seconds(int(passage.time_us[0]) - heard.lingers_us)
    return found


def _seconds(span_us: int) -> float:
    return round(int(span_us) / 1e6, 3)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
