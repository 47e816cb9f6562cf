"""The site pipeline: what it lands, what it stores, and what it says about stored states that do not fit."""

import msgspec
import pytest

from analytics.pipeline import _VERSION, SitePipeline, StateError, _digest, default_steps
from analytics.steps.arrival import _VERSION as ARRIVAL_VERSION
from analytics.steps.device_health import DeviceHealthStep
from devices.site.model import Reader, Site
from tests.analytics.chunk_building import Sayings

SITE = Site(id="s", readers=(Reader(id="r1", profile="zebra", mqtt_topic="r1"),))


def used() -> SitePipeline:
    pipeline = SitePipeline(SITE, [DeviceHealthStep()])
    pipeline.process(Sayings().read(0.1, 3.0, source_seq=1).read(1.1, 4.0, source_seq=5).chunk())
    return pipeline


def container(steps: dict[str, bytes], site: str = "s") -> bytes:
    """Return stored states as a pipeline would have written them."""
    return msgspec.msgpack.encode([_VERSION, site, steps, _digest(site, steps)])


def test_the_products_steps_in_their_order() -> None:
    names = [step.name for step in default_steps()]
    assert sorted(names) == sorted(set(names))
    assert names.index("location") < names.index("aggregation") < names.index("inventory")
    assert names.index("gate") < names.index("inventory")
    assert names[-1] == "device_health"


def test_derived_rows_stand_behind_the_canonical_ones_of_their_table() -> None:
    said = Sayings().device_event(0.05, "connected").read(0.1, 3.0).mark(100.0)
    outputs = SitePipeline(SITE, [DeviceHealthStep()]).process(said.chunk())
    assert sorted(outputs) == ["alerts", "device_events", "reads"]
    assert outputs["device_events"]["event"].to_pylist() == ["connected", "clock", "silent"]


def test_a_stored_state_goes_on() -> None:
    stored = used().dump()
    pipeline = SitePipeline(SITE, [DeviceHealthStep()])
    assert pipeline.load(stored) == ()
    assert pipeline.dump() == stored
    later = Sayings(offset=2).mark(90.0).chunk()
    assert pipeline.process(later)["device_events"]["event"].to_pylist() == ["gap", "silent"]


def test_steps_come_and_go_with_a_remark() -> None:
    without = SitePipeline(SITE, [])
    (gone,) = without.load(used().dump())
    assert "'device_health' is not used" in gone
    (new,) = used().load(without.dump())
    assert "no stored state for step 'device_health'" in new


@pytest.mark.parametrize("readers", [SITE.readers, ()])
def test_a_site_without_zones_and_antennas_runs(readers: tuple[Reader, ...]) -> None:
    pipeline = SitePipeline(Site(id="s", readers=readers))
    said = Sayings().read(0.1, 0.0, antenna=1).reading(1.0, 2.5).mark(90.0)
    assert sorted(pipeline.process(said.chunk())) == ["alerts", "device_events", "readings", "reads"]
    assert pipeline.load(pipeline.dump()) == ()


def test_a_site_of_which_only_the_till_is_heard_gets_its_book_stock() -> None:
    pipeline = SitePipeline(SITE)
    said = Sayings().business_event(1.0, "a", event="book_stock", gtin="09506000134352", quantity=41)
    outputs = pipeline.process(said.mark(70.0).mark(1_000.0).chunk())
    assert outputs["inventory"]["book_quantity"].to_pylist() == [41, 41]


@pytest.mark.parametrize(
    ("blob", "code"),
    [
        (b"", "state_unreadable"),
        (b"\xff\x00", "state_unreadable"),
        (b"\x93\x02\xa1\xff\x80", "state_unreadable"),
        (b"\x91" * 5_000, "state_unreadable"),
        (msgspec.msgpack.encode([1, "s", {}]), "state_version"),
        (msgspec.msgpack.encode([3, "s", "of a later release"]), "state_version"),
        (container({}, site="t"), "state_unreadable"),
        (container({"arrival": msgspec.msgpack.encode([99, {}, {}])}), "state_version"),
        (container({"arrival": msgspec.msgpack.encode([ARRIVAL_VERSION, {}, {}])}), "state_unreadable"),
        (
            container({"arrival": msgspec.msgpack.encode([ARRIVAL_VERSION, {"speakers": "[[1]]"}, {}])}),
            "state_unreadable",
        ),
        (container({"arrival": b""}), "state_unreadable"),
        (
            container({"device_health": msgspec.msgpack.encode([1, {}, {"known": ["|u1", [9], b""]}])}),
            "state_unreadable",
        ),
        (msgspec.msgpack.encode([2, "s", {}, b"another digest"]), "state_unreadable"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(blob: bytes, code: str) -> None:
    with pytest.raises(StateError) as refused:
        used().load(blob)
    assert refused.value.code == code
    assert refused.value.hint


def test_a_state_that_was_refused_changes_nothing() -> None:
    pipeline, stored = used(), used().dump()
    with pytest.raises(StateError):
        pipeline.load(container({"device_health": b"damaged"}))
    assert pipeline.dump() == stored


def test_a_bit_that_a_disk_has_turned_is_noticed() -> None:
    stored = used().dump()
    for place in range(0, len(stored), 7):
        turned = bytearray(stored)
        turned[place] ^= 4
        with pytest.raises(StateError):
            used().load(bytes(turned))
