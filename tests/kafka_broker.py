"""The real Kafka of the integration tests: one broker a session, started when the first test asks for it. Beside its
listener without encryption it has two with TLS, for the tests of security (`tests.secure_kafka`).

On a machine without Java, or without the jars and a way to fetch them, the tests skip and say why; where `CI` is
set, that is a failure instead.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from deploy.kafka_libs import LocalKafkaError, fetch_libs, java_command
from deploy.local_kafka import LocalKafka
from tests.secure_kafka import LISTENERS, KafkaSecrets, add_scram_user


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Yield a running broker; a test that stops or kills it starts it again."""
    try:
        java_command()
        libs = fetch_libs()
    except LocalKafkaError as error:
        reason = f"no Kafka here: {error} ({error.hint})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    secrets = _secrets(tmp_path_factory)
    listeners, settings = ({}, {}) if secrets is None else (LISTENERS, secrets.settings())
    directory = tmp_path_factory.mktemp("kafka")
    with LocalKafka(directory, libs=libs, listeners=listeners, settings=settings) as broker:
        yield broker


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureKafka:
    """The session's broker, and what its listeners with TLS ask for."""

    broker: LocalKafka
    secrets: KafkaSecrets


@pytest.fixture(scope="session")
def secure_kafka(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> SecureKafka:
    """Return the running broker with its secrets."""
    secrets = _secrets(tmp_path_factory)
    if secrets is None:
        reason = "openssl is not on this machine"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    add_scram_user(kafka.bootstrap_servers)
    return SecureKafka(broker=kafka, secrets=secrets)


def _secrets(tmp_path_factory: pytest.TempPathFactory) -> KafkaSecrets | None:
    """Make certificates, once; without openssl there are no listeners with TLS."""
    directory = tmp_path_factory.getbasetemp() / "kafka-certificates"
    if directory.exists():
        return KafkaSecrets(directory=directory)
    return None if shutil.which("openssl") is None else KafkaSecrets.make(directory)
