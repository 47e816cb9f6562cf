"""Promise: a file of Kafka settings lets us in and changes nothing else; every problem is told, no secret ever."""

from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from ingest.kafka_cluster import KafkaCluster
from ingest.kafka_config import ALLOWED, CONFIG_BYTES_MAX, SECRETS, read_kafka_config
from ingest.kafka_errors import KafkaConfigError
from ingest.kafka_refusal import refusal_of

LOGIN = "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.username=u\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "kafka.properties"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


def test_settings_are_read_as_librdkafka_writes_them(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").touch()
    text = f"# to the cluster\n\n{LOGIN} sasl.password = a=b # not a comment \nssl.ca.location=ca.crt\n"
    config = read_kafka_config(written(tmp_path, text), {})
    assert dict(config.settings) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "a=b # not a comment",
        "ssl.ca.location": str(tmp_path / "ca.crt"),
    }
    assert config.warnings == ()


def test_a_secret_of_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    environment = {SECRETS["sasl.password"]: "env"}
    assert read_kafka_config(written(tmp_path, LOGIN), environment).settings["sasl.password"] == "env"
    file = written(tmp_path, LOGIN + "sasl.password=file\n")
    assert read_kafka_config(file, environment).settings["sasl.password"] == "env"
    assert read_kafka_config(file, {}).settings["sasl.password"] == "file"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("acks=0\nenable.idempotence=false\n", ["line 1: acks may not", "line 2: enable.idempotence may not"]),
        ("enable.ssl.certificate.verification=false\n", ["may not be set here"]),
        ("ssl.endpoint.identification.algorithm=none\n", ["may not be set here"]),
        ("bootstrap.servers=k:1\ndebug=all\n", ["line 1", "line 2"]),
        ("secret\n", ["line 1 is not name=value"]),
        ("sasl.username=u\nsasl.username=v\n", ["line 2: sasl.username is there twice", "have no meaning"]),
        ("security.protocol=\n", ["security.protocol is empty"]),
        ("security.protocol=TLS\n", ["not one of"]),
        ("security.protocol=SASL_SSL\n", ["sasl.mechanism is needed", "sasl.username is", "sasl.password is"]),
        (LOGIN.replace("SCRAM-SHA-512", "GSSAPI") + "sasl.password=secret\n", ["sasl.mechanism is needed"]),
        ("ssl.ca.location=ca.crt\n", ["ssl.* settings have no meaning", "cannot read"]),
        ("security.protocol=SSL\nssl.key.location=none.key\n", ["needed together", "none.key: No such file"]),
        ("security.protocol=SSL\nssl.keystore.location=.\n", ["is a directory"]),
    ],
)
def test_every_problem_is_told_at_once_and_no_value(text: str, problems: list[str], tmp_path: Path) -> None:
    with pytest.raises(KafkaConfigError) as caught:
        read_kafka_config(written(tmp_path, text), {})
    told = str(caught.value)
    assert told.count("\n  - ") == len(problems), told
    for problem in problems:
        assert problem in told
    assert "secret" not in told
    assert "docs/security.md" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("content", "said"), [(b"sasl.password=secret\xff", "not UTF-8"), (b"#" * (CONFIG_BYTES_MAX + 1), "larger than")]
)
def test_what_is_no_such_file(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(KafkaConfigError, match=said) as caught:
        read_kafka_config(written(tmp_path, content), {})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(KafkaConfigError, match="No such file"):
        read_kafka_config(tmp_path / "none", {})


def test_what_is_not_safe_is_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, LOGIN.replace("SASL_SSL", "SASL_PLAINTEXT") + "sasl.password=secret\n")
    (unencrypted,) = read_kafka_config(path, {}).warnings
    assert "SASL_PLAINTEXT" in unencrypted
    path.chmod(0o644)
    readable = read_kafka_config(path, {}).warnings[0]
    assert f"chmod 600 {path}" in readable
    without = written(tmp_path, LOGIN)
    without.chmod(0o644)
    assert read_kafka_config(without, {SECRETS["sasl.password"]: "x"}).warnings == (), "there is no secret in it"


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    config = read_kafka_config(written(tmp_path, LOGIN + "sasl.password=secret\n"), {})
    cluster = KafkaCluster(bootstrap_servers="k:1", client_settings=config.settings)
    assert cluster.client()["sasl.password"] == "secret"
    assert "secret" not in f"{config!r}{cluster!r}{cluster}"


def test_no_setting_that_decides_what_is_lost_is_allowed() -> None:
    assert all(name.startswith(("sasl.", "ssl.", "security.", "client.dns", "broker.", "socket.")) for name in ALLOWED)
    assert SECRETS.keys() <= ALLOWED.keys()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            KafkaError(KafkaError._AUTHENTICATION, "k: SASL authentication error: Authentication failed (after 1ms)"),
            "kafka_login_refused",
        ),
        (
            KafkaError(KafkaError._SSL, "k: SSL handshake failed: error:0A: certificate verify failed (after 1ms)"),
            "kafka_broker_certificate",
        ),
        (
            KafkaError(KafkaError._TRANSPORT, "k: Receive failed: error:SSL routines::ssl/tls alert bad certificate"),
            "kafka_client_certificate",
        ),
        (
            KafkaError(KafkaError._TRANSPORT, "k: SSL handshake failed: connecting to a PLAINTEXT broker listener?"),
            "kafka_not_tls",
        ),
        (KafkaError(KafkaError._TRANSPORT, "k: Connect to ipv4#1.2.3.4:9092 failed: Connection refused"), None),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"), None),
    ],
)
def test_refusals(error: KafkaError, code: str | None) -> None:
    found = refusal_of([KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"), error], "k:9093")
    assert (None if found is None else found.code) == code
    if found is not None:
        assert found.hint
        assert "k:9093" in str(found)
        assert "(after" not in str(found)
