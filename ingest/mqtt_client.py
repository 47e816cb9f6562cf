"""paho-mqtt as we use it: configured, with its writes queued, and reading the packets that we hand to it."""

from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.mqtt_url import MqttUrl

RECEIVE_BYTES = 64 * 2**10
"""One read of the socket: some 200 publications of 300 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """How to connect."""

    url: MqttUrl
    """Where the broker is."""
    client_id: str
    """Name of our session at the broker."""
    clean_session: bool = False
    """Whether the broker forgets us when we disconnect."""
    keepalive_s: int = 30
    """A silent connection is pinged after this long."""
    connect_timeout_s: float = 5.0
    """How long one attempt may take to open the connection."""
    reconnect_s_min: float = 0.5
    """First delay between attempts, seconds; doubled after each, with jitter of half its length."""
    reconnect_s_max: float = 30.0
    """Longest delay between attempts, seconds."""
    unacknowledged_max: int = 1000
    """Publications of our own that may be on their way without the broker's PUBACK."""
    tls_ca_path: Path | None = None
    """Certificates that sign the broker's, in PEM; the system's where not given."""


class PacketClient(paho.Client):
    """paho, reading whole packets that we hand to it instead of its socket.

    `_sock_recv` is the one private method of paho that we rely on: a test holds that paho reads through it.
    """

    _handed = b""

    def handle(self, packet: bytes) -> None:
        """Let paho deal with one packet."""
        self._handed = packet
        self.loop_read()

    def receive(self) -> bytes | None:
        """Read from the socket; `None` where nothing has come, no bytes where the broker has closed it."""
        try:
            return super()._sock_recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._handed:
            raise BlockingIOError
        data, self._handed = self._handed[:bufsize], self._handed[bufsize:]
        return data


def new_client(config: SessionConfig) -> PacketClient:
    """Return a client that is ready to `reconnect`."""
    client = PacketClient(
        CallbackAPIVersion.VERSION2,
        client_id=config.client_id,
        clean_session=config.clean_session,
        protocol=MQTTProtocolVersion.MQTTv311,
        manual_ack=True,
    )
    client.max_inflight_messages_set(config.unacknowledged_max)
    client.connect_timeout = config.connect_timeout_s
    if config.url.username is not None:
        client.username_pw_set(config.url.username, config.url.password)
    if config.url.tls:
        client.tls_set(None if config.tls_ca_path is None else str(config.tls_ca_path))
    # With this callback set, paho queues its packets instead of writing each at once; the session sends them.
    client.on_socket_register_write = lambda *_: None
    client.connect_async(config.url.host, config.url.port, config.keepalive_s)
    return client
