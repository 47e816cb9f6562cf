"""Location rows for tests, said line by line instead of worked out from radio."""

from typing import Any

import msgspec
import pyarrow as pa

from analytics.schemas import LOCATIONS, OUTSIDE
from analytics.step import Arrived, Outputs
from analytics.steps.derived import table_of
from analytics.steps.identity import identify
from devices.site.model import Site
from tests.analytics.chunk_building import Sayings

SILENT = -1
BEYOND = -2


class ToldState(msgspec.Struct):
    """Reads that wait for the watermark, and open stays by EPC."""

    pending: list[tuple[int, str, int, int | None]] = []
    stays: dict[str, tuple[int, int]] = {}


class ToldStays:
    """A step in location's place: a read says which zone its item is in (`antenna`: the zone's number, `SILENT`,
    or `BEYOND` where its stay is taken back)."""

    name = "location"

    def initial(self, site: Site) -> ToldState:  # noqa: ARG002 - the interface of a step
        """Return the state before any read."""
        return ToldState()

    def step(self, state: ToldState, arrived: Arrived, site: Site) -> tuple[ToldState, Outputs]:
        """Take one chunk in."""
        batch = arrived.batches.get("reads")
        if batch is not None:
            columns = [batch[name].to_pylist() for name in ("epc_hex", "antenna", "read_count")]
            told = zip(arrived.effective_us["reads"].tolist(), *columns, strict=True)
            state.pending += [row for row in told if row[2] is not None]  # reads without antenna say nothing of places
        due = sorted((row for row in state.pending if row[0] <= arrived.watermark_us), key=lambda row: row[0])
        state.pending = [row for row in state.pending if row[0] > arrived.watermark_us]
        rows = [row for told in due for row in self._told(state, told, site)]
        return state, {"locations": table_of(rows, LOCATIONS)} if rows else {}

    def dump(self, state: ToldState) -> bytes:
        """Turn a state to bytes."""
        return msgspec.msgpack.encode(state)

    def load(self, blob: bytes, site: Site) -> ToldState:  # noqa: ARG002 - the interface of a step
        """Turn bytes back to a state."""
        return msgspec.msgpack.decode(blob, type=ToldState)

    def _told(self, state: ToldState, told: tuple[int, str, int, int | None], site: Site) -> list[dict[str, Any]]:
        at_us, epc, place, silent_s = told
        common = {"site": site.id, "epc_hex": epc, "gtin": identify(epc)[1], "confidence": 0.9, "as_of_time": at_us}
        rows, before = [], state.stays.pop(epc, None)
        if before is not None:
            left_for = {SILENT: None, BEYOND: OUTSIDE}.get(place) if place < 0 else site.zones[place].id
            until_us = max(before[0], at_us - (silent_s or 0) * 1_000_000)
            stay = {"zone": site.zones[before[1]].id, "from_time": before[0], "until_time": until_us}
            rows.append({**common, **stay, "left_for": left_for, "revision": 1})
        if place >= 0:
            state.stays[epc] = (at_us, place)
            rows.append({**common, "zone": site.zones[place].id, "from_time": at_us, "revision": 0})
        return rows


class Told(Sayings):
    """A day's story. Times are minutes after noon."""

    def goes(self, minute: float, epc: str, place: int) -> "Told":
        """Say that an item is in a zone from now on."""
        self.read(60 * minute, 60 * minute, epc_hex=epc, antenna=place)
        return self

    def silent(self, minute: float, epc: str, noticed: float = 0.0) -> "Told":
        """Say that an item fell silent at a minute, and that this was noticed some minutes later."""
        at = 60 * (minute + noticed)
        self.read(at, at, epc_hex=epc, antenna=SILENT, read_count=round(60 * noticed))
        return self

    def taken_back(self, minute: float, epc: str) -> "Told":
        """Say that an item has been outside all along."""
        self.read(60 * minute, 60 * minute, epc_hex=epc, antenna=BEYOND)
        return self

    def business(self, minute: float, event: str, quantity: int = 1, **columns: Any) -> "Told":
        """Say what a business system says."""
        self.business_event(60 * minute, f"{self.offset}", 60 * minute, event=event, quantity=quantity, **columns)
        return self

    def until(self, minute: float) -> "Told":
        """Let time pass."""
        self.mark(60 * minute + 5)
        return self


def rows_of(tables: dict[str, pa.Table], name: str) -> list[dict[str, Any]]:
    """Return a table's rows, none where it is missing."""
    return tables[name].to_pylist() if name in tables else []
