"""What an MQTT session stands between: a wire that carries its bytes, and a listener that is told what happens."""

from typing import Any, Protocol

from ingest.mqtt_loss import ConnectionLoss
from ingest.mqtt_packets import Delivery


class Wire(Protocol):
    """What carries a session's bytes: paho and a socket (`ingest.mqtt_client.PacketClient`), or a simulated broker."""

    on_connect: Any
    on_disconnect: Any
    on_subscribe: Any
    on_publish: Any

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        ...

    def reconnect(self) -> object:
        """Open a connection; raises `OSError` or `MqttSecurityError` where that fails."""
        ...

    def wait(self, wait_s: float, *, reading: bool, writing: bool) -> bool:
        """Wait until something can be read or written; return whether something can be read, or was hung up."""
        ...

    def receive(self) -> bytes | None:
        """Read; `None` where nothing has come, no bytes where the broker has closed the connection.

        Also asked after the connection has ended, for what had arrived by then.
        """
        ...

    def handle(self, packet: bytes) -> None:
        """Deal with one packet that is not a publication."""
        ...

    def send(self, data: bytes | bytearray) -> int:
        """Send as much as goes now; return how many bytes that was."""
        ...

    def want_write(self) -> bool:
        """Whether the client has packets of its own to write."""
        ...

    def loop_write(self) -> object:
        """Write the client's own packets."""
        ...

    def loop_misc(self) -> object:
        """Keep the connection alive."""
        ...

    def subscribe(self, topic: Any) -> object:
        """Ask for publications."""
        ...

    def unsubscribe(self, topic: Any) -> object:
        """Ask for no more publications."""
        ...

    def publish(self, topic: str, payload: bytes, qos: int) -> Any:
        """Publish."""
        ...

    def read_to_the_end(self, timeout_s: float) -> None:
        """Wait until the broker has closed its side."""
        ...

    def shut(self) -> None:
        """Close the connection."""
        ...


class SessionListener(Protocol):
    """Who is told what happens on a session."""

    def on_connected(self, *, session_present: bool) -> None:
        """A connection begins; subscribe here."""
        ...

    def on_lost(self, loss: ConnectionLoss, retry_in_s: float) -> None:
        """A connection, or an attempt at one, has ended; the next attempt is made after a delay."""
        ...

    def on_subscribed(self, *, refused: bool) -> None:
        """The broker answered a subscription."""
        ...

    def on_delivery(self, delivery: Delivery) -> None:
        """A publication was delivered."""
        ...

    def on_published(self, packet_id: int) -> None:
        """The broker acknowledged one of our own publications."""
        ...
