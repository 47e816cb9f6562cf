"""Whom the broker refuses, from Mosquitto's log as it publishes it itself (`log_dest topic`). No I/O.

A refused device is known to the broker alone. With this its refusals stand in our log and metrics. A publication that
the access list refuses is not among them: Mosquitto tells that only by `log_type debug`, which it does not publish.
"""

from enum import StrEnum

BROKER_LOG_TOPICS = ("$SYS/broker/log/E", "$SYS/broker/log/N")
"""Topics of Mosquitto's errors and notices. Asked for at QoS 0: nothing of it is queued while nobody listens, so that
whoever knocks at the broker's door cannot fill the bridge's queue."""


class BrokerRefusal(StrEnum):
    """Why the broker refused somebody."""

    CERTIFICATE = "certificate"
    """No certificate, one that is not trusted, or no TLS at all; or a client that did not trust the broker."""
    LOGIN = "login"
    """Unknown user, wrong password, or nobody where somebody was wanted."""
    OVERSIZED = "oversized"
    """A packet larger than `max_packet_size`: its sender was disconnected."""
    PROTOCOL = "protocol"
    """Not MQTT, or broken MQTT."""
    TOO_MANY = "too_many"
    """More connections than `max_connections`."""


_MARKS = (
    ("OpenSSL Error[0]", BrokerRefusal.CERTIFICATE),  # one handshake may fail with several errors: the first counts
    (" disconnected, not authorised", BrokerRefusal.LOGIN),
    (" disconnected due to oversize pa", BrokerRefusal.OVERSIZED),  # packet, or payload
    (" disconnected due to malformed packet", BrokerRefusal.PROTOCOL),
    (" disconnected due to protocol error", BrokerRefusal.PROTOCOL),
    (" max_connections exceeded", BrokerRefusal.TOO_MANY),
)


def refusal_in(line: str) -> BrokerRefusal | None:
    """Return the refusal that a line of Mosquitto's log tells, `None` where it tells another thing.

    Source:
        Mosquitto 2.0.11 and 2.0.20, `src/loop.c` and `src/net.c`.
    """
    return next((refusal for mark, refusal in _MARKS if mark in line), None)
