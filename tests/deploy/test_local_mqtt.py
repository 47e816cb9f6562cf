"""Promise: a local broker of either kind is there when `start` returns, carries publications, and goes away."""

import os
import socket
import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy import local_mqtt
from deploy.local_mqtt import BrokerKind, LocalBroker, free_port, mosquitto_executable
from devices.errors import TagtideError
from ingest.mqtt_url import parse_mqtt_url

DEADLINE_S = 120.0
needs_mosquitto = pytest.mark.skipif(
    mosquitto_executable() is None and not os.environ.get("CI"), reason="Mosquitto is not on this machine"
)
BOTH = [BrokerKind.EMBEDDED, pytest.param(BrokerKind.MOSQUITTO, marks=needs_mosquitto)]


def carries(broker: LocalBroker) -> bool:
    """Whether a publication at QoS 1 comes back to a subscriber."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    came, ready = threading.Event(), threading.Event()
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda *_: came.set()
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        client.subscribe("a/b", 1)
        assert ready.wait(DEADLINE_S)
        client.publish("a/b", b"payload", qos=1)
        return came.wait(DEADLINE_S)
    finally:
        client.disconnect()
        client.loop_stop()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTH)
def test_it_carries_publications_and_goes_away(tmp_path: Path, kind: BrokerKind) -> None:
    with LocalBroker(tmp_path / "broker", kind) as broker:
        assert broker.kind is kind
        assert parse_mqtt_url(broker.url).port == broker.port
        assert carries(broker)
    assert not listens(broker.port)


@needs_mosquitto
def test_mosquitto_keeps_its_files_in_its_directory(tmp_path: Path) -> None:
    with LocalBroker(tmp_path / "broker", BrokerKind.MOSQUITTO) as broker:
        settings = (tmp_path / "broker" / "mosquitto.conf").read_text()
        assert f"listener {broker.port} 127.0.0.1" in settings
        assert settings.count("\nlistener ") == 1, "the shipped listener is replaced"
        broker.kill()
        assert not listens(broker.port)
        broker.start()
        assert carries(broker)


def test_auto_takes_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_mqtt, "mosquitto_executable", lambda: "/usr/sbin/mosquitto")
    assert LocalBroker(tmp_path).kind is BrokerKind.MOSQUITTO
    monkeypatch.setattr(local_mqtt, "mosquitto_executable", lambda: None)
    assert LocalBroker(tmp_path).kind is BrokerKind.EMBEDDED


def test_mosquitto_that_is_not_there_is_an_error_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_mqtt, "mosquitto_executable", lambda: None)
    with pytest.raises(TagtideError) as caught:
        LocalBroker(tmp_path, BrokerKind.MOSQUITTO)
    assert caught.value.code == "mosquitto_missing"
    assert "--broker embedded" in (caught.value.hint or "")


def test_whoever_listens_on_the_port_is_not_taken_for_the_broker(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        broker = LocalBroker(tmp_path / "broker", BrokerKind.EMBEDDED, port=other.getsockname()[1])
        with pytest.raises(TagtideError, match="is taken") as caught:
            broker.start()
    assert caught.value.code == "broker_port_taken"


@needs_mosquitto
def test_a_broker_that_does_not_start_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped.conf"
    shipped.write_text("no_such_setting true\n")
    monkeypatch.setattr(local_mqtt, "_SHIPPED", shipped)
    with pytest.raises(TagtideError, match="no_such_setting") as caught:
        LocalBroker(tmp_path / "broker", BrokerKind.MOSQUITTO).start()
    assert caught.value.code == "broker_failed"


def test_stopping_what_was_not_started_is_harmless(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path, BrokerKind.EMBEDDED)
    broker.stop()
    broker.kill()


def test_a_free_port_can_be_had() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))
