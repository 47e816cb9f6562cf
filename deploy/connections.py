"""MQTT broker and Kafka as a command line names them: where they are, and how we are let in.

`deploy.commands.connections` builds these from options and environment; whatever connects is handed one. Both give
back the arguments that name them, for a process of ours that is started beside: paths, never secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_url import MqttUrl, parse_mqtt_url

if TYPE_CHECKING:
    from ingest.kafka_cluster import KafkaCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttAccess:
    """An MQTT broker and how it lets us in."""

    url: MqttUrl
    """Where it is, and as whom."""
    security: MqttSecurity = field(default_factory=MqttSecurity)
    """Certificates and password."""
    warnings: tuple[str, ...] = ()
    """What works and is not safe."""

    @classmethod
    def at(cls, url: str) -> "MqttAccess":
        """Return access to a broker that asks for nothing."""
        return cls(url=parse_mqtt_url(url))

    def arguments(self) -> list[str]:
        """Return the options that name it."""
        files = {
            "--mqtt-ca": self.security.ca_path,
            "--mqtt-cert": self.security.cert_path,
            "--mqtt-key": self.security.key_path,
            "--mqtt-password-file": self.security.password_path,
        }
        given = [word for option, path in files.items() if path is not None for word in (option, str(path))]
        return ["--mqtt", str(self.url), *given]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """A Kafka cluster and how it lets us in."""

    bootstrap_servers: str
    """Where to begin, `host:port[,host:port]`."""
    config_path: Path | None = None
    """File of further settings."""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the file says, with secrets from the environment."""
    warnings: tuple[str, ...] = ()
    """What works and is not safe."""

    def __str__(self) -> str:
        """Return where it is."""
        return self.bootstrap_servers

    def cluster(self) -> "KafkaCluster":
        """Return what clients are made from."""
        from ingest.kafka_cluster import KafkaCluster

        return KafkaCluster(bootstrap_servers=self.bootstrap_servers, client_settings=self.settings)

    def arguments(self) -> list[str]:
        """Return the options that name it."""
        given = [] if self.config_path is None else ["--kafka-config", str(self.config_path)]
        return ["--kafka", self.bootstrap_servers, *given]
