"""How Kafka is told who we are: a file of librdkafka's settings, of which only those for that are taken.

A file and not options, because it holds passwords, and because whoever runs a Kafka cluster hands such files out
(`kcat -F` and Confluent's tools read the same lines, `name=value`). Secrets may come from the environment instead.

Only settings by which a client proves who it is, checks the cluster, and finds it are allowed. What decides whether
anything is lost (`acks`, `enable.idempotence`, offsets) is not for a file to change, nor is switching off the check of
the cluster's certificate. Every problem is reported at once, by line; a value is never part of a message.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingest.kafka_errors import KafkaConfigError
from ingest.mqtt_security import readable_by_others, secret_file_warning

CONFIG_BYTES_MAX = 64 * 2**10
"""Largest file that is read; a dozen lines are 1 kB, with certificates written into them 10 kB."""

ALLOWED = {
    "security.protocol": "PLAINTEXT, SSL, SASL_SSL or SASL_PLAINTEXT",
    "sasl.mechanism": "SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN",
    "sasl.mechanisms": "the same, by its other name",
    "sasl.username": "user of SASL",
    "sasl.password": "his password; or the environment variable TAGTIDE_KAFKA_SASL_PASSWORD",
    "ssl.ca.location": "certificates that sign the brokers', PEM; the system's where not given",
    "ssl.certificate.location": "our certificate, PEM",
    "ssl.key.location": "its private key, PEM",
    "ssl.key.password": "passphrase of that key; or the environment variable TAGTIDE_KAFKA_SSL_KEY_PASSWORD",
    "ssl.keystore.location": "our certificate and key as PKCS#12, instead of the two above",
    "ssl.keystore.password": "its passphrase; or the environment variable TAGTIDE_KAFKA_SSL_KEYSTORE_PASSWORD",
    "ssl.crl.location": "certificates that were revoked",
    "client.dns.lookup": "use_all_dns_ips or resolve_canonical_bootstrap_servers_only",
    "broker.address.family": "any, v4 or v6",
    "socket.keepalive.enable": "true for lines that drop silent connections",
}
"""Settings that a file may hold, and what each is."""

SECRETS = {
    "sasl.password": "TAGTIDE_KAFKA_SASL_PASSWORD",
    "ssl.key.password": "TAGTIDE_KAFKA_SSL_KEY_PASSWORD",
    "ssl.keystore.password": "TAGTIDE_KAFKA_SSL_KEYSTORE_PASSWORD",
}
"""Settings that are secrets, and the environment variable that goes before the file."""

_PROTOCOLS = {"plaintext", "ssl", "sasl_ssl", "sasl_plaintext"}
_MECHANISMS = {"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """Settings for every Kafka client."""

    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """librdkafka's settings by name, secrets among them."""
    warnings: tuple[str, ...] = ()
    """What works and is not safe."""


def read_kafka_config(path: Path, environment: Mapping[str, str] = os.environ) -> KafkaConfig:
    """Read and check a file of settings; relative paths in it are relative to the file.

    Raises:
        KafkaConfigError: It cannot be read, or has problems; every one of them is named, with its line.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(CONFIG_BYTES_MAX + 1)
        text = raw.decode("utf-8")
    except OSError as cause:
        raise KafkaConfigError(f"cannot read {path}: {cause.strerror}", hint="check path and owner") from cause
    except UnicodeDecodeError:
        # Not `from`: the error quotes what it could not decode.
        raise KafkaConfigError(f"{path} is not UTF-8", hint="write it as UTF-8") from None
    if len(raw) > CONFIG_BYTES_MAX:
        raise KafkaConfigError(f"{path} is larger than {CONFIG_BYTES_MAX} bytes", hint="is it the right file?")
    settings: dict[str, str] = {}
    problems = list(_parse(text, settings))
    in_file = set(settings) & set(SECRETS)
    for name, variable in SECRETS.items():
        if environment.get(variable):
            settings[name] = environment[variable]
    problems += _contradictions(settings)
    problems += _unreadable(settings, path.parent)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise KafkaConfigError(
            f"{path}: {'1 problem' if len(problems) == 1 else f'{len(problems)} problems'}\n{listed}",
            hint="docs/security.md has a file for each way to log in",
        )
    return KafkaConfig(settings=settings, warnings=tuple(_warnings(path, settings, in_file)))


def _parse(text: str, settings: dict[str, str]) -> Iterator[str]:
    """Take a file's lines into `settings`; yield what is wrong with them."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, value = (part.strip() for part in line.partition("="))
        if not separator:
            yield f"line {number} is not name=value"
        elif name not in ALLOWED:
            yield f"line {number}: {name} may not be set here; allowed are {', '.join(ALLOWED)}"
        elif name in settings:
            yield f"line {number}: {name} is there twice"
        elif not value:
            yield f"line {number}: {name} is empty"
        else:
            settings[name] = value


def _contradictions(settings: Mapping[str, str]) -> Iterator[str]:
    protocol = settings.get("security.protocol", "plaintext").lower()
    mechanism = settings.get("sasl.mechanism", settings.get("sasl.mechanisms"))
    if protocol not in _PROTOCOLS:
        yield f"security.protocol is not one of {', '.join(sorted(_PROTOCOLS)).upper()}"
    elif protocol.startswith("sasl"):
        if mechanism not in _MECHANISMS:
            yield f"sasl.mechanism is needed with {protocol.upper()}: one of {', '.join(sorted(_MECHANISMS))}"
        if "sasl.username" not in settings:
            yield f"sasl.username is needed with {protocol.upper()}"
        if "sasl.password" not in settings:
            yield f"sasl.password is needed with {protocol.upper()}; it may come from {SECRETS['sasl.password']}"
    elif any(name.startswith("sasl.") and name not in SECRETS for name in settings):
        yield f"sasl.* settings have no meaning with security.protocol {protocol.upper()}: SASL_SSL?"
    if not protocol.endswith("ssl") and any(name.startswith("ssl.") and name not in SECRETS for name in settings):
        yield f"ssl.* settings have no meaning with security.protocol {protocol.upper()}: SSL or SASL_SSL?"
    if ("ssl.certificate.location" in settings) != ("ssl.key.location" in settings):
        yield "ssl.certificate.location and ssl.key.location are needed together"


def _unreadable(settings: dict[str, str], directory: Path) -> Iterator[str]:
    """Make paths absolute; yield those whose file cannot be read."""
    for name in [name for name in settings if name.endswith(".location")]:
        path = directory / settings[name]
        settings[name] = str(path)
        try:
            path.open("rb").close()
        except IsADirectoryError:
            if name != "ssl.ca.location":
                yield f"{name}: {path} is a directory"
        except OSError as cause:
            yield f"{name}: cannot read {path}: {cause.strerror}"


def _warnings(path: Path, settings: Mapping[str, str], in_file: set[str]) -> Iterator[str]:
    if in_file and readable_by_others(path):
        yield secret_file_warning(path)
    for name in ("ssl.key.location", "ssl.keystore.location"):
        if name in settings and readable_by_others(Path(settings[name])):
            yield secret_file_warning(Path(settings[name]))
    if settings.get("security.protocol", "").lower() == "sasl_plaintext":
        yield "SASL_PLAINTEXT sends what it has to Kafka unencrypted: use SASL_SSL (docs/security.md)"
