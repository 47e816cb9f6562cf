"""Promise: what had arrived when a connection ended is stored, since the broker that sent it may have it no more."""

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingest.mqtt_client import SessionConfig, new_client
from ingest.mqtt_loss import ConnectionLoss
from ingest.mqtt_packets import Delivery
from ingest.mqtt_session import MqttSession
from ingest.mqtt_url import parse_mqtt_url

CONNACK = b"\x20\x02\x01\x00"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def publish_packet(number: int) -> bytes:
    return b"\x32\x07\x00\x01t" + number.to_bytes(2, "big") + b"%02d" % number


class Listener:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_connected(self, *, session_present: bool) -> None:
        self.told.append(f"connected {session_present}")

    def on_lost(self, loss: ConnectionLoss, retry_in_s: float) -> None:
        assert 0 < retry_in_s < 10, loss
        self.told.append("lost")

    def on_subscribed(self, *, refused: bool) -> None:
        raise AssertionError(refused)

    def on_delivery(self, delivery: Delivery) -> None:
        self.told.append(delivery.payload.decode())

    def on_published(self, packet_id: int) -> None:
        raise AssertionError(packet_id)


class Broker:
    """The other side of one connection."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.port = server.getsockname()[1]
        self._connection: socket.socket | None = None

    def accept(self) -> socket.socket:
        self._connection, _ = self._server.accept()
        self._connection.recv(1000)
        self._connection.sendall(CONNACK)
        return self._connection

    def die(self) -> None:
        """Go as a killed process goes that has not read everything: with a reset."""
        assert self._connection is not None
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._connection.close()


@contextmanager
def listening() -> Iterator[Broker]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield Broker(server)


def config(port: int) -> SessionConfig:
    return SessionConfig(url=parse_mqtt_url(f"mqtt://127.0.0.1:{port}"), client_id="test")


@pytest.mark.parametrize("braked", [True, False])
def test_publications_that_arrived_before_the_broker_died_are_delivered(*, braked: bool) -> None:
    listener = Listener()
    with listening() as broker:
        session = MqttSession(config(broker.port), listener, rng=random.Random(1))

        def turn(*, reading: bool) -> None:
            session.turn(may_read=lambda: reading, holding=not reading, wait_s=1.0)

        turn(reading=False)  # opens the connection and sends CONNECT with the next turn
        session._client.loop_write()
        connection = broker.accept()
        while not session.connected:
            turn(reading=False)
        connection.sendall(publish_packet(1) + publish_packet(2) + publish_packet(3)[:-1])
        if not braked:
            session.acknowledge([7])
        broker.die()
        turn(reading=not braked)
    assert listener.told == ["connected True", "01", "02", "lost"]


def test_a_socket_that_paho_closes_is_read_to_its_end() -> None:
    with listening() as broker:
        client = new_client(config(broker.port))
        client.reconnect()
        client.loop_write()
        connection = broker.accept()
        connection.sendall(publish_packet(1))
        broker.die()
        client.subscribe("#")
        client.loop_write()
        assert not client.is_open
        assert client.receive() == CONNACK + publish_packet(1)
        assert client.receive() == b""
