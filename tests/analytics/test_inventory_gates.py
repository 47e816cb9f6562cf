"""What gates tell the inventory: out is gone at once, explained by a sale or told; in is there before it is located."""

from typing import Any

import msgspec

from analytics.schemas import PASSAGES
from analytics.step import Arrived, Outputs, Step
from analytics.steps.derived import table_of
from analytics.steps.identity import identify
from analytics.steps.inventory import InventoryStep
from devices.epc import encode_sgtin96
from devices.site.model import Gate, GateKind, Site, Zone, ZoneKind
from tests.analytics.step_laws import run_pipeline
from tests.analytics.told_stays import Told, ToldStays, rows_of

GTIN = "09506000134352"
A, B = (encode_sgtin96(GTIN, serial, 7) for serial in (1, 2))
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
FLOOR, BACK = 0, 1
SITE = Site(
    id="s",
    zones=(
        Zone(id="floor", kind=ZoneKind.SALES_FLOOR, polygon=BOX),
        Zone(id="back", kind=ZoneKind.BACK_ROOM, polygon=BOX),
    ),
    gates=(
        Gate(id="way-out", kind=GateKind.EXIT, inside=(), outside=(), inside_zone="floor"),
        Gate(id="door", kind=GateKind.DOOR, inside=(), outside=(), inside_zone="floor", outside_zone="back"),
    ),
)


class Passed(msgspec.Struct):
    """What was said about passages and waits for the watermark."""

    pending: list[tuple[int, str, str]] = []


class ToldPassages:
    """A step in the gate's place: a device event's `detail` says gate, direction, confidence and EPC."""

    name = "gate"

    def initial(self, site: Site) -> Passed:  # noqa: ARG002 - the interface of a step
        return Passed()

    def step(self, state: Passed, arrived: Arrived, site: Site) -> tuple[Passed, Outputs]:
        batch = arrived.batches.get("device_events")
        if batch is not None:
            told = zip(arrived.effective_us["device_events"].tolist(), batch["detail"].to_pylist(), strict=True)
            state.pending += [(at_us, detail, "") for at_us, detail in told if detail and detail.startswith("gate ")]
        due = sorted(entry for entry in state.pending if entry[0] <= arrived.watermark_us)
        state.pending = [entry for entry in state.pending if entry[0] > arrived.watermark_us]
        rows = [_row(at_us, detail, site) for at_us, detail, _ in due]
        return state, {"passages": table_of(rows, PASSAGES)} if rows else {}

    def dump(self, state: Passed) -> bytes:
        return msgspec.msgpack.encode(state)

    def load(self, blob: bytes, site: Site) -> Passed:  # noqa: ARG002 - the interface of a step
        return msgspec.msgpack.decode(blob, type=Passed)


def _row(at_us: int, detail: str, site: Site) -> dict[str, Any]:
    _, gate, direction, confidence, epc = detail.split()
    times = {"from_time": at_us - 20_000_000, "until_time": at_us - 12_000_000, "as_of_time": at_us}
    said = {"gate": gate, "epc_hex": epc, "gtin": identify(epc)[1], "direction": direction}
    rest = {"confidence": float(confidence), "probabilities": "{}", "load": "l", "reads": 9, "model": "m"}
    return {"site": site.id, **said, **times, **rest}


def passes(told: Told, minute: float, epc: str, direction: str, *, gate: str = "way-out", sure: float = 0.95) -> Told:
    told.device_event(60 * minute, "other", 60 * minute, detail=f"gate {gate} {direction} {sure} {epc}")
    return told


def run(told: Told) -> tuple[list[int], list[tuple[str, str]]]:
    """Return the seen units of the GTIN row by row, and the alerts."""
    steps: list[Step[Any]] = [ToldStays(), ToldPassages(), InventoryStep()]
    tables = dict(run_pipeline(SITE, steps, [told.chunk()]))
    seen = [row["seen_quantity"] for row in rows_of(tables, "inventory") if row["zone"] is None and row["gtin"] == GTIN]
    return seen, [(row["alert"], row["subject"]) for row in rows_of(tables, "alerts")]


def two_on_the_floor() -> Told:
    return Told().goes(1, A, FLOOR).goes(1.1, B, FLOOR)


def test_out_is_gone_although_location_still_has_it() -> None:
    seen, alerts = run(passes(two_on_the_floor(), 20, A, "outbound").until(31))
    assert seen == [2, 1]
    assert alerts == [("exit_without_sale", A)]


def test_a_sale_of_its_gtin_explains_what_went_out() -> None:
    told = two_on_the_floor().business(18, "sale", gtin=GTIN)
    seen, alerts = run(passes(told, 20, A, "outbound").until(31))
    assert (seen[-1], alerts) == (1, [])


def test_a_sold_item_goes_out_in_peace() -> None:
    told = two_on_the_floor().business(18, "sale", epc_hex=A)
    seen, alerts = run(passes(told, 20, A, "outbound").until(31))
    assert (seen[-1], alerts) == (1, [])


def test_who_is_not_sure_and_a_door_within_the_site_move_nothing() -> None:
    told = passes(two_on_the_floor(), 20, A, "outbound", sure=0.8)
    seen, alerts = run(passes(told, 21, B, "outbound", gate="door").until(31))
    assert (seen[-1], alerts) == (2, [])


def test_in_is_there_before_it_is_located() -> None:
    told = passes(two_on_the_floor(), 20, A, "outbound")
    seen, _ = run(passes(told, 35, A, "inbound").until(61))
    assert seen == [2, 1, 2]


def test_what_is_located_after_it_went_out_is_there() -> None:
    told = passes(two_on_the_floor(), 20, A, "outbound").goes(35, A, BACK)
    seen, _ = run(told.until(61))
    assert seen == [2, 1, 2]
