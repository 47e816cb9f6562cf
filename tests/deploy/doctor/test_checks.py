"""Promise: each check tells what was measured, and calls lossy what is lossy and nothing else."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from deploy.doctor import host_checks, kafka_checks, listening, mqtt_checks
from deploy.doctor.findings import Finding, Verdict, ok, problem, unknown, warning
from deploy.doctor.host_checks import DiskFacts
from deploy.doctor.kafka_checks import ClusterFacts, TopicFacts
from deploy.doctor.listening import DeviceHeard, Heard
from deploy.doctor.mqtt_probe import Kept, Restarted
from deploy.doctor.report import healthy, json_report, print_report, summary, worst_first
from devices.publication import Publication
from devices.site import load_site
from ingest.kafka_records import RECORD_BYTES_LIMIT, TOPICS
from ingest.limits import EdgeLogLimits
from tests.deploy.scene import SITE_TOML

GOOD_SETTINGS = {
    "min.insync.replicas": "2",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
    "max.message.bytes": "1048588",
}
GOOD_TOPIC = TopicFacts(name="reads", partitions=12, replicas=3, offline=0, settings=GOOD_SETTINGS)
GOOD_DISK = DiskFacts(
    path=Path("/data"),
    filesystem="ext4",
    total_bytes=2**40,
    free_bytes=2**39,
    sync_ms_median=1.5,
    writable=True,
    open_to_others=False,
)


def verdicts(findings: list[Finding]) -> dict[str, Verdict]:
    """The worst verdict of each check."""
    return {finding.check: finding.verdict for finding in reversed(worst_first(findings))}


def test_a_broker_that_keeps_everything_is_well() -> None:
    kept = Kept(acknowledged=5000, received=5000, in_flight=1000)
    findings = [*mqtt_checks.of_absence(kept), *mqtt_checks.of_unacknowledged(kept), mqtt_checks.of_qos0(kept)]
    assert {finding.verdict for finding in findings} == {Verdict.OK}


def test_one_lost_publication_is_a_problem_with_its_figures() -> None:
    [session, queue] = mqtt_checks.of_absence(Kept(acknowledged=5000, received=4999))
    assert session.verdict is Verdict.OK
    assert queue.verdict is Verdict.PROBLEM
    assert "4,999 of 5,000" in queue.found
    assert "max_queued_messages" in queue.advice


def test_a_forgotten_session_and_a_short_window_are_named() -> None:
    forgotten = Kept(acknowledged=10, received=0, session_present=False)
    assert verdicts(mqtt_checks.of_absence(forgotten))["mqtt.session"] is Verdict.PROBLEM
    narrow = Kept(acknowledged=10, received=10, in_flight=20)
    assert verdicts(mqtt_checks.of_unacknowledged(narrow))["mqtt.in_flight"] is Verdict.WARNING


@pytest.mark.parametrize(
    ("settled", "last", "expected"),
    [
        (200, 200, {"mqtt.restart": Verdict.OK, "mqtt.restart_last_moment": Verdict.OK}),
        (200, 0, {"mqtt.restart": Verdict.OK, "mqtt.restart_last_moment": Verdict.WARNING}),
        (199, 200, {"mqtt.restart": Verdict.PROBLEM}),
    ],
)
def test_a_restart_is_judged_by_what_was_settled(settled: int, last: int, expected: dict[str, Verdict]) -> None:
    restarted = Restarted(
        settled=Kept(acknowledged=200, received=settled), last_moment=Kept(acknowledged=200, received=last)
    )
    assert verdicts(mqtt_checks.of_restart(restarted, 5.0)) == expected


def test_a_good_cluster_is_well() -> None:
    findings = kafka_checks.of_cluster(ClusterFacts(brokers=3, topics=[GOOD_TOPIC], missing=[]))
    assert set(verdicts(findings).values()) == {Verdict.OK}


@pytest.mark.parametrize(
    ("change", "check", "verdict"),
    [
        ({"min.insync.replicas": "1"}, "kafka.min_insync_replicas", Verdict.PROBLEM),
        ({"min.insync.replicas": "3"}, "kafka.min_insync_replicas", Verdict.WARNING),
        ({"min.insync.replicas": "4"}, "kafka.min_insync_replicas", Verdict.PROBLEM),
        ({"retention.ms": "3600000"}, "kafka.retention", Verdict.PROBLEM),
        ({"retention.bytes": "1000"}, "kafka.retention_bytes", Verdict.WARNING),
        ({"cleanup.policy": "compact"}, "kafka.settings", Verdict.PROBLEM),
        ({"message.timestamp.type": "CreateTime"}, "kafka.settings", Verdict.PROBLEM),
        ({"unclean.leader.election.enable": "true"}, "kafka.settings", Verdict.PROBLEM),
        ({"max.message.bytes": str(RECORD_BYTES_LIMIT)}, "kafka.max_message_bytes", Verdict.WARNING),
    ],
)
def test_each_setting_that_costs_data_is_found(change: dict[str, str], check: str, verdict: Verdict) -> None:
    topic = replace(GOOD_TOPIC, settings=GOOD_SETTINGS | change)
    findings = kafka_checks.of_cluster(ClusterFacts(brokers=3, topics=[topic], missing=[]))
    assert verdicts(findings)[check] is verdict


def test_settings_that_no_limit_touches_stay_silent() -> None:
    topic = replace(GOOD_TOPIC, settings=GOOD_SETTINGS | {"retention.ms": "-1"})
    findings = kafka_checks.of_cluster(ClusterFacts(brokers=3, topics=[topic], missing=[]))
    assert set(verdicts(findings).values()) == {Verdict.OK}


def test_one_trouble_of_several_topics_is_told_once() -> None:
    topics = [replace(GOOD_TOPIC, name=name, replicas=1, settings={"min.insync.replicas": "1"}) for name in ("a", "b")]
    findings = kafka_checks.of_cluster(ClusterFacts(brokers=1, topics=topics, missing=[]))
    [found] = [finding.found for finding in findings if finding.check == "kafka.replicas"]
    assert found.startswith("all 2 topics: 1 replicas (this cluster has a single broker)")


def test_missing_offline_hidden_and_uneven_topics() -> None:
    hidden = replace(GOOD_TOPIC, name="a", settings={})
    offline = replace(GOOD_TOPIC, name="b", offline=2, partitions=3)
    found = verdicts(kafka_checks.of_cluster(ClusterFacts(brokers=3, topics=[hidden, offline], missing=["c"])))
    assert found == {
        "kafka.topics": Verdict.WARNING,
        "kafka.partitions": Verdict.PROBLEM,
        "kafka.settings": Verdict.UNKNOWN,
        "kafka.offline": Verdict.PROBLEM,
    }
    nothing = kafka_checks.of_cluster(ClusterFacts(brokers=3, topics=[], missing=list(TOPICS)))
    assert verdicts(nothing) == {"kafka.topics": Verdict.WARNING}


def test_a_good_disk_is_well() -> None:
    assert set(verdicts(host_checks.of_disk(GOOD_DISK, EdgeLogLimits())).values()) == {Verdict.OK}


@pytest.mark.parametrize(
    ("disk", "check", "verdict"),
    [
        (replace(GOOD_DISK, filesystem="tmpfs"), "host.filesystem", Verdict.PROBLEM),
        (replace(GOOD_DISK, filesystem="nfs4"), "host.filesystem", Verdict.PROBLEM),
        (replace(GOOD_DISK, free_bytes=2**29), "host.disk_free", Verdict.PROBLEM),
        (replace(GOOD_DISK, free_bytes=2**31), "host.disk_free", Verdict.WARNING),
        (replace(GOOD_DISK, sync_ms_median=80.0), "host.disk_sync", Verdict.WARNING),
        (replace(GOOD_DISK, sync_ms_median=0.001), "host.disk_sync", Verdict.WARNING),
        (replace(GOOD_DISK, open_to_others=True), "host.permissions", Verdict.WARNING),
        (replace(GOOD_DISK, writable=False, sync_ms_median=None), "host.permissions", Verdict.PROBLEM),
    ],
)
def test_each_fault_of_a_disk_is_found(disk: DiskFacts, check: str, verdict: Verdict) -> None:
    assert verdicts(host_checks.of_disk(disk, EdgeLogLimits()))[check] is verdict


def test_a_real_disk_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    facts = host_checks.disk_facts(tmp_path / "not" / "yet")
    assert facts.path == tmp_path
    assert facts.writable
    assert facts.sync_ms_median is not None
    assert facts.free_bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_clock_and_open_files() -> None:
    assert host_checks.of_clock(0).verdict is Verdict.OK
    assert host_checks.of_clock(5).verdict is Verdict.WARNING
    assert host_checks.of_clock(None).verdict is Verdict.UNKNOWN
    assert host_checks.of_open_files(1024).verdict is Verdict.OK
    assert host_checks.of_open_files(256).verdict is Verdict.WARNING


def heard(**devices: DeviceHeard) -> Heard:
    return Heard(seconds=10.0, refused=False, devices=devices, strangers=Counter())


def test_devices_that_speak_well_are_well() -> None:
    assert verdicts(listening.of_heard(heard(r1=DeviceHeard(publications=3, rows=9, clock_ahead_s=-0.4)))) == {
        "devices.heard": Verdict.OK
    }


def test_each_fault_of_a_device_is_found() -> None:
    findings = listening.of_heard(
        replace(
            heard(
                silent=DeviceHeard(),
                qos0=DeviceHeard(publications=1, rows=1, qos0=1),
                wrong=DeviceHeard(publications=2, rejects=Counter({"json_invalid": 2})),
                partly=DeviceHeard(publications=2, rows=3, rejects=Counter({"json_invalid": 1})),
                slow=DeviceHeard(publications=2, rows=3, clock_ahead_s=-3.0),
            ),
            strangers=Counter({"elsewhere": 4}),
        )
    )
    told = [(finding.check, finding.verdict, finding.found) for finding in findings]
    assert [(check, verdict) for check, verdict, _ in told] == [
        ("devices.heard", Verdict.WARNING),
        ("devices.qos", Verdict.WARNING),
        ("devices.rejects", Verdict.PROBLEM),
        ("devices.rejects", Verdict.WARNING),
        ("devices.clock", Verdict.WARNING),
        ("devices.unknown_topics", Verdict.WARNING),
    ]
    assert "3.0 s behind ours" in told[4][2]


def test_what_a_device_said_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "store.toml"
    path.write_text(SITE_TOML)
    site = load_site(path)
    [topic, *_] = [topic for topic, source in site.sources() if source.profile == "tagtide"]
    payload = (
        b'{"type": "reads", "reads": [{"epc": "3034257BF7194E4000001A85", "antenna": 1, "time_us": 1700000000000000},'
        b' {"epc": "3034257BF7194E4000001A86", "antenna": 1, "time_us": 1699999990000000}]}'
    )
    sent = [
        Publication(topic=topic, payload=payload, received_us=1_700_000_003_000_000, qos=0),
        Publication(topic=topic, payload=b"nonsense", received_us=1_700_000_003_000_000),
        Publication(topic="elsewhere", payload=b"1", received_us=1_700_000_003_000_000),
    ]
    result = listening.heard_of(sent, [site], seconds=1.0, refused=False)
    device = result.devices[topic]
    assert (device.publications, device.rows, device.qos0) == (2, 2, 1)
    assert device.clock_ahead_s == pytest.approx(-3.0)  # by its latest read: the others waited in the batch
    assert sum(device.rejects.values()) == 1
    assert result.strangers == Counter({"elsewhere": 1})
    assert set(result.devices) == {topic for topic, _ in site.sources()}


def test_the_report_puts_the_worst_first_and_sums_up() -> None:
    findings = [ok("a", "fine"), warning("b", "hm", "mend"), problem("c", "bad", "mend [now]"), unknown("d", "?")]
    console = Console(width=200, record=True)
    print_report(findings, console)
    lines = console.export_text().splitlines()
    assert lines[0].startswith("problem  c: bad")
    assert lines[1].strip() == "do: mend [now]"
    assert lines[-1] == summary(findings) == "not to be trusted with data yet: 1 problem, 1 warning, 1 unknown, 1 ok"
    assert not healthy(findings)
    assert '"healthy": false' in json_report(findings)
    assert summary([ok("a", "fine")]) == "nothing found that loses data: 1 ok"
