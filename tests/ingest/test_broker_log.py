"""Promise: whom the broker refuses is told from its own log; what is not a refusal is not."""

import pytest

from ingest.broker_log import BrokerRefusal, refusal_in


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (
            "OpenSSL Error[0]: error:0A0000C7:SSL routines::peer did not return a certificate",
            BrokerRefusal.CERTIFICATE,
        ),
        ("OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed", BrokerRefusal.CERTIFICATE),
        ("OpenSSL Error[1]: error:0A000086:SSL routines::certificate verify failed", None),
        ("Client <unknown> disconnected, not authorised.", BrokerRefusal.LOGIN),
        ("Client r1 disconnected due to oversize packet.", BrokerRefusal.OVERSIZED),
        ("Client r1 disconnected due to protocol error.", BrokerRefusal.PROTOCOL),
        ("Client connection from 192.0.2.1 denied: max_connections exceeded.", BrokerRefusal.TOO_MANY),
        ("Client <unknown> disconnected: Protocol error.", None),  # what follows an OpenSSL error
        ("New client connected from 127.0.0.1:1 as r1 (p2, c1, k60, u'r1').", None),
        ("Client r1 disconnected.", None),
        ("", None),
    ],
)
def test_lines_of_mosquitto_2_0_11(line: str, refusal: BrokerRefusal | None) -> None:
    assert refusal_in(f"2026-11-22T19:15:21: {line}") is refusal
