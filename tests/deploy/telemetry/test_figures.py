"""Promise: every counter that a component keeps is exported, under a name and with labels of the catalogue."""

import dataclasses
from pathlib import Path

import pytest

from analytics.data_directory import DataDirectory
from analytics.runner_parts import RunnerStats
from deploy.telemetry.bridge_figures import (
    READERS_MAX,
    SOURCES_MAX,
    ReaderTopics,
    SourceTopics,
    tell_bridge,
    tell_edge_log,
)
from deploy.telemetry.catalogue import BY_NAME, CATALOGUE
from deploy.telemetry.consumer_lag import CATCHING_UP_S, tell_lag
from deploy.telemetry.forward_figures import tell_forwarder
from deploy.telemetry.jobs_figures import kafka_look, tell_landing, tell_runner
from deploy.telemetry.monitoring import Monitoring
from deploy.telemetry.process_figures import tell_disk, tell_process
from deploy.telemetry.report import Progress, Report, Told
from devices.publication import Publication
from devices.site import check_text
from devices.site.model import Feed, Reader, Shelf, Site
from ingest.bridge_report import BridgeState, BridgeStats
from ingest.chunk_assembly import AssemblyStats
from ingest.edge_log import EdgeLog
from ingest.forward_report import ForwarderState, ForwarderStats
from ingest.kafka_source import KafkaSourceStats
from ingest.limits import EdgeLogLimits
from tests.deploy.scene import SITE_TOML

UNEXPORTED = {
    "connections_lost",  # the sum of losses, by kind
    "subscribed",  # a check
    "connected",  # a gauge of its own
    "cursor",  # the edge log tells it, for every consumer
    "read_through",
    "behind_rows",  # consumer lag
}


WITH_SCALES = Site(
    id="store-7",
    readers=(Reader(id="r1", profile="tagtide", mqtt_topic="store-7/r1"),),
    shelves=(
        Shelf(
            id="denim",
            zone="floor",
            profile="weight",
            mqtt_topic="store-7/denim",
            status_mqtt_topics=("store-7/denim/status",),
        ),
    ),
    feeds=(Feed(id="till", profile="tagtide", mqtt_topic="store-7/till"),),
)


def told_of(tell: object, stats: object, *more: object) -> dict[str, float]:
    told = Told()
    tell(told, stats, *more)  # type: ignore[operator]
    _is_of_the_catalogue(told)
    return {sample.name: sample.value for sample in told.samples}


def _is_of_the_catalogue(told: Told) -> None:
    for sample in told.samples:
        assert len(sample.labels) == len(BY_NAME[sample.name].labels), sample


def numbered(stats: object) -> dict[str, int]:
    """Give every counter a value of its own, and return them by attribute."""
    values = {}
    for number, field in enumerate(dataclasses.fields(stats), 1001):  # type: ignore[arg-type]
        if field.type in {"int", int} and field.name not in UNEXPORTED:
            setattr(stats, field.name, number)
            values[field.name] = number
    assert values
    return values


def test_every_counter_of_a_bridge() -> None:
    stats = BridgeStats(state=BridgeState.RECEIVING)
    values = numbered(stats)
    assert set(values.values()) <= set(told_of(tell_bridge, stats, "mqtt://b").values())


def test_every_counter_of_a_forwarder() -> None:
    stats = ForwarderStats(state=ForwarderState.FORWARDING, rows={"reads": 3}, failures={"kafka_unavailable": 2})
    values = numbered(stats)
    found = told_of(tell_forwarder, stats, "k:9092")
    assert set(values.values()) <= set(found.values())
    assert found["tagtide_forwarder_failures_total"] == 2


def test_every_counter_of_a_runner() -> None:
    stats = RunnerStats()
    values = numbered(stats)
    assert set(values.values()) <= set(told_of(tell_runner, stats).values())


def test_every_counter_of_a_kafka_source() -> None:
    stats = KafkaSourceStats(assembly=AssemblyStats(rows_gone=1, rows_undecodable=2, gaps=3), records=4, lag_records=5)
    told = Told()
    kafka_look(stats, "k:9092")(told)
    _is_of_the_catalogue(told)
    assert {1, 2, 3, 4, 5} <= {sample.value for sample in told.samples}


def test_together_they_export_the_whole_catalogue(tmp_path: Path) -> None:
    """What the board adds by itself apart."""
    told, data = Told(), DataDirectory(tmp_path)
    log = EdgeLog.open(data.edge)
    log.append([Publication(topic="t", payload=b"x", received_us=1, qos=1)])
    log.move_cursor("jobs", 1)
    tell_bridge(told, BridgeStats(), "b")
    tell_edge_log(told, log, EdgeLogLimits())
    tell_lag(told, "jobs", log, 0)
    tell_forwarder(told, ForwarderStats(rows={"reads": 1}, failures={"x": 1}), "k")
    tell_runner(told, RunnerStats())
    kafka_look(KafkaSourceStats(assembly=AssemblyStats()), "k")(told)
    tell_process(told, "bridge", 0.0)
    tell_disk(told, "bridge", tmp_path)
    stats = RunnerStats()
    stats.landing.rejects["r"] = stats.landing.device_events["clock"] = 1
    stats.landing.received_us["s"] = stats.landing.event_us["s"] = 1
    tell_landing(told, stats.landing, ["s"])
    site = check_text(SITE_TOML).site
    assert site is not None
    ReaderTopics([site], 0.0).tell(told, {"store-7/r1": 1}, 5.0)
    SourceTopics([WITH_SCALES]).tell(told, {"store-7/denim": 1})
    log.close()
    _is_of_the_catalogue(told)
    boards_own = {"build_info", "component_up", "component_restarts_total", "component_progress_age_seconds"}
    boards_own |= {"telemetry_failures_total", "http_requests_total"}
    assert {metric.name for metric in CATALOGUE} == {sample.name for sample in told.samples} | {
        f"tagtide_{name}" for name in boards_own
    }


def test_a_reader_is_silent_since_it_was_heard_or_since_the_start() -> None:
    site = check_text(SITE_TOML).site
    assert site is not None
    readers = ReaderTopics([site], 1000.0)
    told = Told()
    readers.tell(told, {}, 1030.0)
    readers.tell(told, {"store-7/r1": 1_020_000_000, "other": 1_029_000_000}, 1030.0)
    silent = [sample.value for sample in told.samples if sample.name == "tagtide_reader_silent_seconds"]
    assert silent == [30.0, 10.0]
    assert [s.value for s in told.samples if s.name == "tagtide_reader_last_seen_timestamp_seconds"] == [1020.0]


def test_scales_and_tills_are_seen_by_any_of_their_topics() -> None:
    told = Told()
    seen_us = {"store-7/denim": 1_020_000_000, "store-7/denim/status": 1_030_000_000, "store-7/r1": 1_040_000_000}
    SourceTopics([WITH_SCALES]).tell(told, seen_us)
    seen = [(sample.labels, sample.value) for sample in told.samples if "last_seen" in sample.name]
    assert seen == [(("store-7", "shelf", "denim"), 1030.0)], "the till has not spoken, and a reader is none of these"
    assert {sample.name: sample.value for sample in told.samples}["tagtide_sources_configured"] == 2


def test_sources_beyond_the_bound_are_only_counted() -> None:
    shelves = tuple(dataclasses.replace(WITH_SCALES.shelves[0], id=f"s{number}") for number in range(SOURCES_MAX))
    told = Told()
    SourceTopics([dataclasses.replace(WITH_SCALES, shelves=shelves)]).tell(told, {"store-7/denim": 1})
    values = {sample.name: sample.value for sample in told.samples}
    assert values["tagtide_sources_unlisted"] == 1
    assert sum("last_seen" in sample.name for sample in told.samples) == SOURCES_MAX


def test_readers_beyond_the_bound_are_only_counted() -> None:
    site = check_text(SITE_TOML).site
    assert site is not None
    readers = tuple(dataclasses.replace(site.readers[0], id=f"r{number}") for number in range(READERS_MAX + 3))
    told = Told()
    ReaderTopics([dataclasses.replace(site, readers=readers)], 0.0).tell(told, {}, 1.0)
    values = {sample.name: sample.value for sample in told.samples}
    assert values["tagtide_readers_unlisted"] == 3
    assert sum(sample.name == "tagtide_reader_silent_seconds" for sample in told.samples) == READERS_MAX


@pytest.mark.parametrize(("age_s", "ok"), [(CATCHING_UP_S - 5, True), (CATCHING_UP_S + 5, False)])
def test_a_consumer_is_behind_while_something_waits_for_long(tmp_path: Path, age_s: float, ok: bool) -> None:  # noqa: FBT001
    import time

    log = EdgeLog.open(tmp_path)
    log.append([Publication(topic="t", payload=b"x", received_us=int((time.time() - age_s) * 1e6), qos=1)] * 3)
    told = Told()
    tell_lag(told, "jobs", log, 1)
    tell_lag(told, "jobs", log, 3)
    log.close()
    assert [check.ok for check in told.checks] == [ok, True]
    values = [sample.value for sample in told.samples if sample.name == "tagtide_consumer_lag_publications"]
    assert values == [2, 0]


def test_a_part_that_fails_is_counted_and_costs_no_other() -> None:
    found = list[Report]()

    def broken(_told: Told) -> None:
        raise RuntimeError("a bug")

    looks = [broken, lambda told: told.put("tagtide_broker_connected", 1)]
    with Monitoring(sink=found.append).reporting("bridge", Progress(1.0), looks):
        pass
    samples = {sample.name: sample.value for sample in found[0].samples}
    assert samples["tagtide_broker_connected"] == 1
    assert samples["tagtide_telemetry_failures_total"] == 1
