"""A simulated day as a whole: deterministic, decodable to the last tag, streamed in order, the truth beside it."""

import dataclasses
from collections import Counter
from datetime import UTC, datetime

import pytest

from devices.bulk import TopicDirectory, decode_publications
from devices.errors import UsageError
from devices.publication import LoggedPublication, Publication
from devices.site.file import parse_site
from simulators.config import PRESETS, DayConfig, preset
from simulators.day import StoreDay
from simulators.faults import ClockSkew, Duplicate, Garbled, LateReplay
from simulators.radio_law import RadioLaw
from simulators.site_toml import site_toml
from tests.simulators.conftest import RunDay

MINUTE_US = 60_000_000


def decoded(run: RunDay) -> dict[str, list[dict[str, object]]]:
    """Decode a day through its site file and return the rows of each stream."""
    site = parse_site(site_toml(run.day.site, comment="a day"))
    logged = [
        LoggedPublication(edge_offset=number, publication=publication)
        for number, publication in enumerate(run.publications, start=1)
    ]
    chunks = decode_publications(logged, edge_id="edge", directory=TopicDirectory.of([site]))
    assert [chunk.site for chunk in chunks] == [site.id]
    return {stream: batch.to_pylist() for stream, batch in chunks[0].batches.items()}


@pytest.fixture(scope="module")
def rows(tiny: RunDay) -> dict[str, list[dict[str, object]]]:
    return decoded(tiny)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_publications_byte_for_byte(tiny: RunDay) -> None:
    assert list(StoreDay(tiny.day.config)) == tiny.publications


def test_another_seed_gives_another_day_in_the_same_store(tiny: RunDay) -> None:
    other = StoreDay(preset("tiny", seed=2, hours=0.02))
    assert other.site == tiny.day.site
    assert list(other)[20:60] != tiny.publications[20:60]
    assert set(other.goods.epc_hex).isdisjoint(set(tiny.day.goods.epc_hex) - {""})


def test_a_longer_day_begins_in_the_same_store() -> None:
    """The seed fixes the shadowing of places and tags, whatever the length of the day."""
    short, long = (StoreDay(preset("tiny", hours=hours)) for hours in (0.05, 8.0))
    assert (short.radio.field.gain_db == long.radio.field.gain_db).all()


def test_every_read_on_the_air_is_decoded_and_nothing_is_rejected(
    tiny: RunDay, rows: dict[str, list[dict[str, object]]]
) -> None:
    assert "rejects" not in rows
    counted = sum(int(str(row["read_count"] or 1)) for row in rows["reads"])
    assert counted == tiny.day.reads > 3000
    assert {str(row["epc_hex"]) for row in rows["reads"]} <= set(tiny.day.goods.epc_hex) - {""}
    assert {row["reader"] for row in rows["reads"]} == {reader.id for reader in tiny.day.site.readers}
    assert set(rows) == {"reads", "readings", "device_events", "business_events"}


def test_every_device_speaks(tiny: RunDay, rows: dict[str, list[dict[str, object]]]) -> None:
    speaking = {publication.topic for publication in tiny.publications}
    silent = {topic for topic, _ in tiny.day.site.sources()} - speaking
    assert silent == set()
    assert Counter(row["quantity"] for row in rows["readings"]).keys() == {"mass", "temperature", "illuminance"}
    assert {row["event"] for row in rows["device_events"]} == {"connected", "heartbeat"}
    assert {row["event"] for row in rows["business_events"]} >= {"book_stock", "expected", "receipt", "sale"}


def test_reads_lie_where_the_truth_says_the_item_is(tiny: RunDay, rows: dict[str, list[dict[str, object]]]) -> None:
    """An antenna may hear a neighbouring zone, but never an item that is not in the store."""
    day = tiny.day
    items = {epc: item for item, epc in enumerate(day.goods.epc_hex) if epc}
    for row in rows["reads"]:
        at = row["event_time"]
        assert isinstance(at, datetime)
        at_us = round(at.timestamp() * 1e6)
        around = {day.world.truth.zone_at(items[str(row["epc_hex"])], at_us + shift) for shift in (-2_000_000, 0)}
        assert around != {-1}


def test_publications_arrive_in_order_and_after_they_were_sent(
    tiny: RunDay, rows: dict[str, list[dict[str, object]]]
) -> None:
    received = [publication.received_us for publication in tiny.publications]
    assert received == sorted(received)
    assert received[0] >= tiny.day.config.start_us
    for row in rows["reads"]:
        assert isinstance(row["reader_time"], datetime)
        assert isinstance(row["received_time"], datetime)
        delay_s = (row["received_time"] - row["reader_time"]).total_seconds()
        assert -0.1 < delay_s < 2.0  # clocks are off by some 15 ms, reports wait up to a second


def test_running_numbers_have_no_gaps(rows: dict[str, list[dict[str, object]]]) -> None:
    for reader in ("r1", "r2"):
        numbers = [int(str(row["source_seq"])) for row in rows["reads"] if row["reader"] == reader]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.slow
def test_only_what_the_record_calls_garbled_is_ever_rejected() -> None:
    faults = (
        Duplicate(share=0.05),
        Garbled(share=0.05),
        LateReplay(reader="r1", from_s=30, until_s=60),
        ClockSkew(reader="r2", seconds=-90.0),
    )
    day = StoreDay(preset("tiny", hours=0.05, faults=faults))
    rejected = decoded(RunDay(day=day, publications=list(day)))["rejects"]
    garbled = {
        str(record["topic"]) for record in day.fault_records() if record["fault"] == "garbled" and "how" in record
    }
    count = sum("how" in record for record in day.fault_records())
    assert 0 < len({row["edge_offset"] for row in rejected}) <= count
    assert {str(row["topic"]) for row in rejected} <= garbled


def test_truth_answers_while_the_day_runs() -> None:
    day = StoreDay(preset("tiny", hours=0.05))
    for _ in day.slices():
        locations = day.truth_locations(day.now_us)
        assert set(locations) <= {epc for epc in day.goods.epc_hex if epc}
        assert set(locations.values()) <= {zone.id for zone in day.site.zones}
        on_site = sum(day.truth_counts(day.now_us).values())
        assert on_site >= len(locations)
        assert day.book(day.now_us).keys() == day.truth_counts(day.now_us).keys()
    opening = day.truth_counts(day.config.start_us)
    assert sum(opening.values()) == day.config.items


def test_sales_and_returns_in_the_feed_match_what_happened(
    tiny: RunDay, rows: dict[str, list[dict[str, object]]]
) -> None:
    events = Counter(str(row["event"]) for row in rows["business_events"])
    assert events["sale"] >= tiny.day.world.left["sold"]
    assert events["book_stock"] == len(tiny.day.plan.products)
    ids = [row["event_id"] for row in rows["business_events"]]
    assert len(set(ids)) == len(ids)


def test_presets_are_what_their_names_say() -> None:
    assert set(PRESETS) == {"demo", "store-24", "store-48", "cartons", "counting", "tiny"}
    for name in ("store-24", "store-48"):
        config = PRESETS[name]
        assert (config.antennas, config.zones, config.hours) == (int(name[-2:]), 13, 1.0)
        assert config.mean_read_interval_s == {24: 4.0, 48: 2.0}[config.antennas]
    assert all(config.scenario == name for name, config in PRESETS.items())


def test_a_day_that_cannot_be_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match="unknown scenario"):
        preset("huge")
    with pytest.raises(UsageError, match='no setting "antenas"'):
        preset("tiny", antenas=3)
    with pytest.raises(UsageError, match="time zone"):
        DayConfig(start=datetime(2026, 3, 2, 8, 0))  # noqa: DTZ001  # the point of the test
    with pytest.raises(UsageError, match="some hours"):
        DayConfig(hours=0.0)
    with pytest.raises(UsageError, match="whole dwells"):
        DayConfig(radio=RadioLaw(dwell_s=0.3))


def test_days_start_at_any_instant_and_last_whole_slices() -> None:
    config = preset("tiny", start=datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC), hours=0.021)
    assert (config.end_us - config.start_us) % 10_000_000 == 0
    publications = list(StoreDay(config))
    assert {publication.received_us // MINUTE_US for publication in publications} == {
        config.start_us // MINUTE_US,
        config.start_us // MINUTE_US + 1,
        *({config.end_us // MINUTE_US} if publications[-1].received_us >= config.end_us else ()),
    }


def test_habits_of_nobody_leave_the_store_as_it_was() -> None:
    config = preset("tiny", hours=0.05, deliveries=0)
    nobody = dataclasses.replace(config.shoppers, per_hour=0.0, returns_per_hour=0.0)
    idle = dataclasses.replace(config.staff, associates=0, counts_per_day=0)
    day = StoreDay(dataclasses.replace(config, shoppers=nobody, staff=idle))
    publications: list[Publication] = list(day)
    assert publications
    assert day.world.truth.rows == day.goods.count
    assert day.truth_counts(day.now_us) == day.truth_counts(config.start_us)
