"""A real, private Mosquitto for tests, with the settings that we ship, and what tests need around it."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy.local_mqtt import BrokerKind, LocalBroker, mosquitto_executable
from ingest.bridge import Bridge, BridgeConfig, BridgeEvent, BridgeState
from ingest.edge_log import EdgeLog
from ingest.mqtt_url import parse_mqtt_url

DEADLINE_S = 120.0
"""How long a test waits for what must come; reached only when it fails. A machine may be slow, loaded, or pause."""


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[LocalBroker]:
    """Start a private Mosquitto on a free port; skip without one, except in CI."""
    if mosquitto_executable() is None:
        reason = "Mosquitto is not on this machine: apt-get install mosquitto"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with LocalBroker(tmp_path / "mosquitto", BrokerKind.MOSQUITTO) as broker:
        yield broker


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a port on which nobody listens: one that is merely free may be somebody's broker a moment later."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.01)


def publish(broker: LocalBroker, messages: Sequence[tuple[str, bytes]], *, qos: int = 1, retain: bool = False) -> None:
    """Publish and wait until the broker has acknowledged everything."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        for sent in [client.publish(topic, payload, qos, retain) for topic, payload in messages]:
            sent.wait_for_publish(DEADLINE_S)
            assert sent.is_published(), f"the broker acknowledged nothing for {DEADLINE_S:g} s"
    finally:
        client.disconnect()
        client.loop_stop()


def numbered(count: int, *, first: int = 0, size: int = 0) -> list[tuple[str, bytes]]:
    """Return publications on one topic whose payloads begin with their number."""
    return [("reads", b"%08d" % number + b"." * size) for number in range(first, first + count)]


def payloads(data: Path) -> list[bytes]:
    """Return the payloads of everything that a bridge stored, without our own records."""
    with contextlib.closing(EdgeLog.open(data)) as log:
        rows = log.read(0, 10**6, 10**9)
    return [row.publication.payload for row in rows if not row.publication.topic.startswith("$")]


def stored_count(data: Path) -> int:
    """Return how many rows a bridge has stored."""
    with contextlib.closing(EdgeLog.open(data)) as log:
        return log.count_after(0)


class RunningBridge:
    """A bridge in a thread, stopped when the `with` block ends."""

    def __init__(self, broker: LocalBroker | str, data: Path, **settings: object) -> None:
        self.log = EdgeLog.open(data)
        self.events: list[BridgeEvent] = []
        url = parse_mqtt_url(broker if isinstance(broker, str) else broker.url)
        config = BridgeConfig(mqtt_url=url, **settings)  # type: ignore[arg-type]
        self.bridge = Bridge(config, self.log, on_event=self.events.append)
        self.stats = self.bridge.stats
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.bridge.run(self._stop)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._failure = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(DEADLINE_S)
        self.log.close()
        if self._failure is not None:
            raise self._failure

    def is_receiving(self) -> bool:
        """Whether it is connected and its subscription is granted."""
        return self.stats.state is BridgeState.RECEIVING and self.log.note(self.bridge.session_key) is not None

    def codes(self) -> list[str]:
        """Return the codes of what it told."""
        return [event.code for event in self.events]
