"""paho-mqtt as we use it: configured, with its writes queued, and reading the packets that we hand to it."""

import contextlib
import select
import socket
import ssl
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_url import MqttUrl

RECEIVE_BYTES = 64 * 2**10
"""One read of the socket: some 200 publications of 300 bytes."""

_RDHUP = getattr(select, "POLLRDHUP", 0)  # Linux only; elsewhere a ping that cannot be sent tells as much


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
    reconnect_s_min: float = 0.1
    """First delay between attempts, seconds; doubled after each, with jitter of half its length."""
    reconnect_s_max: float = 2.0
    """Longest delay between attempts, seconds. Short: what a broker acknowledges while nobody takes it lies in its
    memory alone, and one bridge a broker is no crowd."""
    unacknowledged_max: int = 1000
    """Publications of our own that may be on their way without the broker's PUBACK."""
    payload_bytes_max: int | None = None
    """Of a larger payload only the beginning is delivered; `None` delivers all of any."""
    security: MqttSecurity = field(default_factory=MqttSecurity)
    """Certificates and password."""


class PacketClient(paho.Client):
    """paho, reading whole packets that we hand to it instead of its socket, and that socket.

    `_sock_recv` is the one private method of paho that we rely on: a test holds that paho reads through it.
    """

    _handed = b""
    _url: MqttUrl
    _security: MqttSecurity
    _context: ssl.SSLContext | None = None
    _rest = b""

    def use_credentials(self, url: MqttUrl, security: MqttSecurity) -> None:
        """Say by what each attempt to connect proves who we are."""
        self._url = url
        self._security = security

    def reconnect(self) -> MQTTErrorCode:
        """Connect, with certificates and password as they are now.

        Raises:
            MqttSecurityError: A file of ours cannot be used.
            OSError: There is no connection; of which kind says `ingest.mqtt_loss`.
        """
        self._rest = b""
        if self._context is None:
            self._context = give_credentials(self, self._url, self._security)
        else:
            give_password(self, self._url, self._security)
            self._security.load_files(self._context)
        return super().reconnect()

    def handle(self, packet: bytes) -> None:
        """Let paho deal with one packet."""
        self._handed = packet
        self.loop_read()

    def receive(self) -> bytes | None:
        """Read from the socket; `None` where nothing has come, no bytes where the broker has closed it.

        Where paho has closed the socket, because it could not write to it, what had arrived is returned all the same.
        """
        if self.socket() is None:
            rest, self._rest = self._rest, b""
            return rest
        try:
            return super()._sock_recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        return self.socket() is not None

    def wait(self, wait_s: float, *, reading: bool, writing: bool) -> bool:
        """Wait until something can be read or written.

        Args:
            wait_s: At most this long.
            reading: Whether what can be read ends the wait; where not, only the broker's hanging up does.
            writing: Whether something waits to be sent by `send`; paho's own packets are looked after.

        Returns:
            Whether something can be read, or, where nothing is to be read, whether the broker has hung up.
        """
        sock = self.socket()
        assert sock is not None, "nothing to wait for"
        if reading and isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        events = select.POLLIN if reading else _RDHUP
        if writing or self.want_write():
            events |= select.POLLOUT
        poll = select.poll()
        poll.register(sock, events)
        return any(event & ~select.POLLOUT for _, event in poll.poll(max(0.0, wait_s) * 1000))

    def send(self, data: bytes | bytearray) -> int:
        """Send as much as goes now; return how many bytes that was.

        Raises:
            OSError: The connection is broken.
        """
        sock = self.socket()
        if sock is None:
            return 0
        try:
            return int(sock.send(data))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def read_to_the_end(self, timeout_s: float) -> None:
        """Wait until the broker has closed its side: closing over unread bytes would reset the connection."""
        sock = self.socket()
        if not isinstance(sock, socket.socket) or isinstance(sock, ssl.SSLSocket):
            return
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(timeout_s)
            while sock.recv(2**16):
                pass

    def keep_rest(self, sock: object) -> None:
        """Read what had arrived on a socket that paho is about to close."""
        pieces = []
        assert isinstance(sock, socket.socket), "we let paho open no other"
        with contextlib.suppress(OSError):
            sock.setblocking(False)
            while data := sock.recv(RECEIVE_BYTES):
                pieces.append(data)
        self._rest = b"".join(pieces)

    def shut(self) -> None:
        """Close the socket."""
        sock = self.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._handed:
            raise BlockingIOError
        data, self._handed = self._handed[:bufsize], self._handed[bufsize:]
        return data


def give_credentials(client: paho.Client, url: MqttUrl, security: MqttSecurity) -> ssl.SSLContext | None:
    """Give a client of paho's, before it connects, the credentials that there are now.

    Returns:
        Its TLS context; `None` where the address is not encrypted.

    Raises:
        MqttSecurityError: A file of ours cannot be used.
    """
    give_password(client, url, security)
    if not url.tls:
        return None
    context = security.tls_context()
    client.tls_set_context(context)
    return context


def give_password(client: paho.Client, url: MqttUrl, security: MqttSecurity) -> None:
    """Give a client user and password, where the address names a user.

    Raises:
        MqttSecurityError: The password file cannot be used.
    """
    if url.username is not None:
        client.username_pw_set(url.username, security.read_password())


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
    client.use_credentials(config.url, config.security)
    # With this callback set, paho queues its packets instead of writing each at once; the session sends them.
    client.on_socket_register_write = lambda *_: None
    client.on_socket_close = lambda _client, _data, sock: client.keep_rest(sock)
    client.connect_async(config.url.host, config.url.port, config.keepalive_s)
    return client
