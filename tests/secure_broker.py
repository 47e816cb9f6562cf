"""A real Mosquitto with the shipped secure settings on free ports, and certificates made for the run."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy.local_mqtt import free_port, mosquitto_executable
from deploy.mosquitto_acl import mosquitto_acl
from devices.site.model import Reader, Shelf, Site
from ingest.mqtt_client import give_credentials
from ingest.mqtt_security import MqttSecurity
from ingest.mqtt_url import parse_mqtt_url
from tests.brokers import DEADLINE_S, eventually

MOSQUITTO = Path(__file__).parents[1] / "deploy" / "mosquitto"
BRIDGE_PASSWORD = "only the bridge knows this"

SITE = Site(
    id="store-7",
    readers=(
        Reader(id="r1", profile="tagtide", mqtt_topic="store-7/r1", status_mqtt_topics=("store-7/r1/status",)),
        Reader(id="r2", profile="tagtide", mqtt_topic="store-7/r2"),
    ),
    shelves=(Shelf(id="s1", zone="floor", profile="weight", mqtt_topic="store-7/s1"),),
)


def certificates(*arguments: str | Path) -> None:
    """Run the shipped script."""
    run(MOSQUITTO / "certificates.sh", *arguments)


def run(*command: str | Path) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, timeout=60, capture_output=True)


def needs_mosquitto_and_openssl() -> None:
    """Skip, or fail in CI, where something is missing."""
    missing = [name for name in ("openssl", "mosquitto_passwd") if shutil.which(name) is None]
    if mosquitto_executable() is None or missing:
        reason = f"needs Mosquitto and openssl on this machine; missing: {missing or 'mosquitto'}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class SecureMosquitto:
    """`secure.conf` as it is shipped, with other ports and another folder, and everything logged."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certs = directory / "certs"
        self.tls_port, self.local_port = free_port(), free_port()
        self._log = directory / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        certificates("authority", self.certs)
        certificates("broker", self.certs, "localhost")
        certificates("client", self.certs, "r1", "r2", "tagtide")
        self.strangers = directory / "strangers"
        certificates("authority", self.strangers, "Somebody else")
        certificates("client", self.strangers, "r1")
        self.set_password(BRIDGE_PASSWORD)
        (directory / "acl").write_text(mosquitto_acl([SITE], bridge_user="tagtide"))
        (directory / "acl").chmod(0o600)
        (directory / "mosquitto.conf").write_text(self._configuration())

    @property
    def tls_url(self) -> str:
        """Where devices connect."""
        return f"mqtts://localhost:{self.tls_port}"

    @property
    def local_url(self) -> str:
        """Where the bridge connects."""
        return f"mqtt://tagtide@127.0.0.1:{self.local_port}"

    def identity(self, user: str, *, certs: Path | None = None) -> MqttSecurity:
        """Return what a device has to prove who it is."""
        folder = certs or self.certs
        return MqttSecurity(
            ca_path=self.certs / "ca.crt", cert_path=folder / f"{user}.crt", key_path=folder / f"{user}.key"
        )

    def set_password(self, password: str) -> None:
        """Write the broker's password file, with the bridge's user alone."""
        file = self._directory / "passwords"
        run("mosquitto_passwd", "-c", "-b", file, "tagtide", password)
        file.chmod(0o600)

    def expire_certificate(self) -> None:
        """Give the broker a certificate of its authority whose time is over."""
        broker, request = self.certs / "broker.crt", self._directory / "request"
        run("openssl", "req", "-new", "-key", broker.with_suffix(".key"), "-subj", "/CN=localhost", "-out", request)
        sign: list[str | Path] = [
            "openssl",
            "ca",
            "-batch",
            "-notext",
            "-config",
            self.certs / "register" / "ca.cnf",
            "-in",
            request,
        ]
        run(*sign, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-out", broker)

    def restart(self) -> None:
        """Stop and start it, as `systemctl restart` does; a reload corrupts sessions (docs/security.md)."""
        self.__exit__()
        self.__enter__()

    def said(self) -> str:
        """Return its log."""
        return self._log.read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until its log holds a text."""
        eventually(lambda: text in self.said(), f"the broker says {text}")

    def __enter__(self) -> Self:
        starts = self.said().count(" running") if self._log.exists() else 0
        command = [str(mosquitto_executable()), "-c", str(self._directory / "mosquitto.conf")]
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(command, stdout=sink, stderr=sink)
        eventually(lambda: self.said().count(" running") > starts, "the broker runs")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(DEADLINE_S)

    def _configuration(self) -> str:
        shipped = (MOSQUITTO / "secure.conf").read_text()
        for ours, here in {
            "/etc/mosquitto/": f"{self._directory}/",
            "/var/lib/mosquitto/": f"{self._directory}/",
            "listener 8883": f"listener {self.tls_port} 127.0.0.1",
            "listener 1883 127.0.0.1": f"listener {self.local_port} 127.0.0.1",
            "#log_type debug": "log_type debug",
        }.items():
            assert ours in shipped
            shipped = shipped.replace(ours, here)
        return f"{shipped}\nuser {getpass.getuser()}\n"


@contextmanager
def connected(url: str, security: MqttSecurity, client_id: str, **callbacks: object) -> Iterator[paho.Client]:
    """Yield a client of paho's, as a device would have it, once the broker has let it in."""
    broker = parse_mqtt_url(url)
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
    for name, callback in callbacks.items():
        setattr(client, name, callback)
    give_credentials(client, broker, security)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        eventually(client.is_connected, f"{client_id} is connected")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()
