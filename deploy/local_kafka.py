"""One Apache Kafka broker on this machine: for tests, benchmarks, development and a single-machine site.

```
python -m deploy.local_kafka fetch            fetch the jars into the cache; does nothing where they are there
python -m deploy.local_kafka start --dir D    format D on first use, start, wait until it answers, print its address
python -m deploy.local_kafka stop --dir D     stop it
python -m deploy.local_kafka libs             print where the jars are, for Kafka's own tools
```

A directory holds one broker's whole life: `server.properties` with its ports, `data/`, `kafka.log` and, while it
runs, `kafka.pid`. Started again, it comes back with the same ports and data.

States: `unformatted` -> (start) `starting` -> (it answers a metadata request) `running` -> (stop, kill or its own
death) `stopped` -> (start) `starting`.
"""

import argparse
import base64
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Self

from deploy.kafka_libs import (
    KAFKA_FILES,
    KafkaLibs,
    LocalKafkaError,
    fetch_libs,
    is_fetched,
    java_command,
    kafka_libs,
    training_archive,
)
from devices.errors import TagtideError

_HOST = "127.0.0.1"
_START_TIMEOUT_S = 120.0  # 2 s with the class archive, 5 s without, on two idle cores; logs to recover take longer
_STOP_TIMEOUT_S = 20.0  # a controlled shutdown takes 0.3 s; then SIGKILL, which Kafka survives
_FORMAT_TIMEOUT_S = 60
_POLL_S = 0.05
_PORT_ATTEMPTS = 3  # a port that was free may be taken a second later, rarely, and hardly ever three times
_LOG_TAIL_LINES = 25
_HEAP = ("-Xms128m", "-Xmx512m")  # 6 topics of 12 partitions fit in 128 MB with room for 1 MB batches
_QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class LocalKafka:
    """A broker process and its directory."""

    def __init__(
        self,
        directory: Path | str,
        *,
        libs: KafkaLibs | None = None,
        listeners: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Name a broker; nothing is fetched, written or started yet.

        Args:
            directory: Where its settings, data and log are or will be.
            libs: Its jars; by default those of `deploy/kafka/pom.xml`, fetched when first needed.
            listeners: Further listeners, name and protocol (`SASL_SSL`), beside the one without encryption.
            settings: Further settings, such as what these listeners need.
        """
        self._listeners = dict(listeners or {})
        self._further = dict(settings or {})
        self.directory = Path(directory).resolve()
        """Everything of this broker."""
        self._libs = libs
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients, `host:port`; known once it was started for the first time."""
        return self.address("PLAINTEXT")

    def address(self, listener: str) -> str:
        """Return a listener's address for clients, `host:port`; known once it was started for the first time."""
        for line in self._settings.read_text(encoding="utf-8").splitlines():
            if line.startswith("advertised.listeners=") and f"{listener}://" in line:
                return line.partition(f"{listener}://")[2].partition(",")[0]
        raise LocalKafkaError(f"{self._settings} names no advertised listener {listener}")

    @property
    def log_file(self) -> Path:
        """What the broker says."""
        return self.directory / "kafka.log"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self, *, timeout_s: float = _START_TIMEOUT_S, java_options: tuple[str, ...] = ()) -> None:
        """Start the broker and wait until it answers; does nothing where it runs.

        Args:
            timeout_s: How long it may take, seconds.
            java_options: Further options for the Java machine.

        Raises:
            LocalKafkaError: Java or the jars are missing, or the broker died or did not answer in time; the
                message ends with the tail of its log.
        """
        if self.is_running():
            return
        java, libs = java_command(), self._libs or fetch_libs()
        self.directory.mkdir(parents=True, exist_ok=True)
        attempts_left = 1 if self._settings.exists() else _PORT_ATTEMPTS
        while attempts_left:
            attempts_left -= 1
            if not self._settings.exists():
                self._format(java, libs)
            try:
                self._launch(java, libs, timeout_s, java_options)
            except LocalKafkaError as error:
                if not attempts_left or "Address already in use" not in str(error):
                    raise
                self._settings.unlink()  # another process took a port that was free: format again with others
                shutil.rmtree(self.directory / "data", ignore_errors=True)
            else:
                return

    def is_running(self) -> bool:
        """Whether the broker process of this directory lives."""
        return self._pid() is not None

    def stop(self, *, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Stop the broker in order; where it does not go in time, kill it. Does nothing where it is stopped."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            if not self._await_end(time.monotonic() + timeout_s):
                self.kill()
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the broker at once with SIGKILL, as a power cut would; its data stays."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            if not self._await_end(time.monotonic() + _STOP_TIMEOUT_S):
                raise LocalKafkaError(f"the Kafka process {pid} does not end")
        self._pid_file.unlink(missing_ok=True)

    @property
    def _settings(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _pid_file(self) -> Path:
        return self.directory / "kafka.pid"

    def _launch(self, java: str, libs: KafkaLibs, timeout_s: float, java_options: tuple[str, ...]) -> None:
        command = [java, *_HEAP, *_QUICK_START, *_archive_options(libs), *java_options, "-Djava.awt.headless=true"]
        command += [f"-Dlog4j2.configurationFile=file:{KAFKA_FILES / 'log4j2.properties'}"]
        command += ["-cp", libs.class_path, "kafka.Kafka", str(self._settings)]
        with self.log_file.open("ab") as log:
            # A session of its own: Ctrl-C at a terminal stops who started it, and that stops the broker in order.
            self._process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._pid_file.write_text(str(self._process.pid), encoding="utf-8")
        self._await_answer(self._process, time.monotonic() + timeout_s)

    def _format(self, java: str, libs: KafkaLibs) -> None:
        """Write the settings with free ports and format the data directory; the settings come last, whole."""
        broker_port, controller_port, *ports = _free_ports(2 + len(self._listeners))
        template = Template((KAFKA_FILES / "server.properties").read_text(encoding="utf-8"))
        values = {"host": _HOST, "broker_port": broker_port, "controller_port": controller_port}
        draft = self.directory / ".server.properties"
        text = template.substitute(values, data=self.directory / "data")
        draft.write_text(self._with_listeners(text, ports), encoding="utf-8")
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [java, *_QUICK_START, *_archive_options(libs), "-cp", libs.class_path, "kafka.tools.StorageTool"]
        # One word: an identity may begin with "-", which on its own would be taken for an option, 1 time in 64.
        command += ["format", "--standalone", "--ignore-formatted", f"--cluster-id={cluster_id}", "-c", str(draft)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise LocalKafkaError(f"Kafka could not format {self.directory}: {done.stdout}{done.stderr}")
        draft.replace(self._settings)

    def _with_listeners(self, text: str, ports: Sequence[int]) -> str:
        """Add the further listeners and settings to the text of a settings file."""
        places = "".join(f",{name}://{_HOST}:{port}" for name, port in zip(self._listeners, ports, strict=True))
        protocols = "".join(f",{name}:{protocol}" for name, protocol in self._listeners.items())
        added = {"listeners=": places, "advertised.listeners=": places, "listener.security.protocol.map=": protocols}
        lines = [
            line + next((more for start, more in added.items() if line.startswith(start)), "")
            for line in text.splitlines()
        ]
        return "\n".join([*lines, *(f"{key}={value}" for key, value in self._further.items()), ""])

    def _await_answer(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while not self._answers():
            if process.poll() is not None:
                self._pid_file.unlink(missing_ok=True)
                raise self._start_error(f"Kafka ended with exit code {process.returncode} while starting")
            if time.monotonic() > deadline:
                self.kill()
                raise self._start_error("Kafka did not answer in time")
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        """Whether this very broker answers a metadata request; another one may have taken its port."""
        answering = _cluster_id_at(self.bootstrap_servers)
        formatted = self.directory / "data" / "meta.properties"
        if answering is None or not formatted.exists():
            return False
        return f"cluster.id={answering}\n" in formatted.read_text(encoding="utf-8")

    def _start_error(self, what: str) -> LocalKafkaError:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])
        return LocalKafkaError(
            f"{what}; its log ends:\n{tail}", hint=f"the whole log: {self.log_file}", code="kafka_start_failed"
        )

    def _pid(self) -> int | None:
        """Return the broker's process id while it lives; a number that some other process got since is not ours."""
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        try:
            pid = int(self._pid_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return pid if str(self._settings) in _command_line(pid) else None

    def _await_end(self, deadline: float) -> bool:
        while self._pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def train_class_archive(libs: KafkaLibs) -> None:
    """Run a broker once so that Java keeps its loaded classes in an archive: later starts take half the time."""
    with tempfile.TemporaryDirectory(prefix="tagtide-kafka-") as directory, training_archive(libs) as option:
        broker = LocalKafka(directory, libs=libs)
        broker.start(java_options=(option,))
        broker.stop(timeout_s=_START_TIMEOUT_S)  # writing the archive takes 5 s


def _archive_options(libs: KafkaLibs) -> tuple[str, ...]:
    # Another Java than the one that wrote it ignores the archive.
    return (f"-XX:SharedArchiveFile={libs.class_archive}",) if libs.class_archive.exists() else ()


def _cluster_id_at(bootstrap_servers: str) -> str | None:
    """Return the identity of the cluster that answers at an address; `None` where none does."""
    host, _, port = bootstrap_servers.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return None
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return str(client.list_topics(timeout=2.0).cluster_id)
    except KafkaException:
        return None


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server((_HOST, 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


def _command_line(pid: int) -> str:
    """Return the command line of a living process; empty where there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")  # empty for a zombie
        except OSError:
            return ""
    done = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout if "<defunct>" not in done.stdout else ""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local_kafka", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="fetch Kafka's jars into the cache")
    commands.add_parser("libs", help="print where the jars are")
    for name, text in (("start", "start a broker and wait until it answers"), ("stop", "stop it")):
        commands.add_parser(name, help=text).add_argument("--dir", type=Path, required=True, help="its directory")
    chosen = parser.parse_args(arguments)
    try:
        return {"fetch": _fetch, "libs": _libs, "start": _start, "stop": _stop}[chosen.command](chosen)
    except TagtideError as error:
        sys.stderr.write(f"error ({error.code}): {error}\n" + (f"  hint: {error.hint}\n" if error.hint else ""))
        return 1


def _fetch(_: argparse.Namespace) -> int:
    java_command()
    libs = kafka_libs()
    if not is_fetched(libs):
        sys.stderr.write(f"fetching Kafka {libs.version} from Maven Central (about a minute the first time)\n")
    libs = fetch_libs()
    if not libs.class_archive.exists():
        sys.stderr.write("running it once to archive its classes (10 s)\n")
        train_class_archive(libs)
    sys.stdout.write(f"Kafka {libs.version} is in {libs.directory}\n")
    return 0


def _libs(_: argparse.Namespace) -> int:
    sys.stdout.write(f"{fetch_libs().directory / 'libs'}\n")
    return 0


def _start(chosen: argparse.Namespace) -> int:
    broker = LocalKafka(chosen.dir)
    broker.start()
    sys.stdout.write(f"{broker.bootstrap_servers}\n")
    sys.stderr.write(
        f"Kafka runs; stop it with: python -m deploy.local_kafka stop --dir {shlex.quote(str(chosen.dir))}\n"
    )
    return 0


def _stop(chosen: argparse.Namespace) -> int:
    LocalKafka(chosen.dir).stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
