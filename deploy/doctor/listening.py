"""Listens to a site's devices for a while: who is heard, at which QoS, with which clock, and what cannot be decoded."""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import paho.mqtt.client as paho

from deploy.doctor.findings import Finding, ok, problem, unknown, warning
from deploy.doctor.mqtt_probe import Connect, Probe
from devices.bulk import decode_publications
from devices.directory import TopicDirectory
from devices.publication import LoggedPublication, Publication
from devices.site.model import Site

_HEARD_MAX = 20_000  # publications kept: some 100 MB of 5 kB reports
_NAMED_MAX = 5  # topics or devices named in one finding
_CLOCK_WRONG_S = 2.0  # transport and batching account for a second or so
_PROBE_TOPICS = "tagtide/doctor/"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHeard:
    """What one device sent."""

    publications: int = 0
    """Publications on its topic."""
    rows: int = 0
    """Reads, readings and events decoded from them."""
    rejects: Counter[str] = field(default_factory=Counter)
    """Reason codes of what could not be decoded."""
    qos0: int = 0
    """Publications that were sent at QoS 0."""
    clock_ahead_s: float | None = None
    """Median of the device's time less our receive time, seconds; `None` where it sends no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was heard."""

    seconds: float
    """How long was listened."""
    refused: bool
    """Whether the broker refused the subscription."""
    devices: dict[str, DeviceHeard]
    """By MQTT topic of the site files; all of them, heard or not."""
    strangers: Counter[str]
    """Publications by MQTT topic that no site file names."""


def listen(
    connect: Connect, name: str, sites: Sequence[Site], seconds: float, stop: Callable[[], bool] = lambda: False
) -> Heard:
    """Listen to everything that the broker carries, without taking it from anybody."""
    heard: list[Publication] = []
    lock = threading.Lock()

    def note(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.retain or message.topic.startswith(_PROBE_TOPICS) or len(heard) >= _HEARD_MAX:
            return
        with lock:
            heard.append(
                Publication(
                    topic=message.topic,
                    payload=bytes(message.payload),
                    received_us=time.time_ns() // 1000,
                    qos=message.qos,
                )
            )

    client = connect(f"{name}-ear", clean_session=True)
    probe = Probe(client)
    client.on_message = note
    probe.connect()
    try:
        granted = probe.subscribe("#")
        deadline = time.monotonic() + seconds
        while granted and time.monotonic() < deadline and not stop():
            time.sleep(0.05)
    finally:
        probe.close()
    with lock:
        return heard_of(heard, sites, seconds=seconds, refused=not granted)


def heard_of(publications: Sequence[Publication], sites: Sequence[Site], *, seconds: float, refused: bool) -> Heard:
    """Sum up what some publications say of each device."""
    directory = TopicDirectory.of(sites)
    by_topic: dict[str, list[Publication]] = {topic: [] for topic in directory.topics}
    strangers: Counter[str] = Counter()
    for publication in publications:
        if publication.topic in by_topic:
            by_topic[publication.topic].append(publication)
        else:
            strangers[publication.topic] += 1
    devices = {topic: _device(own, directory) for topic, own in by_topic.items()}
    return Heard(seconds=seconds, refused=refused, devices=devices, strangers=strangers)


def of_heard(heard: Heard) -> list[Finding]:
    """Judge what was heard."""
    if heard.refused:
        return [
            problem(
                "devices.subscription",
                "the broker refuses the subscription to #",
                "let this user read every topic of the site, or give the bridge narrower --subscribe filters",
            )
        ]
    if not heard.devices:
        return [unknown("devices.heard", "the site files name no devices")]
    findings = [_of_silence(heard)]
    findings += _of_each(heard)
    if heard.strangers:
        findings.append(
            warning(
                "devices.unknown_topics",
                f"{sum(heard.strangers.values()):,} publications on topics that no site file names: "
                + _named([topic for topic, _ in heard.strangers.most_common()]),
                "name them in a site file (mqtt_topic), or they all become rejects",
            )
        )
    return findings


def _device(own: Sequence[Publication], directory: TopicDirectory) -> DeviceHeard:
    if not own:
        return DeviceHeard()
    logged = [LoggedPublication(edge_offset=at, publication=publication) for at, publication in enumerate(own, 1)]
    rows, rejects = 0, Counter[str]()
    ahead: list[float] = []
    for chunk in decode_publications(logged, edge_id="doctor", directory=directory):
        for stream, batch in chunk.batches.items():
            if stream == "rejects":
                rejects.update(batch["reason_code"].to_pylist())
                continue
            rows += batch.num_rows
            if "reader_time" in batch.schema.names:
                # Latest of each publication: earlier ones waited in the reader's batch, which is not its clock's fault.
                latest: dict[int, float] = {}
                columns = (batch["edge_offset"].to_pylist(), batch["reader_time"].cast("int64").to_pylist())
                for offset, reader_us in zip(*columns, strict=True):
                    if reader_us is not None:
                        difference_s = (reader_us - own[offset - 1].received_us) / 1e6
                        latest[offset] = max(latest.get(offset, difference_s), difference_s)
                ahead += latest.values()
    return DeviceHeard(
        publications=len(own),
        rows=rows,
        rejects=rejects,
        qos0=sum(publication.qos == 0 for publication in own),
        clock_ahead_s=statistics.median(ahead) if ahead else None,
    )


def _of_silence(heard: Heard) -> Finding:
    silent = [topic for topic, device in heard.devices.items() if device.publications == 0]
    if not silent:
        return ok("devices.heard", f"all {len(heard.devices)} devices were heard within {heard.seconds:g} s")
    advice = "are they on, on the network, and publishing on this topic? listen longer with --listen S"
    found = f"{len(silent)} of {len(heard.devices)} devices were not heard within {heard.seconds:g} s: {_named(silent)}"
    return warning("devices.heard", found, advice)


def _of_each(heard: Heard) -> list[Finding]:
    findings = []
    at_most_once = [topic for topic, device in heard.devices.items() if device.qos0]
    if at_most_once:
        findings.append(
            warning(
                "devices.qos",
                f"{len(at_most_once)} devices publish at QoS 0: {_named(at_most_once)}",
                "set them to QoS 1: what is sent at QoS 0 is lost whenever the network or the bridge is away",
            )
        )
    for topic, device in heard.devices.items():
        if device.rejects:
            reasons = ", ".join(f"{reason} {count}" for reason, count in device.rejects.most_common(3))
            judged = problem if device.rows == 0 else warning
            findings.append(
                judged(
                    "devices.rejects",
                    f"{topic}: {sum(device.rejects.values()):,} rejects beside {device.rows:,} rows: {reasons}",
                    "docs/rejects.md says what each reason means; is this reader's profile right in the site file?",
                )
            )
        if device.clock_ahead_s is not None and abs(device.clock_ahead_s) > _CLOCK_WRONG_S:
            direction = "ahead of" if device.clock_ahead_s > 0 else "behind"
            findings.append(
                warning(
                    "devices.clock",
                    f"{topic}: its clock is {abs(device.clock_ahead_s):.1f} s {direction} ours",
                    "give it an NTP server; until then Tagtide corrects a steady offset (docs/time.md)",
                )
            )
    return findings


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
