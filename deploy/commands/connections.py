"""The options that say how an MQTT broker and Kafka let us in, and the one place that builds both from them.

Every option that names a file may be given as an environment variable too (`TAGTIDE_MQTT_CA` and so on). A secret has
no option: it is in a file, or in a variable that no option shows.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.connections import KafkaAccess, MqttAccess
from devices.errors import UsageError
from ingest.mqtt_security import PASSWORD_VARIABLE, MqttSecurity, check_security
from ingest.mqtt_url import parse_mqtt_url

MqttCa = Annotated[
    Path | None,
    typer.Option(
        "--mqtt-ca",
        metavar="FILE",
        envvar="TAGTIDE_MQTT_CA",
        help="Certificates (PEM) that sign the broker's, for `mqtts://`; the system's where not given.",
        show_default=False,
    ),
]
MqttCert = Annotated[
    Path | None,
    typer.Option(
        "--mqtt-cert",
        metavar="FILE",
        envvar="TAGTIDE_MQTT_CERT",
        help="Our certificate (PEM), for a broker that asks for one.",
        show_default=False,
    ),
]
MqttKey = Annotated[
    Path | None,
    typer.Option(
        "--mqtt-key",
        metavar="FILE",
        envvar="TAGTIDE_MQTT_KEY",
        help="Its private key (PEM); in --mqtt-cert where not given.",
        show_default=False,
    ),
]
MqttPasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--mqtt-password-file",
        metavar="FILE",
        envvar="TAGTIDE_MQTT_PASSWORD_FILE",
        help="File whose first line is the password of the user in the URL.",
        show_default=False,
    ),
]
BrokerLog = Annotated[
    bool,
    typer.Option(
        "--broker-log",
        metavar="",
        help="Listen to Mosquitto's own log too (`log_dest topic`), and tell and count whom it refuses.",
    ),
]
KafkaConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--kafka-config",
        metavar="FILE",
        envvar="TAGTIDE_KAFKA_CONFIG",
        help="How Kafka lets us in: TLS and SASL settings, as `name=value` lines (docs/security.md).",
        show_default=False,
    ),
]


def log_arguments(broker_log: bool) -> list[str]:  # noqa: FBT001 - an option's value
    """Return the option as it is handed to another process."""
    return ["--broker-log"] if broker_log else []


def mqtt_access(
    mqtt: str,
    *,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    password_file: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> MqttAccess:
    """Build access to a broker from options and environment, checked as far as that goes without the broker.

    Args:
        mqtt: The broker's address.
        ca: Value of `--mqtt-ca`.
        cert: Value of `--mqtt-cert`.
        key: Value of `--mqtt-key`.
        password_file: Value of `--mqtt-password-file`.
        tell: Told what works and is not safe.

    Raises:
        MqttUrlError: The address cannot work, or holds a password.
        MqttSecurityError: The files cannot be used.
    """
    url = parse_mqtt_url(mqtt)
    security = MqttSecurity(
        ca_path=ca,
        cert_path=cert,
        key_path=key,
        password_path=password_file,
        password=os.environ.get(PASSWORD_VARIABLE) or None,
    )
    access = MqttAccess(url=url, security=security, warnings=check_security(url, security))
    for warning in access.warnings:
        tell(f"warning: {warning}")
    return access


def kafka_access(
    kafka: str | None, config: Path | None = None, *, tell: Callable[[str], None] = lambda _: None
) -> KafkaAccess | None:
    """Build access to Kafka from options and environment; `None` where no Kafka was named.

    Args:
        kafka: Value of `--kafka`.
        config: Value of `--kafka-config`.
        tell: Told what works and is not safe.

    Raises:
        KafkaConfigError: The file cannot be used.
        UsageError: A file without a Kafka.
    """
    if kafka is None:
        if config is not None and "TAGTIDE_KAFKA_CONFIG" not in os.environ:
            raise UsageError(f"--kafka-config {config}, but no Kafka was named", hint="--kafka HOST:PORT")
        return None
    if config is None:
        return KafkaAccess(bootstrap_servers=kafka)
    from ingest.kafka_config import read_kafka_config

    found = read_kafka_config(config)
    for warning in found.warnings:
        tell(f"warning: {warning}")
    return KafkaAccess(bootstrap_servers=kafka, config_path=config, settings=found.settings, warnings=found.warnings)
