"""Promise: on a real Mosquitto with the shipped secure settings, who does not belong is refused, and everybody is told.

Each refusal is looked for on both sides: what the bridge tells and counts, and what the broker logs.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from devices.errors import TagtideError
from ingest.bridge_report import EventLevel
from ingest.broker_log import BROKER_LOG_TOPICS, BrokerRefusal
from ingest.mqtt_loss import LossCode
from ingest.mqtt_security import MqttSecurity
from ingest.publishing import replay_to_broker
from tests.brokers import DEADLINE_S, RunningBridge, eventually, payloads
from tests.deploy.scene import SITE_TOML, write_capture
from tests.integration.processes import Tagtide
from tests.integration.processes import eventually as eventually_in_process
from tests.secure_broker import (
    BRIDGE_PASSWORD,
    SecureMosquitto,
    certificates,
    connected,
    needs_mosquitto_and_openssl,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureMosquitto]:
    needs_mosquitto_and_openssl()
    with SecureMosquitto(tmp_path_factory.mktemp("secure")) as mosquitto:
        yield mosquitto


@pytest.fixture
def bridge(broker: SecureMosquitto, tmp_path: Path) -> Iterator[RunningBridge]:
    """Run the bridge as a store does: on the broker's machine, with a password."""
    password = MqttSecurity(password=BRIDGE_PASSWORD)
    with RunningBridge(broker.local_url, tmp_path / "data", security=password, broker_log=True) as running:
        eventually(running.is_receiving, "the bridge is connected")
        yield running


# --- who may connect


@pytest.mark.parametrize(
    ("case", "code", "told"),
    [
        ("no certificate", LossCode.CLIENT_CERTIFICATE, "wants a certificate of ours (give --mqtt-cert"),
        ("certificate of another authority", LossCode.CLIENT_CERTIFICATE, "does not accept our certificate"),
        ("broker of another authority", LossCode.BROKER_CERTIFICATE, "(give the authority's certificate: --mqtt-ca)"),
        ("broker by another name", LossCode.BROKER_CERTIFICATE, "certificate is not for 127.0.0.1"),
        ("wrong password", LossCode.LOGIN_REFUSED, "check the user in the address, and the password"),
        ("no password", LossCode.LOGIN_REFUSED, "refuses us: Not authorized"),
        ("no TLS", LossCode.NOT_MQTT, "is it mqtt:// or mqtts://?"),
    ],
)
def test_who_does_not_belong_is_refused_and_told_what_to_do(
    case: str, code: LossCode, told: str, broker: SecureMosquitto, tmp_path: Path
) -> None:
    authority = broker.certs / "ca.crt"
    url, security, logged = {
        "no certificate": (broker.tls_url, MqttSecurity(ca_path=authority), "peer did not return a certificate"),
        "certificate of another authority": (
            broker.tls_url,
            broker.identity("r1", certs=broker.strangers),
            "certificate verify failed",
        ),
        "broker of another authority": (
            broker.tls_url,
            MqttSecurity(ca_path=broker.strangers / "ca.crt"),
            "alert unknown ca",
        ),
        "broker by another name": (
            broker.tls_url.replace("localhost", "127.0.0.1"),
            broker.identity("r1"),
            "alert bad certificate",
        ),
        "wrong password": (broker.local_url, MqttSecurity(password="wrong secret"), "disconnected, not authorised"),
        "no password": (broker.local_url.replace("tagtide@", ""), MqttSecurity(), "disconnected, not authorised"),
        "no TLS": (broker.tls_url.replace("mqtts", "mqtt"), MqttSecurity(), "OpenSSL Error"),
    }[case]
    said_before = broker.said().count(logged)
    with RunningBridge(url, tmp_path / "data", security=security) as running:
        eventually(lambda: running.stats.losses.get(code, 0) >= 2, "it goes on trying")
        eventually(lambda: broker.said().count(logged) > said_before, f"the broker logs {logged}")
    # A machine that stands still for seconds lets an attempt run out of time, too; then the reason is told anew.
    assert running.stats.losses.keys() - {LossCode.UNREACHABLE} == {code}
    told_events = [event for event in running.events if told in event.text]
    anew = running.stats.losses.get(LossCode.UNREACHABLE, 0)
    assert 1 <= len(told_events) <= 1 + anew, f"told once, tried often: {running.events}"
    if code is not LossCode.NOT_MQTT:
        assert (told_events[0].level, told_events[0].code) == (EventLevel.ERROR, f"mqtt_{code}")
    assert "wrong secret" not in str(running.events)
    assert payloads(tmp_path / "data") == []


def test_the_bridge_may_come_with_a_certificate_too(broker: SecureMosquitto, tmp_path: Path) -> None:
    with RunningBridge(broker.tls_url, tmp_path / "data", security=broker.identity("tagtide")) as running:
        eventually(running.is_receiving, "the bridge is connected")
        publish(broker, "r1", "store-7/r1", b"read")
        eventually(lambda: running.stats.stored == 1, "what a reader publishes is stored")
        assert running.stats.losses == {}


def test_a_publisher_that_is_refused_is_told_at_once(broker: SecureMosquitto, tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "c.jsonl", 1)
    with pytest.raises(TagtideError, match="refuses us: Not authorized") as caught:
        replay_to_broker(capture, broker.local_url, security=MqttSecurity(password="wrong secret"))
    assert "--mqtt-password-file" in (caught.value.hint or "")


# --- what they may do


def test_a_reader_may_publish_on_its_own_topics_and_on_no_others(
    broker: SecureMosquitto, bridge: RunningBridge
) -> None:
    publish(broker, "r1", "store-7/r2", b"as another reader")
    publish(broker, "r1", "elsewhere", b"anywhere")
    publish(broker, "r1", "store-7/r1/status", b"own status")
    publish(broker, "r1", "store-7/r1", b"own")
    eventually(lambda: bridge.stats.stored >= 2, "what it may publish arrives")
    assert {row.publication.payload for row in bridge.log.read(0, 100, 10**6)} == {b"own status", b"own"}
    for topic in ("store-7/r2", "elsewhere"):
        assert any("Denied PUBLISH from r1" in line and f"'{topic}'" in line for line in broker.said().splitlines())


def test_a_reader_hears_nothing_of_others(broker: SecureMosquitto, bridge: RunningBridge) -> None:
    """Mosquitto 2.0 grants such a subscription, tells it in its log, and delivers nothing."""
    heard: list[str] = []
    with connected(
        broker.tls_url,
        broker.identity("r1"),
        "spy",
        on_message=lambda _client, _data, message: heard.append(message.topic),
    ) as spy:
        asked = [spy.subscribe(topic, 1)[1] for topic in ("#", "store-7/r2", "$SYS/#")]
        assert asked
        broker.says("r1 1 store-7/r2")
        publish(broker, "r2", "store-7/r2", b"mine")
        eventually(lambda: bridge.stats.stored == 1, "the bridge has it")
    assert heard == []


def test_the_bridge_may_not_speak_for_a_reader(broker: SecureMosquitto, bridge: RunningBridge) -> None:
    """Only what doctor measures with."""
    password = MqttSecurity(password=BRIDGE_PASSWORD)
    with connected(broker.local_url, password, "somebody") as client:
        client.publish("store-7/r1", b"forged", 1).wait_for_publish(DEADLINE_S)
        client.publish("tagtide/doctor/x", b"probe", 1).wait_for_publish(DEADLINE_S)
    eventually(lambda: bridge.stats.stored == 1, "the probe arrives")
    assert [row.publication.payload for row in bridge.log.read(0, 100, 10**6)] == [b"probe"]


def test_a_reader_cannot_take_the_bridge_s_session(broker: SecureMosquitto, bridge: RunningBridge) -> None:
    """By its name alone it would end the bridge's connection and get what waits for it."""
    bridge_session = bridge.bridge.session_key.rpartition(":")[2]
    with connected(broker.tls_url, broker.identity("r1"), bridge_session) as thief:
        thief.publish("store-7/r1", b"read", 1).wait_for_publish(10)
        eventually(lambda: bridge.stats.stored == 1, "the bridge goes on receiving")
    assert bridge.stats.connections_lost == 0


def test_an_oversized_publication_is_refused_before_it_is_acknowledged(
    broker: SecureMosquitto, bridge: RunningBridge
) -> None:
    """The connection ends, so the sender knows; `message_size_limit` would acknowledge it and drop it."""
    lost = threading.Event()

    def on_disconnect(*_: object) -> None:
        lost.set()

    with connected(broker.tls_url, broker.identity("r1"), "r1", on_disconnect=on_disconnect) as reader:
        sent = reader.publish("store-7/r1", b"x" * 10_485_760, 1)
        eventually(lost.is_set, "the broker ends the connection")
        assert not sent.is_published()
        reader.disconnect()
    broker.says("Client r1 disconnected due to oversize packet")
    publish(broker, "r1", "store-7/r1", b"the next one")
    eventually(lambda: bridge.stats.stored == 1, "the next one arrives")


def test_the_bridge_tells_and_counts_whom_the_broker_refuses(
    broker: SecureMosquitto, bridge: RunningBridge, tmp_path: Path
) -> None:
    """It hears the broker's log; what it hears is not stored."""
    capture = write_capture(tmp_path / "c.jsonl", 1)
    for url, security in [
        (broker.tls_url, MqttSecurity(ca_path=broker.certs / "ca.crt")),
        (broker.local_url, MqttSecurity(password="wrong secret")),
    ]:
        with pytest.raises(TagtideError):
            replay_to_broker(capture, url, security=security)
    with connected(broker.tls_url, broker.identity("r2"), "r2") as reader:
        reader.publish("store-7/r2", b"x" * 10_485_760, 1)
        eventually(lambda: len(bridge.stats.broker_refusals) == 3, "all three are told")
        reader.disconnect()
    assert bridge.stats.broker_refusals.keys() == {
        BrokerRefusal.CERTIFICATE,
        BrokerRefusal.LOGIN,
        BrokerRefusal.OVERSIZED,
    }
    told = [event.text for event in bridge.events if event.code == "broker_refused"]
    assert any("Client r2 disconnected due to oversize packet" in text for text in told)
    assert any("peer did not return a certificate" in text for text in told)
    assert bridge.stats.received == 0


def test_a_bridge_without_the_option_lets_go_of_the_broker_s_log(broker: SecureMosquitto, tmp_path: Path) -> None:
    """The session is kept: what an earlier run asked for would be stored as rejects."""
    password = MqttSecurity(password=BRIDGE_PASSWORD)
    for listening, topic_filters in ((True, ["#", *BROKER_LOG_TOPICS]), (False, ["#"])):
        noted = json.dumps(sorted(topic_filters))
        with RunningBridge(broker.local_url, tmp_path, security=password, broker_log=listening) as running:
            key = running.bridge.session_key
            eventually(lambda log=running.log, key=key, noted=noted: log.note(key) == noted, "it is noted")  # type: ignore[misc]
    broker.says("UNSUBSCRIBE")


# --- changing certificates and passwords while everything runs


def test_a_new_password_is_used_without_a_restart(broker: SecureMosquitto, tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("the new one\n")
    security = MqttSecurity(password_path=password_file)
    with RunningBridge(broker.local_url, tmp_path / "data", security=security) as running:
        eventually(lambda: LossCode.LOGIN_REFUSED in running.stats.losses, "the broker does not know it yet")
        broker.set_password("the new one")
        try:
            broker.restart()
            eventually(running.is_receiving, "the broker has been told")
        finally:
            broker.set_password(BRIDGE_PASSWORD)
            password_file.write_text(f"{BRIDGE_PASSWORD}\n")
            broker.restart()
        eventually(lambda: running.stats.reconnects == 1, "it connects with what the file holds now")


def test_an_expired_certificate_is_told_and_a_renewed_one_taken(broker: SecureMosquitto, tmp_path: Path) -> None:
    broker.expire_certificate()
    try:
        broker.restart()
        with RunningBridge(broker.tls_url, tmp_path / "data", security=broker.identity("tagtide")) as running:
            eventually(lambda: LossCode.BROKER_CERTIFICATE in running.stats.losses, "the certificate has expired")
            assert any("has expired" in event.text for event in running.events)
            certificates("broker", broker.certs, "localhost")
            broker.restart()
            eventually(running.is_receiving, "the renewed one is trusted")
    finally:
        certificates("broker", broker.certs, "localhost")
        broker.restart()


# --- the command


def test_the_command_line_connects_with_certificates(broker: SecureMosquitto, tmp_path: Path) -> None:
    site, log, data = tmp_path / "site.toml", tmp_path / "log", tmp_path / "data"
    site.write_text(SITE_TOML)
    options: list[str | Path] = ["--mqtt-ca", broker.certs / "ca.crt", "--mqtt-cert", broker.certs / "tagtide.crt"]
    options += ["--mqtt-key", broker.certs / "tagtide.key"]
    subscribed_before = broker.said().count("tagtide 1 #")
    with Tagtide("bridge", "--site", site, "--data", data, "--mqtt", broker.tls_url, *options, log=log) as running:
        eventually_in_process(lambda: f"connected to {broker.tls_url}" in running.told(), "it is connected")
        eventually_in_process(lambda: broker.said().count("tagtide 1 #") > subscribed_before, "it is subscribed")
        publish(broker, "r1", "store-7/r1", b"{}")
        eventually_in_process(lambda: payloads(data / "edge") == [b"{}"], "it is stored")


def publish(broker: SecureMosquitto, user: str, topic: str, payload: bytes) -> paho.MQTTMessageInfo:
    """Publish as a device and wait for the PUBACK, which MQTT 3.1.1 gives for a refused publication too."""
    with connected(broker.tls_url, broker.identity(user), user) as client:
        sent = client.publish(topic, payload, 1)
        sent.wait_for_publish(DEADLINE_S)
        return sent
