"""The shelf step: how many units lie on each shelf that has a scale, and when to replenish.

A scale sends mass in kilograms every second or so, with noise, slow drift of its zero, and a hand or a basket on it
now and then. A *level* is taken from it when `AGREEING` successive readings agree, or when the newest reading has
stood uncontradicted for `SETTLE_S`. Levels become units by the mass of one unit, with hysteresis: the count changes
when the level is more than `TURN_UNITS` away from it. What remains, level minus units, is the zero's drift: it is
followed slowly, so that a scale that creeps by grams an hour keeps its count, while a unit taken is seen at once.

A row's `from_time` is when the level was known: the last of the readings that agreed, or the settling. That is two
to five seconds after the goods moved, and it is what lets later steps work in the order of these times.
"""

import math
import statistics
from collections.abc import Mapping
from typing import Any

import msgspec

from analytics.schemas import ALERTS, SHELVES
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.state_bytes import StateVersionError
from devices.observations import SourceKind
from devices.site.model import Shelf, Site

AGREEING = 3
"""Successive readings that have to agree: a hand rests on a shelf for less than that many seconds."""
SETTLE_S = 5.0
"""A reading that no other followed for this long is a level too: some scales speak only on change."""
TOLERANCE_UNITS = 0.25
"""Readings agree within this share of a unit,"""
TOLERANCE_KG = 0.03
"""or within this where the unit is not known."""
TURN_UNITS = 0.6
"""The count changes when the level is this far from it: half a unit, and a margin against noise at the half."""
DRIFT_SHARE = 0.05
"""Share of the remaining error by which the zero is followed with each level."""
DRIFT_UNITS_MAX = 0.3
"""Levels further from a whole unit than this do not move the zero: they may be goods of another kind."""
MINIMUM_SHARE = 0.25
"""Share of capacity below which to replenish, where the site file gives no minimum."""
LEVEL_STEP_KG = 0.05
"""Where the unit is not known, a change of mass of this much is a row."""
_QUANTITIES = ("mass", "count", "touched")
_VERSION = 1


class _Scale(msgspec.Struct, array_like=True):
    """What is remembered of one shelf."""

    recent_kg: list[float] = msgspec.field(default_factory=list)
    """The newest readings, up to `AGREEING`."""
    settles_us: int | None = None
    """When the newest reading becomes a level by itself; `None` once it has."""
    level_kg: float | None = None
    """The level of the last row."""
    zero_kg: float = 0.0
    """What the scale shows when nothing lies on it, as far as is known."""
    units: int | None = None
    """Units on it."""
    from_us: int = 0
    """`from_time` of the last row."""
    low: bool = False
    """Whether replenishment has been asked for and not yet been done."""


class _Reading(msgspec.Struct, array_like=True):
    """A reading that waits for the watermark."""

    due_us: int
    shelf: str
    quantity: str
    value: float


class ShelfState(msgspec.Struct):
    """Everything that the shelf step remembers of a site."""

    version: int
    """Format version."""
    scales: dict[str, _Scale]
    """By shelf identifier; shelves come from the site file, so there are a bounded number."""
    pending: list[_Reading]
    """Readings in arrival order; bounded by what arrives within the allowed lateness."""
    next_settle_us: int | None = None
    """No scale settles before this."""


class ShelfStep:
    """What lies on the shelves."""

    name = "shelf"

    def initial(self, site: Site) -> ShelfState:
        """Return the state before any reading."""
        return ShelfState(_VERSION, {shelf.id: _Scale() for shelf in site.shelves}, [])

    def step(self, state: ShelfState, arrived: Arrived, site: Site) -> tuple[ShelfState, Outputs]:
        """Take one chunk in; return what changed by its watermark."""
        state.pending.extend(_readings(arrived, state))
        due = [reading for reading in state.pending if reading.due_us <= arrived.watermark_us]
        state.pending = [reading for reading in state.pending if reading.due_us > arrived.watermark_us]
        due.sort(key=lambda reading: reading.due_us)
        shelves = {shelf.id: shelf for shelf in site.shelves}
        writer = _Writer(site.id)
        for reading in due:
            _settle(state, shelves, reading.due_us, writer)
            if reading.shelf in shelves:
                _take(state, shelves[reading.shelf], reading, writer)
        _settle(state, shelves, arrived.watermark_us, writer)
        return state, writer.outputs()

    def dump(self, state: ShelfState) -> bytes:
        """Turn a state to bytes."""
        return msgspec.msgpack.encode(state)

    def load(self, blob: bytes, site: Site) -> ShelfState:
        """Turn bytes back to a state; shelves that are new in the site file start empty."""
        state = msgspec.msgpack.decode(blob, type=ShelfState)
        if state.version != _VERSION:
            raise StateVersionError(f"shelf state is of version {state.version}, expected {_VERSION}")
        for shelf in site.shelves:
            state.scales.setdefault(shelf.id, _Scale())
        return state


def _readings(arrived: Arrived, state: ShelfState) -> list[_Reading]:
    batch = arrived.batches.get("readings")
    if batch is None or batch.num_rows == 0:
        return []
    columns = [batch[name].to_pylist() for name in ("source_kind", "source", "quantity", "value")]
    times = arrived.effective_us["readings"].tolist()
    return [
        _Reading(due_us, source, quantity, value)
        for due_us, kind, source, quantity, value in zip(times, *columns, strict=True)
        if kind == SourceKind.SHELF and quantity in _QUANTITIES and source in state.scales and math.isfinite(value)
    ]


def _settle(state: ShelfState, shelves: Mapping[str, Shelf], now_us: int, writer: "_Writer") -> None:
    """Turn readings that have stood alone for long enough to levels, in the order in which they did."""
    if state.next_settle_us is None or state.next_settle_us > now_us:
        return
    waiting = [(scale.settles_us, name) for name, scale in state.scales.items() if scale.settles_us is not None]
    waiting.sort(key=lambda entry: entry[0])
    for settles_us, name in waiting:
        if settles_us > now_us:
            break
        scale = state.scales[name]
        scale.settles_us = None
        if name in shelves:
            _level(scale, shelves[name], scale.recent_kg[-1], settles_us, writer)
    state.next_settle_us = next((settles_us for settles_us, _ in waiting if settles_us > now_us), None)


def _take(state: ShelfState, shelf: Shelf, reading: _Reading, writer: "_Writer") -> None:
    """Take in one reading of a shelf."""
    scale = state.scales[shelf.id]
    if reading.quantity == "touched":
        if reading.value > 0:  # somebody's hand is on it: what it shows now is no level
            scale.recent_kg, scale.settles_us = [], None
        return
    if reading.quantity == "count":
        _count(scale, shelf, round(reading.value), writer, level_kg=None, confidence=1.0, from_us=reading.due_us)
        return
    scale.recent_kg = [*scale.recent_kg, reading.value][-AGREEING:]
    scale.settles_us = reading.due_us + round(SETTLE_S * 1e6)
    if state.next_settle_us is None or scale.settles_us < state.next_settle_us:
        state.next_settle_us = scale.settles_us
    unit_kg = _unit_kg(shelf)
    tolerance = TOLERANCE_KG if unit_kg is None else TOLERANCE_UNITS * unit_kg
    if len(scale.recent_kg) == AGREEING and max(scale.recent_kg) - min(scale.recent_kg) <= tolerance:
        _level(scale, shelf, statistics.median(scale.recent_kg), reading.due_us, writer)


def _level(scale: _Scale, shelf: Shelf, level_kg: float, from_us: int, writer: "_Writer") -> None:
    """Take in one level of a shelf, in kg."""
    unit_kg = _unit_kg(shelf)
    if unit_kg is None:
        if scale.level_kg is None or abs(level_kg - scale.level_kg) >= LEVEL_STEP_KG:
            scale.level_kg, scale.from_us = level_kg, max(from_us, scale.from_us + 1)
            writer.shelf(shelf, scale, confidence=None)
        return
    level_units = (level_kg - scale.zero_kg) / unit_kg
    units = max(0, round(level_units))
    if scale.units is not None and abs(level_units - scale.units) < TURN_UNITS:
        units = scale.units
    error_units = level_units - units
    if abs(error_units) <= DRIFT_UNITS_MAX:
        scale.zero_kg += DRIFT_SHARE * error_units * unit_kg
    confidence = max(0.0, 1.0 - 2.0 * abs(error_units))
    _count(scale, shelf, units, writer, level_kg=level_kg, confidence=confidence, from_us=from_us)


def _count(
    scale: _Scale,
    shelf: Shelf,
    units: int,
    writer: "_Writer",
    *,
    level_kg: float | None,
    confidence: float,
    from_us: int,
) -> None:
    """Take in a count of units; write a row and alerts where it differs from the last."""
    if units == scale.units:
        return
    before, scale.units = scale.units, units
    scale.level_kg, scale.from_us = level_kg, max(from_us, scale.from_us + 1)
    writer.shelf(shelf, scale, confidence=confidence)
    if units == 0 and before != 0:
        writer.alert(shelf, scale, "shelf_empty", "error")
    minimum = minimum_units(shelf)
    was_low, scale.low = scale.low, minimum is not None and units < minimum
    if scale.low and not was_low:
        writer.alert(shelf, scale, "replenish", "warning")


def minimum_units(shelf: Shelf) -> int | None:
    """Return how many units a shelf should not fall below; `None` where the site file gives nothing to go by."""
    if shelf.minimum_units is not None:
        return shelf.minimum_units
    return None if shelf.capacity_units is None else math.ceil(MINIMUM_SHARE * shelf.capacity_units)


def _unit_kg(shelf: Shelf) -> float | None:
    return None if not shelf.unit_grams else shelf.unit_grams / 1000.0


class _Writer:
    """Collects the rows of one chunk."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._shelves: list[dict[str, Any]] = []
        self._alerts: list[dict[str, Any]] = []

    def shelf(self, shelf: Shelf, scale: _Scale, *, confidence: float | None) -> None:
        """Write a shelf's state."""
        self._shelves.append(
            {
                "site": self._site,
                "shelf": shelf.id,
                "zone": shelf.zone,
                "gtin": shelf.gtin,
                "from_time": scale.from_us,
                "mass_kg": scale.level_kg,
                "units": scale.units,
                "available": None if scale.units is None else scale.units >= 1,
                "confidence": confidence,
            }
        )

    def alert(self, shelf: Shelf, scale: _Scale, alert: str, severity: str) -> None:
        """Write an alert about a shelf."""
        detail = {"gtin": shelf.gtin, "units": scale.units, "minimum_units": minimum_units(shelf)}
        self._alerts.append(
            {
                "site": self._site,
                "alert": alert,
                "subject_kind": "shelf",
                "subject": shelf.id,
                "zone": shelf.zone,
                "severity": severity,
                "event_time": scale.from_us,
                "detail": msgspec.json.encode(detail).decode(),
            }
        )

    def outputs(self) -> Outputs:
        """Return the rows as tables."""
        tables = {"shelves": (self._shelves, SHELVES), "alerts": (self._alerts, ALERTS)}
        return {name: table_of(rows, schema) for name, (rows, schema) in tables.items() if rows}
