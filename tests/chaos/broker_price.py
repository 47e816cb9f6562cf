"""What it costs Mosquitto to keep what it acknowledges: publications a second and the wait for a PUBACK, by setting.

```
python -m tests.chaos.broker_price
```
"""

import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local_mqtt import BrokerKind, LocalBroker
from deploy.supervisor import tagtide_command
from tests.chaos.publications import SITE_TOML
from tests.journal_plugin import built, plugin_settings

WINDOW = 20
"""Unacknowledged publications of one device, paho's default."""

SECONDS = 8.0
"""How long each is measured."""

_ON_CHANGES = ["autosave_on_changes true"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured."""

    name: str
    devices: int
    rate_per_s: float
    payload_bytes: int
    away: bool = False
    """Whether the bridge is away, so that the broker's queue grows."""


@dataclass(slots=True)
class _Sender:
    connection: socket.socket
    sent: int = 0
    due_at: float = 0.0
    waiting: dict[int, float] = field(default_factory=dict)


CASES = (
    Case(name="a store: 20 devices, 200/s of 5 kB", devices=20, rate_per_s=10, payload_bytes=5000),
    Case(name="the same, bridge away", devices=20, rate_per_s=10, payload_bytes=5000, away=True),
    Case(name="flat out: 8 devices, 300 B", devices=8, rate_per_s=1e6, payload_bytes=300),
)


def main() -> int:
    """Measure everything and print a table."""
    _tell("| load | setting | publications/s | PUBACK, median | 99 % |\n|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="tagtide-price-") as name:
        plugin = built(Path(name))
        for number, case in enumerate(CASES):
            for setting in ("as shipped", "journal", "journal, sync true", "autosave_on_changes true"):
                directory = Path(name) / f"{number} {setting}".replace(" ", "-").replace(",", "")
                _tell(f"| {case.name} | {setting} | {_measured(case, setting, directory, plugin)} |")
    return 0


def _measured(case: Case, setting: str, directory: Path, plugin: Path) -> str:
    journal = directory / "journal"
    settings = plugin_settings(plugin, journal, sync="sync" in setting) if "journal" in setting else []
    broker = _Rewritten(directory / "mosquitto", settings, _ON_CHANGES if "changes" in setting else [])
    with broker:
        bridge = _bridge(broker, directory)
        try:
            if case.away:
                bridge.kill()
            waits = _publish_for(SECONDS, case, broker.port)
        finally:
            bridge.kill()
            bridge.wait()
    waits.sort()
    median_ms, high_ms = (waits[len(waits) * share // 100] * 1000 for share in (50, 99))
    return f"{len(waits) / SECONDS:,.0f} | {median_ms:.1f} ms | {high_ms:.0f} ms"


class _Rewritten(LocalBroker):
    """The shipped settings, some of them replaced."""

    def __init__(self, directory: Path, settings: Sequence[str], replaced: Sequence[str]) -> None:
        super().__init__(directory, BrokerKind.MOSQUITTO, settings=settings)
        self._replaced = replaced

    def _command(self) -> list[str]:
        command = super()._command()
        text = self.configuration.read_text()
        for line in self._replaced:
            text = re.sub(rf"(?m)^{line.split()[0]} .*$", line, text)
        self.configuration.write_text(text)
        return command


def _bridge(broker: LocalBroker, directory: Path) -> subprocess.Popen[bytes]:
    site, log = directory / "site.toml", directory / "bridge.log"
    site.write_text(SITE_TOML)
    words = ["bridge", "--site", str(site), "--data", str(directory / "data"), "--mqtt", broker.url]
    with log.open("wb") as sink:
        bridge = subprocess.Popen(tagtide_command(*words), stdout=sink, stderr=sink)
    deadline = time.monotonic() + 60
    while "connected to" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bridge


def _publish_for(seconds: float, case: Case, port: int) -> list[float]:
    """Publish and return how long each publication waited for its PUBACK, seconds."""
    senders = {}
    for number in range(case.devices):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"price-{number}".encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
        connection.sendall(b"\x10" + bytes([len(body)]) + body)
        connection.recv(4)
        senders[connection] = _Sender(connection)
    waits: list[float] = []
    began = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        for sender in senders.values():
            _send_due(sender, case, now)
        readable, _, _ = select.select(list(senders), [], [], 0.002)
        for connection in readable:
            _take_acknowledgements(senders[connection], waits)
    for connection in senders:
        connection.close()
    return waits


def _send_due(sender: _Sender, case: Case, now: float) -> None:
    while len(sender.waiting) < WINDOW and now >= sender.due_at:
        sender.sent += 1
        packet_id = sender.sent % 65535 + 1
        body = b"\x00\x07price/1" + packet_id.to_bytes(2, "big") + b"x" * case.payload_bytes
        sender.connection.sendall(b"\x32" + bytes([len(body) % 128 | 128, len(body) // 128]) + body)
        sender.waiting[packet_id] = now
        sender.due_at = max(sender.due_at + 1 / case.rate_per_s, now - 0.05)


def _take_acknowledgements(sender: _Sender, waits: list[float]) -> None:
    data = sender.connection.recv(65536)
    now = time.monotonic()
    for at in range(0, len(data) // 4 * 4, 4):
        sent_at = sender.waiting.pop(int.from_bytes(data[at + 2 : at + 4], "big"), None)
        if sent_at is not None:
            waits.append(now - sent_at)


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
