"""Faults do what their record says, to those they name, and leave everything else alone."""

from collections import Counter

import pytest

from devices.errors import UsageError
from devices.publication import Publication
from devices.site.model import Site
from simulators.config import preset
from simulators.day import StoreDay
from simulators.faults import (
    FAULTS,
    ClockSkew,
    DarkReader,
    Duplicate,
    Fault,
    FaultyNetwork,
    Garbled,
    LateReplay,
    clock_offset,
    parse_fault,
)
from simulators.plan import build_plan
from simulators.streams import random_stream

START_US = 1_772_438_400_000_000
SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def site() -> Site:
    return build_plan(site_id="s", name="", zones=7, antennas=12, items=60, timezone="UTC").site


def steady(site: Site, seconds: int = 60) -> list[Publication]:
    """Every device publishes ten times a second, told apart by its payload."""
    topics = [topic for topic, _ in site.sources()]
    return [
        Publication(
            topic=topic,
            payload=f'{{"topic":"{topic}","n":{tick}}}'.encode(),
            received_us=START_US + tick * 100_000 + place,
        )
        for tick in range(seconds * 10)
        for place, topic in enumerate(topics)
    ]


def run(site: Site, *faults: Fault, seconds: int = 60) -> tuple[list[Publication], list[Publication], FaultyNetwork]:
    """Send a steady stream through faults in slices of ten seconds; return what was sent, what arrived, the network."""
    network = FaultyNetwork(faults=faults, site=site, start_us=START_US, rng=random_stream(1, "faults"))
    sent = steady(site, seconds)
    arrived: list[Publication] = []
    for start_us in range(START_US, START_US + seconds * SECOND_US, 10 * SECOND_US):
        until_us = start_us + 10 * SECOND_US
        arrived += network.carry([one for one in sent if start_us <= one.received_us < until_us], until_us)
    arrived += network.carry([], START_US + 10**12)
    times = [one.received_us for one in arrived]
    assert times == sorted(times)
    return sent, arrived, network


def is_of(site: Site, reader: str, publication: Publication) -> bool:
    found = next(entry for entry in site.readers if entry.id == reader)
    return publication.topic in (found.mqtt_topic, *found.status_mqtt_topics)


def test_without_faults_everything_arrives_as_it_was_sent(site: Site) -> None:
    sent, arrived, network = run(site)
    assert arrived == sent
    assert network.records() == []


def test_a_dark_reader_is_silent_for_its_time_and_nobody_else_is(site: Site) -> None:
    sent, arrived, network = run(site, DarkReader(reader="r2", from_s=10, until_s=25))
    missing = set(sent) - set(arrived)
    assert all(is_of(site, "r2", one) for one in missing)
    assert all(10 <= (one.received_us - START_US) / SECOND_US < 25 for one in missing)
    assert len(missing) == 150 * (2 if site.readers[1].status_mqtt_topics else 1)
    assert network.records() == [
        {"fault": "dark-reader", "reader": "r2", "from_s": 10, "until_s": 25, "publications": len(missing)}
    ]


def test_duplicates_come_later_unchanged_and_are_all_recorded(site: Site) -> None:
    sent, arrived, network = run(site, Duplicate(share=0.05, delay_s=3.0))
    summary, *lines = network.records()
    assert 0.03 < len(lines) / len(sent) < 0.07
    assert summary["publications"] == len(lines) == len(arrived) - len(sent)
    extra = Counter((one.topic, one.payload) for one in arrived) - Counter((one.topic, one.payload) for one in sent)
    assert set(extra.values()) == {1}
    repeats = {(line["topic"], line["again_us"]) for line in lines}
    assert repeats <= {(one.topic, one.received_us) for one in arrived}
    assert all(line["again_us"] > line["received_us"] for line in lines)


def test_a_late_replay_keeps_everything_throttles_it_and_mixes_it_with_live_reports(site: Site) -> None:
    fault = LateReplay(reader="r1", from_s=10, until_s=30, throttle_per_s=40.0)
    sent, arrived, network = run(site, fault)
    assert Counter(one.payload for one in arrived) == Counter(one.payload for one in sent)
    own = [one for one in arrived if is_of(site, "r1", one)]
    assert not [one for one in own if 10 <= (one.received_us - START_US) / SECOND_US < 30]
    was = {one.payload: one.received_us for one in sent}
    replayed = [one for one in own if one.received_us != was[one.payload]]
    assert len(replayed) == network.records()[0]["publications"] == 400
    assert [was[one.payload] for one in replayed] == sorted(was[one.payload] for one in replayed)
    seconds = (replayed[-1].received_us - replayed[0].received_us) / SECOND_US
    assert len(replayed) / seconds == pytest.approx(40.0, rel=0.05)
    live = [one for one in own if one.received_us == was[one.payload]]
    assert [one for one in live if replayed[0].received_us < one.received_us < replayed[-1].received_us]


def test_garbled_payloads_differ_and_are_all_recorded(site: Site) -> None:
    sent, arrived, network = run(site, Garbled(share=0.1, reader="r3"))
    summary, *lines = network.records()
    changed = {(a.topic, a.received_us) for a, b in zip(sent, arrived, strict=True) if a.payload != b.payload}
    assert changed == {(str(line["topic"]), int(line["received_us"])) for line in lines}
    assert summary["publications"] == len(lines) > 50
    assert {line["how"] for line in lines} == {"truncated", "flipped"}
    assert all(is_of(site, "r3", one) for one in sent if (one.topic, one.received_us) in changed)


def test_faults_work_together(site: Site) -> None:
    _, arrived, network = run(
        site, DarkReader(reader="r1", from_s=0, until_s=60), Duplicate(share=0.1), Garbled(share=0.1)
    )
    assert not [one for one in arrived if is_of(site, "r1", one)]
    assert all(record["publications"] > 0 for record in network.records()[:3])


def test_a_skewed_clock_is_wrong_for_its_time() -> None:
    fault = ClockSkew(reader="r1", seconds=-3.5, from_s=10, until_s=20)
    offset = clock_offset([fault], "r1", start_us=START_US, base_us=7)
    other = clock_offset([fault], "r2", start_us=START_US, base_us=9)
    at = [offset(START_US + second * SECOND_US) for second in (0, 10, 19, 20)]
    assert at == [7, 7 - 3_500_000, 7 - 3_500_000, 7]
    assert other(START_US + 15 * SECOND_US) == 9


@pytest.mark.slow
def test_a_day_with_a_skewed_clock_differs_in_that_readers_payloads_alone() -> None:
    plain = StoreDay(preset("tiny", hours=0.02))
    skewed = StoreDay(preset("tiny", hours=0.02, faults=(ClockSkew(reader="r1", seconds=3.0),)))
    pairs = list(zip(plain, skewed, strict=True))
    changed = {a.topic for a, b in pairs if a.payload != b.payload}
    r1 = next(reader for reader in plain.site.readers if reader.id == "r1")
    assert changed == {r1.mqtt_topic, *r1.status_mqtt_topics}
    assert all((a.topic, a.received_us) == (b.topic, b.received_us) for a, b in pairs)
    assert skewed.fault_records()[0]["until_s"] is None


def test_faults_are_read_from_the_command_line() -> None:
    assert parse_fault("dark-reader:reader=r2,from_s=600,until_s=1200") == DarkReader(
        reader="r2", from_s=600, until_s=1200
    )
    assert parse_fault("garbled:share=0.01") == Garbled(share=0.01)
    assert set(FAULTS) == {"dark-reader", "clock-skew", "duplicate", "late-replay", "garbled"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("earthquake", 'unknown fault "earthquake"'),
        ("garbled:share=much", "must be a number"),
        ("garbled", "needs share"),
        ("dark-reader:reader=r1", "needs from_s, until_s"),
        ("garbled:share=0.1,size=3", 'no parameter "size"'),
    ],
)
def test_faults_that_cannot_be_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_fault(text)


def test_a_fault_of_a_reader_that_is_not_there_is_refused(site: Site) -> None:
    with pytest.raises(UsageError, match='no reader "r9"'):
        run(site, DarkReader(reader="r9", from_s=0, until_s=1))
