"""The demo: a simulated store with known truth, run through the whole product in about two minutes.

Simulator -> MQTT broker -> bridge -> edge log -> jobs -> lake -> SQL, each the real thing, with readers and scales in
their vendors' dialects. Only the clock is special: the bridge takes the time at which the simulated network delivered
a publication, not that of this machine, so a trading day passes in minutes and event times still make sense. All
devices share one MQTT connection, so the order of arrival is the order of sending, and the n-th publication that the
bridge receives is the n-th one sent.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console

from analytics.accuracy import unit_accuracy
from analytics.data_directory import DataDirectory
from analytics.journal import Through
from analytics.query import ask, connect
from deploy.assembly import open_runner
from deploy.demo_answers import print_answers
from deploy.demo_progress import Figures, ProgressView
from deploy.local_mqtt import BrokerKind, LocalBroker
from deploy.supervisor import supervise, tagtide_command
from devices.errors import TagtideError, UsageError
from devices.publication import CLOCK_TOPIC, Publication
from ingest.bridge import Bridge, BridgeConfig, BridgeState
from ingest.edge_log import EdgeLog
from ingest.mqtt_url import parse_mqtt_url
from simulators.config import preset
from simulators.day import StoreDay
from simulators.faults import ClockSkew, DarkReader, Duplicate, Fault, Garbled
from simulators.site_toml import site_toml

ITEMS = 1000
"""Units in the store at opening: as many as two cores can follow for a day in two minutes."""
IN_FLIGHT = 400
"""Publications that may be on their way from simulator to edge log: half of what the broker is set to hold at once."""
LOOK_INTERVAL_S = 4.0
"""How often the lake is asked for the figures of the progress view; a look costs about 0.2 s."""
ARRIVAL_TIMEOUT_S = 60.0
"""No publication stored for this long means that broker or bridge is stuck."""
LATENESS_US = 30_000_000
"""How far the closing clock record goes beyond the last publication: more than any step waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """What to run."""

    data: Path
    """Data directory."""
    hours: float = 8.0
    """Length of the trading day."""
    seconds: float = 110.0
    """Shortest wall time for it; a slow machine takes as long as it needs."""
    seed: int = 1
    """Seed of the day."""
    broker: BrokerKind = BrokerKind.AUTO
    """Broker to start."""


@dataclass(slots=True)
class ArrivalClock:
    """The bridge's clock in the demo: when the publication that is being received arrived, in virtual time."""

    times_us: list[int] = field(default_factory=list)
    """Receive times of everything that was sent, in order."""
    received: Callable[[], int] = lambda: 0
    """How many publications the bridge has received before this one."""

    def __call__(self) -> int:
        """Return the virtual time, microseconds since the epoch."""
        number = min(self.received(), len(self.times_us) - 1)
        return self.times_us[number] if number >= 0 else 0


def run_demo(config: DemoConfig, stop: Callable[[], bool]) -> None:
    """Run the demo from start to finish, or until told to stop.

    Raises:
        UsageError: The data directory holds something else.
        TagtideError: A part did not start or got stuck.
    """
    console = Console(highlight=False)
    _prepare(config.data)
    day = StoreDay(preset("demo", seed=config.seed, hours=config.hours, items=ITEMS, faults=_faults(config.hours)))
    site_file = config.data / "site.toml"
    site_file.write_text(site_toml(day.site, comment="The demo's simulated store"), "utf-8")
    data = DataDirectory(config.data)
    log = EdgeLog.open(data.edge)
    with LocalBroker(config.data / "broker", config.broker) as broker:
        _introduce(console, day, broker, config)
        jobs = tagtide_command("jobs", "--site", str(site_file), "--data", str(config.data))
        with _Beside(broker, log, jobs, config.data / "jobs.log") as beside:
            _Conductor(config, day, broker, beside).run(console, stop)
    end_us = max(beside.clock.times_us, default=0) + LATENESS_US
    log.append([Publication(topic=CLOCK_TOPIC, payload=b"", received_us=end_us, qos=0)])
    console.print("[dim]the day is over; landing what is left[/dim]")
    _land_the_rest(day, data, log)
    log.close()
    print_answers(console, config.data, site_file, day)


def _faults(hours: float) -> tuple[Fault, ...]:
    """What goes wrong in the demo's store, as it does in every store."""
    noon_s = hours * 3600 / 2
    return (
        ClockSkew(reader="r2", seconds=3.0),
        DarkReader(reader="r3", from_s=noon_s, until_s=noon_s + 1200),
        Duplicate(share=0.002),
        Garbled(share=0.0005),
    )


def _prepare(data: Path) -> None:
    """Empty the demo's own data of an earlier run; refuse to touch anything else."""
    marker = data / ".tagtide-demo"
    if data.exists() and any(data.iterdir()) and not marker.exists():
        raise UsageError(f"{data} holds something that is not a demo's", hint="give another folder: --data DIR")
    import shutil

    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    marker.touch()


def _introduce(console: Console, day: StoreDay, broker: LocalBroker, config: DemoConfig) -> None:
    site = day.site
    antennas = sum(len(reader.antennas) for reader in site.readers)
    profiles = ", ".join(sorted({reader.profile for reader in site.readers}))
    console.print(
        f"[bold]{site.name}[/bold]: {len(site.zones)} zones, {len(site.readers)} readers ({profiles}) with "
        f"{antennas} antennas, {len(site.shelves)} shelves, {day.goods.count:,} items over the day, seed {config.seed}"
    )
    console.print(
        f"{config.hours:g} hours of trading, {broker.kind} broker on {broker.url}; "
        f"real payloads over MQTT -> bridge -> edge log -> jobs -> lake in {config.data}\n"
    )


class _Beside:
    """Bridge and jobs beside the simulator: the bridge in a thread, since it shares our clock; jobs in a process."""

    def __init__(self, broker: LocalBroker, edge: EdgeLog, jobs: list[str], log: Path) -> None:
        self.clock = ArrivalClock()
        self.bridge = Bridge(BridgeConfig(mqtt_url=parse_mqtt_url(broker.url)), edge, clock=self.clock)
        self.clock.received = lambda: self.bridge.stats.received
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._jobs = jobs
        self._log = log
        self._threads = [
            threading.Thread(target=self._guarded, args=(lambda: self.bridge.run(self._stop),), name="bridge"),
            threading.Thread(target=self._guarded, args=(self._run_jobs,), name="jobs"),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
        while self.bridge.stats.state is not BridgeState.RECEIVING:
            self.check()
            if time.monotonic() > deadline:
                raise TagtideError("the bridge cannot reach the broker", code="demo_stuck")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run_jobs(self) -> None:
        with self._log.open("ab") as log:
            supervise({"jobs": self._jobs}, self._stop.is_set, lambda _: None, log=log)

    def check(self) -> None:
        """Raise what a thread has died of."""
        if self._failure is not None:
            raise self._failure

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
            self._failure = error


class _Conductor:
    """Publishes the day slice by slice, at its pace, never far ahead of the bridge, and shows how it goes."""

    def __init__(self, config: DemoConfig, day: StoreDay, broker: LocalBroker, beside: "_Beside") -> None:
        self._config = config
        self._day = day
        self._bridge = beside.bridge
        self._clock = beside.clock
        self._check = beside.check
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="tagtide-simulator")
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.connect("127.0.0.1", broker.port)

    def run(self, console: Console, stop: Callable[[], bool]) -> None:
        """Publish the whole day."""
        start_us, length_us = self._day.config.start_us, self._day.config.end_us - self._day.config.start_us
        began = time.monotonic()
        looked = began
        self._client.loop_start()
        figures = Figures(start_us=start_us, end_us=self._day.config.end_us)
        try:
            with ProgressView(console, figures) as view:
                for publications in self._day.slices():
                    if stop():
                        break
                    self._publish(publications)
                    share = (self._day.now_us - start_us) / length_us
                    if time.monotonic() - looked > LOOK_INTERVAL_S:
                        self._look(figures)
                        looked = time.monotonic()
                    figures.now_us, figures.publications = self._day.now_us, self._bridge.stats.stored
                    view.update()
                    time.sleep(max(0.0, began + share * self._config.seconds - time.monotonic()))
                self._await(len(self._clock.times_us))
                self._look(figures)
                figures.publications = self._bridge.stats.stored
                view.update()
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def _publish(self, publications: list[Publication]) -> None:
        for publication in publications:
            self._clock.times_us.append(publication.received_us)
            self._client.publish(publication.topic, publication.payload, qos=1, retain=False)
            if len(self._clock.times_us) % 50 == 0:
                self._await(len(self._clock.times_us) - IN_FLIGHT)

    def _await(self, stored: int) -> None:
        """Wait until the bridge has stored so many publications."""
        deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
        while self._bridge.stats.stored < stored:
            self._check()
            if time.monotonic() > deadline:
                raise TagtideError(f"{stored:,} publications were sent and did not arrive", code="demo_stuck")
            time.sleep(0.002)

    def _look(self, figures: Figures) -> None:
        """Ask the lake what it knows by now, and the simulator what is true."""
        if not DataDirectory(self._config.data).lake.is_dir():
            return  # the jobs are still starting
        connection = connect(self._config.data)
        row = ask(connection, _FIGURES).to_pylist()[0]
        figures.reads = row["reads"]
        figures.rejects = row["rejects"]
        if row["as_of"] is None:
            return
        as_of_us = min(round(row["as_of"].timestamp() * 1e6), self._day.now_us)
        truth = self._day.truth_locations(as_of_us)
        stays = ask(connection, "SELECT epc_hex, zone FROM locations WHERE until_time IS NULL").to_pylist()
        ours = {stay["epc_hex"]: stay["zone"] for stay in stays}
        figures.items_on_site = len(truth)
        figures.items_located = sum(epc in truth for epc in ours)
        figures.items_right = sum(truth.get(epc) == zone for epc, zone in ours.items())
        figures.accuracy = row["accuracy"]
        if row["accuracy_as_of"] is not None:
            at_us = min(round(row["accuracy_as_of"].timestamp() * 1e6), self._day.now_us)
            figures.accuracy_true = unit_accuracy(self._day.book(at_us), self._day.truth_counts(at_us))


_FIGURES = """
SELECT (SELECT count(*) FROM reads) AS reads, (SELECT count(*) FROM rejects) AS rejects,
       (SELECT max(as_of_time) FROM locations) AS as_of, accuracy, as_of_time AS accuracy_as_of
FROM (SELECT 1) LEFT JOIN (
    SELECT accuracy, as_of_time FROM inventory WHERE gtin IS NULL AND zone IS NULL ORDER BY as_of_time DESC LIMIT 1
) ON true
"""


def _land_the_rest(day: StoreDay, data: DataDirectory, log: EdgeLog) -> None:
    """Run the jobs once more, here, to the end of the edge log."""
    last, edge_id = log.last_offset, log.edge_id

    def landed(through: Through) -> bool:
        return max((logs.get(edge_id, 0) for logs in through.values()), default=0) >= last

    with closing(open_runner([day.site], data)) as runner:
        runner.run(lambda: False, until=landed)
