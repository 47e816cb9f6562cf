"""The real Kafka of the integration tests: one broker a session, started when the first test asks for it.

On a machine without Java, or without the jars and a way to fetch them, the tests skip and say why; where `CI` is
set, that is a failure instead.
"""

import os
from collections.abc import Iterator

import pytest

from deploy.kafka_libs import LocalKafkaError, fetch_libs, java_command
from deploy.local_kafka import LocalKafka


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
    with LocalKafka(tmp_path_factory.mktemp("kafka"), libs=libs) as broker:
        yield broker
