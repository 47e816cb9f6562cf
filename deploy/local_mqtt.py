"""A local MQTT broker on a free port: Mosquitto with the shipped settings if it is on the machine, else amqtt.

For the demo, tests and benchmarks. amqtt keeps its sessions in memory only, so it is for machines where nothing has
to survive a crash; `deploy/mosquitto/` is what a store runs.
"""

import getpass
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from devices.errors import TagtideError

START_TIMEOUT_S = 60.0
"""amqtt takes about a second to import and listen, on a machine with thirty other jobs half a minute."""

_STOP_TIMEOUT_S = 30.0  # Mosquitto saves its sessions first; then SIGKILL

_SHIPPED = Path(__file__).parent / "mosquitto" / "mosquitto.conf"


class BrokerKind(StrEnum):
    """Which broker to start."""

    AUTO = "auto"
    """Mosquitto if it is there, else the embedded one."""
    MOSQUITTO = "mosquitto"
    EMBEDDED = "embedded"


class LocalBroker:
    """A broker process on 127.0.0.1, stopped when the `with` block ends."""

    def __init__(
        self,
        directory: Path,
        kind: BrokerKind = BrokerKind.AUTO,
        *,
        port: int | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        """Choose the broker.

        Args:
            directory: Where it keeps its configuration, log and sessions.
            kind: Which broker.
            port: TCP port; a free one where not given.
            settings: Lines to add to Mosquitto's configuration.

        Raises:
            TagtideError: Mosquitto is asked for and not there.
        """
        executable = mosquitto_executable()
        if kind is BrokerKind.AUTO:
            kind = BrokerKind.MOSQUITTO if executable else BrokerKind.EMBEDDED
        if kind is BrokerKind.MOSQUITTO and executable is None:
            raise TagtideError(
                "Mosquitto is not on this machine",
                hint="apt-get install mosquitto, or use the embedded broker: --broker embedded",
                code="mosquitto_missing",
            )
        self.kind = kind
        self.port = port or free_port()
        self._directory = directory
        self._settings = tuple(settings)
        self._executable = executable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL of the broker."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def configuration(self) -> Path:
        """Mosquitto's configuration file, there once it has been started."""
        return self._directory / "mosquitto.conf"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "it has not been started"
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it accepts connections.

        Raises:
            TagtideError: It did not come up; the message has the end of its log.
        """
        if _accepts(self.port):  # or we would take whoever listens there for our broker
            raise TagtideError(
                f"port {self.port} of 127.0.0.1 is taken", hint="stop what listens there", code="broker_port_taken"
            )
        self._directory.mkdir(parents=True, exist_ok=True)
        log = self._directory / "broker.log"
        with log.open("ab") as sink:
            self._process = subprocess.Popen(self._command(), stdout=sink, stderr=sink)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _accepts(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                ending = log.read_text(errors="replace")[-800:]
                raise TagtideError(f"the {self.kind} broker did not start:\n{ending}", code="broker_failed")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process, politely first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        if self.kind is BrokerKind.EMBEDDED:
            return [sys.executable, "-W", "ignore", "-m", "deploy.embedded_broker", str(self.port)]
        self.configuration.write_text(
            "\n".join(
                [
                    _without_listener(_SHIPPED.read_text()),
                    f"listener {self.port} 127.0.0.1",
                    "allow_anonymous true",
                    f"persistence_location {self._directory.resolve()}/",
                    # Started by root it would become the user mosquitto, who may not write here: nothing would be kept.
                    f"user {getpass.getuser()}",
                    *self._settings,
                    "",
                ]
            )
        )
        return [str(self._executable), "-c", str(self.configuration)]


def mosquitto_executable() -> str | None:
    """Return where Mosquitto is; Debian puts it into /usr/sbin, which is not on every PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _without_listener(configuration: str) -> str:
    ours = ("listener ", "allow_anonymous ", "persistence_location ", "password_file ", "acl_file ", "user ")
    return "\n".join(line for line in configuration.splitlines() if not line.startswith(ours))


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False
