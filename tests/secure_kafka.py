"""Listeners with TLS for the tests' Kafka: SASL (SCRAM and PLAIN) and client certificates, made for the run."""

from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, though its types do not say so
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.secure_broker import certificates

SASL, MTLS = "SASL", "MTLS"
PASSWORD = "only the forwarder knows this"
LISTENERS = {SASL: "SASL_SSL", MTLS: "SSL"}
_ITERATIONS = 4096  # the least that Kafka takes


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecrets:
    """Certificates and settings of one test run."""

    directory: Path

    @property
    def authority(self) -> Path:
        """Certificate that signs the broker's and the clients'."""
        return self.directory / "ca.crt"

    @classmethod
    def make(cls, directory: Path) -> "KafkaSecrets":
        """Make the certificates."""
        certificates("authority", directory)
        certificates("broker", directory, "localhost", "127.0.0.1")
        certificates("client", directory, "tagtide")
        (directory / "broker.pem").write_text(
            (directory / "broker.key").read_text() + (directory / "broker.crt").read_text()
        )
        return cls(directory=directory)

    def settings(self) -> dict[str, str]:
        """Return what the broker's listeners need."""
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_tagtide="{PASSWORD}";'
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.directory / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority),
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.sasl.plain.sasl.jaas.config": plain,
        }


def add_scram_user(bootstrap_servers: str) -> None:
    """Tell Kafka the forwarder's password for SCRAM."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    change = UserScramCredentialUpsertion("tagtide", info, PASSWORD.encode())
    for done in admin.alter_user_scram_credentials([change]).values():
        done.result(30)
