"""Why Kafka does not let us in, from what librdkafka says on the way. No I/O.

A request that fails says only "Broker transport failure"; the reason went to the client's error callback before:
`_AUTHENTICATION` for SASL, `_SSL` for a certificate of Kafka's that we do not trust, and a TLS alert in the text of a
transport error where Kafka does not trust ours.
"""

from collections.abc import Iterable

from confluent_kafka import KafkaError

from devices.errors import TagtideError
from ingest.kafka_errors import KafkaRefusedError


def refusal_of(errors: Iterable[KafkaError], bootstrap_servers: str) -> KafkaRefusedError | None:
    """Return the first refusal among what a client has said; `None` where there is none.

    Args:
        errors: What its error callback was given, in order.
        bootstrap_servers: Which Kafka, for the message.
    """
    return next((found for error in errors if (found := _refusal(error, bootstrap_servers)) is not None), None)


def told(error: TagtideError) -> str:
    """Return what to tell about Kafka's absence: for a refusal, with what to do about it."""
    return f"{error} ({error.hint})" if isinstance(error, KafkaRefusedError) else str(error)


def _refusal(error: KafkaError, servers: str) -> KafkaRefusedError | None:
    said = error.str()
    if error.code() in _LOGIN:
        return KafkaRefusedError(
            f"Kafka at {servers} refuses our login: {_short(said, 'SASL authentication error: ')}",
            hint="check sasl.username, sasl.mechanism and the password in --kafka-config"
            " (or TAGTIDE_KAFKA_SASL_PASSWORD)",
            code="kafka_login_refused",
        )
    if "alert" in said and any(word in said for word in ("certificate", "unknown ca", "handshake failure")):
        return KafkaRefusedError(
            f"Kafka at {servers} does not accept our certificate, or wants one: {_short(said, 'SSL routines::')}",
            hint="give ssl.certificate.location and ssl.key.location in --kafka-config, signed by who Kafka trusts",
            code="kafka_client_certificate",
        )
    if error.code() == KafkaError._SSL:  # noqa: SLF001 - how the client library names its own errors
        return KafkaRefusedError(
            f"the certificate of Kafka at {servers} is not trusted: {_short(said, 'SSL handshake failed: ')}",
            hint="give its authority as ssl.ca.location in --kafka-config, and connect by a name in its certificate",
            code="kafka_broker_certificate",
        )
    if "SSL_HANDSHAKE" in said or "PLAINTEXT broker listener" in said:
        return KafkaRefusedError(
            f"no TLS is spoken by Kafka at {servers}",
            hint="check the port, and security.protocol in --kafka-config",
            code="kafka_not_tls",
        )
    return None


def _short(said: str, behind: str) -> str:
    """Return the part behind a marker, without librdkafka's state and timing at the end."""
    return said.rpartition(behind)[2].rpartition(" (after ")[0] or said


_LOGIN = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - how the client library names its own errors
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
}
