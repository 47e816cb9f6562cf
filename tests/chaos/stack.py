"""Everything of one site on this machine, with a handle on each part: brokers, daemons, links, disks, devices.

```
devices --link--> Mosquitto --link--> bridge --> edge log --> forwarder --link--> Kafka --link--> jobs --> lake
                                         (embedded: `tagtide up`, whose jobs read the edge log)
```
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from string import Template

from deploy.commands.broker_journal import journal_arguments
from deploy.kafka_libs import KafkaLibs
from deploy.local_kafka import LocalKafka
from deploy.local_mqtt import BrokerKind, LocalBroker, free_port, mosquitto_executable
from deploy.supervisor import tagtide_command
from ingest.edge_log import FILE_NAME
from tests.chaos.device import Publisher
from tests.chaos.ledger import Ledger
from tests.chaos.links import Link
from tests.chaos.processes import Service, pids_of, signal_all, within
from tests.chaos.publications import DEVICES, SITE_TOML
from tests.journal_plugin import built, plugin_settings

START_TIMEOUT_S = 240.0
"""How long anything may take to come up on a busy machine."""

STREAMS = ("reads", "readings", "device_events", "business_events", "rejects")
"""The lake's tables that hold what devices sent."""

_BALLAST = "ballast"
_BALLAST_PIECE = b"\0" * 2**20


class Length(StrEnum):
    """Which way a read goes to the lake."""

    EMBEDDED = "embedded"
    """`tagtide up`: one box."""
    KAFKA = "kafka"
    """`tagtide bridge --kafka` and `tagtide jobs --kafka`."""


class Part(StrEnum):
    """What can be killed."""

    BRIDGE = "bridge"
    FORWARDER = "forwarder"
    JOBS = "jobs"
    MOSQUITTO = "mosquitto"
    KAFKA = "kafka"


class Stack:
    """The site's machines and wires, started by `start`, ended by `close`."""

    def __init__(
        self,
        directory: Path,
        length: Length,
        *,
        seed: int,
        rate_per_s: float,
        disk_mib: int,
        libs: KafkaLibs | None,
        journaled: bool,
    ) -> None:
        """Lay everything out; nothing runs yet.

        Args:
            directory: Where all of it keeps its files.
            length: Embedded, or through Kafka.
            seed: Of the devices' pauses.
            rate_per_s: Publications a second of each device.
            disk_mib: Size of the small disks below edge log and lake, MiB; 0 for the disk of `directory`.
            libs: Kafka's jars, where they are known.
            journaled: Whether Mosquitto has its journal plugin.
        """
        self.directory = directory
        """Where all of it keeps its files."""
        self.length = length
        """Embedded, or through Kafka."""
        directory.mkdir(parents=True)
        self.edge = directory / "edge-data"
        """Data directory of the bridge."""
        self.lake = directory / "jobs-data" if length is Length.KAFKA else self.edge
        """Data directory of the jobs."""
        self.disks = [SmallDisk(path, disk_mib) for path in dict.fromkeys((self.edge, self.lake))]
        """Disks below edge log and lake; one where both are in one directory."""
        self.journal = directory / "broker-journal" if journaled else None
        """Folder of Mosquitto's journal."""
        settings = plugin_settings(built(directory), self.journal) if self.journal else []
        self.mosquitto = LocalBroker(directory / "mosquitto", BrokerKind.MOSQUITTO, settings=settings)
        self.links = {
            "devices-mosquitto": Link("devices-mosquitto", self.mosquitto.port),
            "bridge-mosquitto": Link("bridge-mosquitto", self.mosquitto.port),
        }
        """Every wire by name."""
        self.kafka: ProxiedKafka | None = None
        if length is Length.KAFKA:
            self.kafka = ProxiedKafka(directory / "kafka", libs=libs)
            self.links["forwarder-kafka"] = Link("forwarder-kafka", self.kafka.edge_port)
            self.links["jobs-kafka"] = Link("jobs-kafka", self.kafka.jobs_port)
            self.kafka.edge_link_port = self.links["forwarder-kafka"].port
            self.kafka.jobs_link_port = self.links["jobs-kafka"].port
        self.site_file = directory / "site.toml"
        self.site_file.write_text(SITE_TOML)
        self.services = self._services()
        """What systemd would run."""
        self.ledger = Ledger(directory / "acknowledged.jsonl")
        """What was acknowledged to devices."""
        port = self.links["devices-mosquitto"].port
        self.devices = [Publisher(each, port, self.ledger, rate_per_s=rate_per_s, seed=seed) for each in DEVICES]
        """Who publishes."""

    @property
    def parts(self) -> list[Part]:
        """What can be killed here."""
        return list(Part) if self.kafka else [Part.BRIDGE, Part.JOBS, Part.MOSQUITTO]

    def start(self) -> None:
        """Start everything, and the devices once the broker has saved the bridge's session.

        Before that first save a killed broker would forget the session, and with it everything (docs/reliability.md).
        """
        for disk in self.disks:
            disk.mount()
        self.mosquitto.start()
        if self.kafka is not None:
            self.kafka.start()
        for service in self.services:
            service.start()
        self.await_connections(0)
        connected = time.time()
        saved = self.directory / "mosquitto" / "mosquitto.db"
        if not within(START_TIMEOUT_S, lambda: saved.exists() and saved.stat().st_mtime > connected):
            raise TimeoutError("Mosquitto has saved nothing")
        for device in self.devices:
            device.start()

    def connections(self) -> int:
        """How often the bridge has said that it is connected to the broker."""
        said = self.services[0].said()
        return said.count("connected to mqtt://") - said.count("disconnected to mqtt://")

    def await_connections(self, more_than: int) -> None:
        """Wait until the bridge has been connected more often than so."""
        if not within(START_TIMEOUT_S, lambda: self.connections() > more_than):
            raise TimeoutError(f"the bridge did not connect:\n{self.services[0].said()[-2000:]}")

    def stored_publications(self) -> int:
        """Return how many publications the edge log holds, our own clock records aside; 0 while it cannot be read."""
        with contextlib.suppress(Exception):
            source = f"file:{self.edge / 'edge' / FILE_NAME}?mode=ro"
            with contextlib.closing(sqlite3.connect(source, uri=True, timeout=1.0)) as log:
                (count,) = log.execute("SELECT count(*) FROM publications WHERE topic NOT LIKE '$%'").fetchone()
                return int(count)
        return 0

    def commits(self) -> int:
        """Return how many commits of the streams the lake lists now."""
        return sum(1 for name in STREAMS for _ in (self.lake / "lake" / name / "_delta_log").glob("*.json"))

    def pids(self, part: Part) -> list[int]:
        """Return the processes of a part that run now."""
        if part is Part.MOSQUITTO:
            return pids_of([str(mosquitto_executable())], self.directory)
        if part is Part.KAFKA:
            assert self.kafka is not None
            pid = self.kafka.pid
            return [] if pid is None else [pid]
        role = {Part.BRIDGE: "bridge", Part.FORWARDER: "forward", Part.JOBS: "jobs"}[part]
        return pids_of(["deploy.cli", role], self.directory)

    def kill(self, *parts: Part) -> None:
        """End parts with SIGKILL, as nearly at once as one process can; supervisors start some of them again."""
        victims = [pid for part in parts for pid in self.pids(part)]
        signal_all(victims, signal.SIGKILL)
        if Part.MOSQUITTO in parts:
            self.mosquitto.kill()
        if Part.KAFKA in parts and self.kafka is not None:
            self.kafka.kill()

    def restore(self) -> None:
        """Heal every link and disk, let everything go on, start what is down."""
        for link in self.links.values():
            link.heal()
        for disk in self.disks:
            disk.relieve()
        for part in self.parts:
            signal_all(self.pids(part), signal.SIGCONT)
        if not self.pids(Part.MOSQUITTO):
            self.mosquitto.start()
        if self.kafka is not None:
            self.kafka.start()
        for service in self.services:
            service.start()

    def check(self) -> None:
        """Go on only if every thread of the harness is well.

        Raises:
            HarnessError: One has died.
        """
        for link in self.links.values():
            link.check()
        for service in self.services:
            service.check()
        for device in self.devices:
            device.check()

    def close(self) -> None:
        """End everything that was started, however far that came."""
        with contextlib.suppress(Exception):
            self.restore()
        for device in self.devices:
            if device.is_alive():
                device.end()
        self.ledger.close()
        for service in self.services:
            service.end()
        for part in (Part.BRIDGE, Part.FORWARDER, Part.JOBS):
            signal_all(self.pids(part), signal.SIGKILL)
        self.mosquitto.stop()
        if self.kafka is not None:
            self.kafka.stop()
        for link in self.links.values():
            link.close()
        for disk in self.disks:
            disk.keep()

    def _services(self) -> list[Service]:
        site = ["--site", str(self.site_file)]
        mqtt = ["--mqtt", f"mqtt://127.0.0.1:{self.links['bridge-mosquitto'].port}"]
        small = ["--disk-free-gib", "0", *journal_arguments(self.journal)]
        edge, lake = ["--data", str(self.edge)], ["--data", str(self.lake)]
        if self.length is Length.EMBEDDED:
            commands = {"up": tagtide_command("up", *site, *edge, *mqtt, *small)}
        else:
            forwarder = ["--kafka", f"127.0.0.1:{self.links['forwarder-kafka'].port}"]
            jobs = ["--kafka", f"127.0.0.1:{self.links['jobs-kafka'].port}"]
            commands = {
                "bridge": tagtide_command("bridge", *site, *edge, *mqtt, *small, *forwarder),
                "jobs": tagtide_command("jobs", *site, *lake, *jobs),
            }
        return [Service(name, command, self.directory / f"{name}.log") for name, command in commands.items()]


class ProxiedKafka(LocalKafka):
    """A broker that tells its clients to come through a link: one for the edge, one for the jobs."""

    def __init__(self, directory: Path, *, libs: KafkaLibs | None) -> None:
        super().__init__(directory, libs=libs)
        self.edge_port, self.jobs_port = free_port(), free_port()
        self.edge_link_port = self.jobs_link_port = 0

    @property
    def pid(self) -> int | None:
        """The broker's process, while it lives."""
        return self._pid()

    def _format(self, java: str, libs: KafkaLibs) -> None:
        super()._format(java, libs)
        ports = {
            "edge": self.edge_port,
            "jobs": self.jobs_port,
            "edge_link": self.edge_link_port,
            "jobs_link": self.jobs_link_port,
        }
        lines = self._settings.read_text().splitlines()
        lines = [line + Template(_MORE.get(line.partition("=")[0], "")).substitute(ports) for line in lines]
        self._settings.write_text("\n".join(lines) + "\n")


_MORE = {
    "listeners": ",EDGE://127.0.0.1:$edge,JOBS://127.0.0.1:$jobs",
    "advertised.listeners": ",EDGE://127.0.0.1:$edge_link,JOBS://127.0.0.1:$jobs_link",
    "listener.security.protocol.map": ",EDGE:PLAINTEXT,JOBS:PLAINTEXT",
}
"""What is added to settings of the shipped template."""


class SmallDisk:
    """A file system of its own below a directory (Linux, root), so that it can be filled; else just the directory."""

    def __init__(self, path: Path, size_mib: int) -> None:
        self.path = path
        """Where it is mounted."""
        self._size_mib = size_mib
        self.is_small = False
        """Whether it is one."""

    def mount(self) -> None:
        """Mount it where that is asked for and allowed."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self._size_mib and can_mount():
            options = f"size={self._size_mib}m"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "chaos", str(self.path)], check=True)
            self.is_small = True

    def fill(self) -> None:
        """Leave no byte free."""
        with contextlib.suppress(OSError), (self.path / _BALLAST).open("ab", buffering=0) as ballast:
            while ballast.write(_BALLAST_PIECE):
                pass
        with contextlib.suppress(OSError), (self.path / _BALLAST).open("ab", buffering=0) as ballast:
            while ballast.write(b"\0" * 4096):
                pass

    def relieve(self) -> None:
        """Give the room back."""
        (self.path / _BALLAST).unlink(missing_ok=True)

    def keep(self) -> None:
        """Copy what is on it to the disk below, and unmount it."""
        if not self.is_small:
            return
        copy = self.path.with_name(self.path.name + ".copy")
        subprocess.run(["cp", "-a", str(self.path), str(copy)], check=False)
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        self.is_small = False
        with contextlib.suppress(OSError):
            self.path.rmdir()
            copy.rename(self.path)


def can_mount() -> bool:
    """Whether this process may mount a file system."""
    if os.geteuid() != 0 or not Path("/proc/self/status").exists():
        return False
    capabilities = next(
        (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:")), "CapEff: 0"
    )
    return bool(int(capabilities.split()[1], 16) & 1 << 21)  # CAP_SYS_ADMIN


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Run a stack while the block runs."""
    try:
        stack.start()
        yield stack
    finally:
        stack.close()
