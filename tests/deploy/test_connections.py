"""Promise: options and environment become one value that lets us in, and no secret is on a command line or in help."""

from pathlib import Path

import pytest

from deploy.commands.connections import kafka_access, mqtt_access
from deploy.connections import KafkaAccess, MqttAccess
from devices.errors import UsageError
from tests.certificate_files import certificate_folder
from tests.deploy.command_line import commands, tagtide

CONNECTING = {"up", "bridge", "capture", "replay", "doctor"}
"""Commands that connect to an MQTT broker."""


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_folder(tmp_path_factory)


@pytest.mark.parametrize(
    ("marker", "needed"),
    [
        ("--mqtt", {"--mqtt-ca", "--mqtt-cert", "--mqtt-key", "--mqtt-password-file"}),
        ("--kafka", {"--kafka-config"}),
    ],
)
def test_every_command_that_connects_takes_what_lets_it_in(marker: str, needed: set[str]) -> None:
    found = {
        name: {option for entry in command.params for option in entry.opts} for name, command in commands().items()
    }
    connecting = {name: options for name, options in found.items() if marker in options}
    assert {name for name, options in connecting.items() if not needed <= options} == set()
    assert marker != "--mqtt" or connecting.keys() == CONNECTING


def test_no_option_takes_a_secret() -> None:
    """A command line is read by everybody on the machine, and stands in shell histories and units."""
    words = ("password", "secret", "token")
    options = {option for command in commands().values() for entry in command.params for option in entry.opts}
    named = {option for option in options if any(word in option for word in words)}
    assert named
    assert all(option.endswith("-file") for option in named)


@pytest.mark.parametrize("name", sorted(CONNECTING | {"jobs", "forward"}))
def test_help_shows_no_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TAGTIDE_MQTT_PASSWORD", "TAGTIDE_KAFKA_SASL_PASSWORD", "TAGTIDE_KAFKA_SSL_KEY_PASSWORD"):
        monkeypatch.setenv(variable, "secret-of-the-environment")
    assert "secret-of-the-environment" not in tagtide(name, "--help", columns=200).out


def test_a_broker_of_options_and_environment(certs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = tmp_path / "password"
    password.write_text("secret-of-the-file")
    password.chmod(0o644)
    monkeypatch.setenv("TAGTIDE_MQTT_PASSWORD", "secret-of-the-environment")
    told: list[str] = []
    options = {"ca": certs / "ca.crt", "cert": certs / "r1.crt", "key": certs / "r1.key"}
    access = mqtt_access("mqtts://tagtide@broker", **options, password_file=password, tell=told.append)
    assert access.security.read_password() == "secret-of-the-file"
    assert mqtt_access("mqtts://tagtide@broker").security.read_password() == "secret-of-the-environment"
    assert len(told) == 1
    assert "chmod 600" in told[0]
    assert access.arguments() == [
        *("--mqtt", "mqtts://tagtide@broker:8883"),
        *("--mqtt-ca", str(certs / "ca.crt")),
        *("--mqtt-cert", str(certs / "r1.crt")),
        *("--mqtt-key", str(certs / "r1.key")),
        *("--mqtt-password-file", str(password)),
    ]
    assert "secret-of" not in f"{access!r}{access.arguments()}{told}"
    assert MqttAccess.at("mqtt://broker").arguments() == ["--mqtt", "mqtt://broker:1883"]


def test_kafka_of_options_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "kafka.properties"
    config.write_text("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.username=u\n")
    monkeypatch.setenv("TAGTIDE_KAFKA_SASL_PASSWORD", "secret-of-the-environment")
    access = kafka_access("k:9093", config)
    assert access is not None
    assert access.cluster().client()["sasl.password"] == "secret-of-the-environment"
    assert access.arguments() == ["--kafka", "k:9093", "--kafka-config", str(config)]
    assert "secret-of" not in f"{access!r}{access}{access.cluster()!r}"
    assert kafka_access("k:9092") == KafkaAccess(bootstrap_servers="k:9092")
    assert kafka_access(None) is None
    with pytest.raises(UsageError, match="no Kafka was named"):
        kafka_access(None, config)


def test_options_come_from_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGTIDE_MQTT_CA", str(tmp_path / "none.crt"))
    ended = tagtide("capture", tmp_path / "c.jsonl", "--mqtt", "mqtts://broker", columns=200)
    assert ended.code == 2
    assert "none.crt" in ended.err
