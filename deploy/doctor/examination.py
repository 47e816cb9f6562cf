"""The whole examination, in order, each part telling what it does before it takes its time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.doctor import host_checks, kafka_checks, mqtt_checks
from deploy.doctor.findings import Finding, ok, problem, unknown
from deploy.doctor.listening import listen, of_heard
from deploy.doctor.mqtt_probe import BrokerSilentError, Connect, MqttProbes
from devices.errors import TagtideError
from devices.site.model import Site
from ingest.kafka_cluster import KafkaCluster
from ingest.limits import EdgeLogLimits

LARGEST_REPORT_BYTES = 1_000_000
"""A reader's largest report stays below this: 5,000 tags of 200 bytes."""
SETTLE_S = 5.0
"""Publications older than this at a restart must be kept: the shipped Mosquitto saves every 2 s."""
_QOS0_PUBLICATIONS = 50
_RESTART_PUBLICATIONS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined."""

    sites: Sequence[Site]
    """Whose devices."""
    connect: Connect | None
    """Makes clients of the broker; `None` leaves the broker out."""
    name: str
    """Client id of the probes."""
    probe_topic: str
    """MQTT topic for the probes alone."""
    publications: int = 5000
    """Publications in each measurement of the broker's queue."""
    listen_s: float = 10.0
    """How long to listen to devices, seconds; 0 leaves it out."""
    restart: Callable[[], None] | None = None
    """Kills the broker and starts it again."""
    kafka: KafkaCluster | None = None
    """The Kafka cluster, if there is one."""
    data: Path | None = None
    """Data directory, if it is to be looked at."""
    limits: EdgeLogLimits = EdgeLogLimits()  # noqa: RUF009 - frozen
    """The edge log's bounds."""


def examine(patient: Patient, tell: Callable[[str], None], stop: Callable[[], bool]) -> Iterator[Finding]:
    """Examine everything that was asked for, yielding findings as they are made."""
    yield from _host(patient)
    if patient.connect is not None:
        try:
            yield from _broker(patient, patient.connect, tell, stop)
        except BrokerSilentError as error:
            yield problem("mqtt.reach", str(error), "is it running and reachable from here, with these credentials?")
    if patient.kafka is not None and not stop():
        tell("asking Kafka about its topics")
        try:
            yield from kafka_checks.of_cluster(kafka_checks.cluster_facts(patient.kafka))
        except TagtideError as error:
            yield kafka_checks.of_absence(error)


def _host(patient: Patient) -> Iterator[Finding]:
    yield host_checks.of_clock(host_checks.clock_state())
    yield host_checks.of_open_files()
    if patient.data is None:
        yield unknown("host.disk_free", "the disk was not looked at", "give the data directory: --data DIR")
    else:
        yield from host_checks.of_disk(host_checks.disk_facts(patient.data), patient.limits)


def _broker(
    patient: Patient, connect: Connect, tell: Callable[[str], None], stop: Callable[[], bool]
) -> Iterator[Finding]:
    probes = MqttProbes(connect, name=patient.name, topic=patient.probe_topic)
    tell("asking the broker who it is")
    began = time.monotonic()
    came_back = probes.round_trip()
    version = probes.version()
    yield ok("mqtt.reach", f"{version or 'a broker'} answers in {(time.monotonic() - began) * 1000:.0f} ms")
    yield mqtt_checks.of_round_trip(came_back, patient.probe_topic)
    if came_back:
        try:
            yield from _queues(patient, probes, tell, stop)
        finally:
            probes.discard()
    if patient.listen_s > 0 and not stop():
        tell(f"listening to the site's devices for {patient.listen_s:g} s")
        yield from of_heard(listen(connect, patient.name, patient.sites, patient.listen_s, stop))


def _queues(
    patient: Patient, probes: MqttProbes, tell: Callable[[str], None], stop: Callable[[], bool]
) -> Iterator[Finding]:
    count = patient.publications
    tell(f"publishing {count:,} while the session is away")
    yield from mqtt_checks.of_absence(probes.kept_while_away(count))
    if stop():
        return
    tell(f"publishing {count:,} while the session acknowledges nothing")
    yield from mqtt_checks.of_unacknowledged(probes.kept_unacknowledged(count))
    if stop():
        return
    tell("publishing at QoS 0, and one large publication")
    yield mqtt_checks.of_qos0(probes.kept_while_away(_QOS0_PUBLICATIONS, qos=0))
    yield mqtt_checks.of_size(probes.carries(LARGEST_REPORT_BYTES), LARGEST_REPORT_BYTES)
    if patient.restart is None:
        yield mqtt_checks.restart_not_measured()
    elif not stop():
        tell("restarting the broker")
        restarted = probes.restarted(patient.restart, _RESTART_PUBLICATIONS, settle_s=SETTLE_S)
        yield from mqtt_checks.of_restart(restarted, SETTLE_S)
