"""The edge's daemons: the bridge, and the forwarder to Kafka beside it."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.data_directory import DataDirectory
from deploy.connections import KafkaAccess, MqttAccess
from deploy.logs import Log, log_settings
from deploy.named_files import sites_of
from deploy.reporting import Status
from deploy.start_up import tell_edge_log, tell_subscriptions
from deploy.supervisor import supervise, tagtide_command, tell_started
from deploy.telemetry.bridge_figures import BRIDGE_ROUND_S, bridge_looks
from deploy.telemetry.forward_figures import FORWARD_ROUND_S, forward_looks
from deploy.telemetry.monitoring import Monitoring
from deploy.telemetry.report import Progress
from devices.bulk import TopicDirectory
from devices.documents import PAYLOAD_BYTES_MAX
from devices.events import OnEvent
from devices.site.model import Site
from ingest.bridge import Bridge, BridgeConfig
from ingest.edge_log import EdgeLog
from ingest.limits import EdgeLogLimits
from ingest.receive_clock import ReceiveClock

if TYPE_CHECKING:
    from ingest.forwarder import Forwarder

Stop = Callable[[], bool]


def run_bridge(
    data: DataDirectory,
    site_files: Sequence[Path],
    *,
    mqtt: MqttAccess,
    kafka: KafkaAccess | None,
    subscribe: Sequence[str],
    broker_journal: Path | None = None,
    broker_log: bool = False,
    limits: EdgeLogLimits | None = None,
    payload_bytes_max: int = PAYLOAD_BYTES_MAX,
    drain_mb_s: float | None = None,
    stop: Stop,
    log: Log | None = None,
    monitoring: Monitoring | None = None,
) -> None:
    """Run the bridge until told to stop; with Kafka, keep a forwarder running beside it.

    Raises:
        EdgeLogError: Another bridge has this data directory, or the log is damaged.
        MqttSecurityError: A certificate, key or password file cannot be used.
        TagtideError: The forwarder could not start.
    """
    log = log or Log("bridge")
    config = BridgeConfig(
        mqtt_url=mqtt.url,
        security=mqtt.security,
        topic_filters=tuple(subscribe),
        broker_journal=broker_journal,
        broker_log=broker_log,
        log=limits or EdgeLogLimits(),
        payload_bytes_max=payload_bytes_max,
    )
    with contextlib.closing(EdgeLog.open(data.edge)) as edge:
        edge.claim_writer()  # before anything is started beside it
        tell_edge_log(log, edge, config.log)
        tell_subscriptions(log, config.topic_filters, config.payload_bytes_max)
        tell_started()
        bridge = Bridge(config, edge, clock=ReceiveClock(on_event=log).now_us, on_event=log)
        status = Status(log, lambda: {"publications stored": bridge.stats.stored})
        monitoring = monitoring or Monitoring()
        progress = Progress(BRIDGE_ROUND_S)
        looks = bridge_looks(bridge.stats, config, edge, sites_of(site_files))
        with (
            monitoring.reporting("bridge", progress, looks),
            _forwarder_beside(
                data, site_files, kafka, stop, drain_mb_s=drain_mb_s, log=log, monitoring=monitoring
            ) as forwarder_failed,
        ):

            def stopping() -> bool:
                progress.note()
                held = f" ({bridge.stats.hold_reason})" if bridge.stats.hold_reason else ""
                status.maybe(f"; {bridge.stats.state}{held}")
                return stop() or forwarder_failed()

            bridge.run(stopping)


@contextlib.contextmanager
def _forwarder_beside(
    data: DataDirectory,
    site_files: Sequence[Path],
    kafka: KafkaAccess | None,
    stop: Stop,
    *,
    drain_mb_s: float | None,
    log: Log,
    monitoring: Monitoring,
) -> Iterator[Stop]:
    """Keep a forwarder running in a process of its own; yields what tells whether that has failed for good."""
    if kafka is None:
        yield lambda: False
        return
    sites = [argument for path in site_files for argument in ("--site", str(path))]
    pace = [] if drain_mb_s is None else ["--drain-mb-s", repr(drain_mb_s)]
    command = tagtide_command(
        "forward", *sites, "--data", str(data.root), *kafka.arguments(), *pace, *log_settings().arguments()
    )

    def keep(ended: Stop) -> None:
        supervise({"forward": command}, lambda: stop() or ended(), log, monitoring=monitoring)

    with _beside(keep, "forwarder-supervisor") as failed:
        yield failed


def run_forwarder(
    data: DataDirectory,
    sites: Sequence[Site],
    *,
    kafka: KafkaAccess,
    drain_bytes_per_s: float | None = None,
    stop: Stop,
    log: Log | None = None,
    monitoring: Monitoring | None = None,
) -> None:
    """Forward the edge log to Kafka until told to stop; a backlog drains at a bounded pace where one is given.

    Raises:
        EdgeLogError: The edge log cannot be read.
        ForwardError: Kafka's topics are not as they must be.
    """
    log = log or Log("forward")
    servers = kafka.cluster().bootstrap_servers
    with _opened_forwarder(data, sites, kafka, log, drain_bytes_per_s=drain_bytes_per_s) as (forwarder, edge):
        log.tell("forwarder_started", f"from the edge log in {data.edge} to Kafka at {servers}")
        tell_started()
        stats = forwarder.stats
        status = Status(log, lambda: {"publications forwarded": stats.publications, "rows": sum(stats.rows.values())})
        progress = Progress(FORWARD_ROUND_S)

        def stopping() -> bool:
            progress.note()
            status.maybe()
            return stop()

        with (monitoring or Monitoring()).reporting("forward", progress, forward_looks(stats, edge, servers)):
            forwarder.run(stopping)
    log.tell("forwarder_stopped", f"stopped; Kafka has everything up to edge offset {stats.cursor}")


@contextlib.contextmanager
def forwarding(
    data: DataDirectory, sites: Sequence[Site], kafka: KafkaAccess | None, on_event: OnEvent
) -> Iterator[Stop]:
    """Forward in a thread while the block runs, as fast as it goes; nothing where `kafka` is `None`.

    Yields:
        What tells whether forwarding has failed for good: nothing more will come out of Kafka then.

    Raises:
        ForwardError: Kafka's topics are not as they must be.
    """
    if kafka is None:
        yield lambda: False
        return
    with (
        _opened_forwarder(data, sites, kafka, on_event) as (forwarder, _),
        _beside(forwarder.run, "forwarder") as failed,
    ):
        yield failed


@contextlib.contextmanager
def _beside(run: Callable[[Stop], None], name: str) -> Iterator[Stop]:
    """Run something in a thread while the block runs, and raise what it died of when the block ends."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            run(ended.is_set)
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread
            failures.append(error)

    thread = threading.Thread(target=guarded, name=name)
    thread.start()
    try:
        yield lambda: bool(failures)
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _opened_forwarder(
    data: DataDirectory,
    sites: Sequence[Site],
    kafka: KafkaAccess,
    on_event: OnEvent,
    *,
    drain_bytes_per_s: float | None = None,
) -> Iterator[tuple["Forwarder", EdgeLog]]:
    from ingest.forward_report import ForwarderConfig
    from ingest.forwarder import Forwarder

    config = ForwarderConfig(cluster=kafka.cluster(), drain_bytes_per_s=drain_bytes_per_s)
    with contextlib.closing(EdgeLog.open(data.edge)) as edge:
        yield Forwarder(config, edge, TopicDirectory.of(sites), on_event=on_event), edge
