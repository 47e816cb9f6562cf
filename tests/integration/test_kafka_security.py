"""Promise: with a real Kafka over TLS, SASL and client certificates let us in, and a refusal says what to mend."""

import dataclasses
import uuid
from pathlib import Path

import pytest

from deploy.commands.connections import kafka_access
from devices.errors import ForwardError
from ingest.forward_report import ForwarderConfig
from ingest.kafka_cluster import KafkaCluster, ensure_topics
from tests.deploy.scene import SITE_TOML, write_capture
from tests.integration.processes import query, run
from tests.kafka_broker import SecureKafka
from tests.secure_kafka import MTLS, PASSWORD, SASL

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRAM = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "tagtide"}
PLAIN = SCRAM | {"sasl.mechanism": "PLAIN"}
CERTIFICATE = {"security.protocol": "SSL", "ssl.certificate.location": "tagtide.crt", "ssl.key.location": "tagtide.key"}
TRUST = {"ssl.ca.location": "ca.crt"}
LOGIN = {"sasl.password": PASSWORD}


def cluster(kafka: SecureKafka, listener: str, settings: dict[str, str]) -> KafkaCluster:
    """Return a cluster as the command line would build it from a file; topics of its own."""
    file = kafka.secrets.directory / f"{uuid.uuid4().hex}.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    file.chmod(0o600)
    access = kafka_access(kafka.broker.address(listener), file)
    assert access is not None
    found = access.cluster()
    return KafkaCluster(
        bootstrap_servers=found.bootstrap_servers,
        client_settings=found.client_settings,
        topic_prefix=f"t{uuid.uuid4().hex[:8]}.",
        kafka_partitions=1,
        request_timeout_s=30.0,
    )


@pytest.mark.parametrize(
    ("listener", "settings"),
    [(SASL, SCRAM | LOGIN | TRUST), (SASL, PLAIN | LOGIN | TRUST), (MTLS, CERTIFICATE | TRUST)],
    ids=["SCRAM-SHA-512", "PLAIN", "certificate"],
)
def test_who_belongs_is_let_in(listener: str, settings: dict[str, str], secure_kafka: SecureKafka) -> None:
    assert ensure_topics(cluster(secure_kafka, listener, settings)).kafka_partitions == 1


@pytest.mark.parametrize(
    ("listener", "settings", "code", "hint"),
    [
        (SASL, SCRAM | TRUST | {"sasl.password": "wrong secret"}, "kafka_login_refused", "sasl.username"),
        (SASL, PLAIN | TRUST | {"sasl.password": "wrong secret"}, "kafka_login_refused", "KAFKA_SASL_PASSWORD"),
        (SASL, SCRAM | LOGIN, "kafka_broker_certificate", "ssl.ca.location"),
        (MTLS, {"security.protocol": "SSL"} | TRUST, "kafka_client_certificate", "ssl.certificate.location"),
        ("PLAINTEXT", {"security.protocol": "SSL"} | TRUST, "kafka_not_tls", "security.protocol"),
        (SASL, {"security.protocol": "PLAINTEXT"}, "kafka_unavailable", "want TLS"),
    ],
    ids=["password", "password PLAIN", "authority", "no certificate", "TLS to none", "none to TLS"],
)
def test_a_refusal_says_what_to_mend(
    listener: str, settings: dict[str, str], code: str, hint: str, secure_kafka: SecureKafka
) -> None:
    refused = cluster(secure_kafka, listener, settings)
    error = _refusal(refused, code)
    assert error.code == code
    assert hint in (error.hint or "")
    assert "secret" not in f"{error}{error.hint}{refused!r}{ForwarderConfig(cluster=refused)!r}"
    assert PASSWORD not in f"{error}{error.hint}{refused!r}"


def _refusal(refused: KafkaCluster, code: str) -> ForwardError:
    """Return what a cluster refuses with; who is refused asks until the time is over, and two seconds are enough for a
    handshake except on a busy machine."""
    for seconds in (2.0, 10.0, 30.0):
        with pytest.raises(ForwardError) as caught:
            ensure_topics(dataclasses.replace(refused, request_timeout_s=seconds))
        if caught.value.code == code:
            break
    return caught.value


def test_a_capture_goes_through_a_secured_kafka_into_the_lake(
    secure_kafka: SecureKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forwarder and jobs on the command line; the password comes from the environment."""
    site, config, data = tmp_path / "site.toml", tmp_path / "kafka.properties", tmp_path / "data"
    site.write_text(SITE_TOML)
    settings = SCRAM | {"ssl.ca.location": str(secure_kafka.secrets.authority)}
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    monkeypatch.setenv("TAGTIDE_KAFKA_SASL_PASSWORD", PASSWORD)
    capture = write_capture(tmp_path / "day.jsonl", 50)
    options: list[str | Path] = ["--kafka", secure_kafka.broker.address(SASL), "--kafka-config", config]
    told = run("replay", capture, "--site", site, "--data", data, *options)
    assert query(data, "SELECT count(*) AS n FROM reads")["n"].to_pylist() == [50]
    assert PASSWORD not in told
