"""`tagtide up`, `bridge`, `forward`, `jobs`, `demo`: what runs and goes on running."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.broker_journal import BrokerJournalFolder, journal_arguments
from deploy.commands.connections import (
    BrokerLog,
    KafkaConfigFile,
    MqttCa,
    MqttCert,
    MqttKey,
    MqttPasswordFile,
    kafka_access,
    log_arguments,
    mqtt_access,
)
from deploy.commands.edge_limits import (
    DEFAULT_BACKLOG_DAYS,
    DEFAULT_DISK_FREE_GIB,
    DEFAULT_DRAIN_MB_S,
    DEFAULT_EDGE_LOG_GIB,
    DEFAULT_EDGE_LOG_HOURS,
    DEFAULT_PAYLOAD_MIB,
    BacklogDays,
    DiskFreeGib,
    DrainMbS,
    EdgeLogGib,
    EdgeLogHours,
    PayloadMib,
    arguments_of,
    drain_bytes_per_s,
    limits_of,
)
from deploy.commands.options import (
    DEFAULT_MQTT,
    DEFAULT_SUBSCRIBE,
    Data,
    Http,
    HttpTokenFile,
    Kafka,
    LogLevel,
    LogStyle,
    Mqtt,
    RequiredKafka,
    SiteFiles,
    Subscribe,
    stop_on_signals,
)
from deploy.local_mqtt import BrokerKind
from deploy.logs import Log, LogFormat, LogSettings, log_settings, set_up_logs
from deploy.named_files import data_at, sites_of
from deploy.start_up import tell_sites, tell_versions
from deploy.telemetry.served import served
from devices.events import EventLevel
from devices.site.model import Site


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("demo")(demo)
    app.command("up")(up)
    app.command("bridge")(bridge)
    app.command("forward")(forward)
    app.command("jobs")(jobs)


def demo(
    data: Annotated[Path, typer.Option("--data", "-d", metavar="DIR", help="Where the demo keeps its data.")] = Path(
        "demo-data"
    ),
    hours: Annotated[float, typer.Option(min=0.1, max=24, metavar="H", help="Length of the trading day.")] = 8.0,
    seconds: Annotated[float, typer.Option(min=1, metavar="S", help="Shortest time to run it in.")] = 110.0,
    seed: Annotated[int, typer.Option(metavar="N", help="One seed gives one day.")] = 1,
    broker: Annotated[BrokerKind, typer.Option(help="MQTT broker to start.")] = BrokerKind.AUTO,
) -> None:
    """Run a simulated store for one accelerated trading day, through everything, and show what people ask.

    No Kafka, Java or Docker is needed; Mosquitto is used if it is there, an embedded broker otherwise. The data is
    kept, to be asked further. Two hours of trading in half a minute:

    ```text
    tagtide demo --hours 2 --seconds 30
    ```
    """
    from deploy.demo import DemoConfig, run_demo

    data_at(data)
    run_demo(DemoConfig(data=data, hours=hours, seconds=seconds, seed=seed, broker=broker), stop_on_signals())


def up(
    site: SiteFiles,
    data: Data,
    mqtt: Mqtt = DEFAULT_MQTT,
    mqtt_ca: MqttCa = None,
    mqtt_cert: MqttCert = None,
    mqtt_key: MqttKey = None,
    mqtt_password_file: MqttPasswordFile = None,
    kafka: Kafka = None,
    kafka_config: KafkaConfigFile = None,
    subscribe: Subscribe = DEFAULT_SUBSCRIBE,
    broker_journal: BrokerJournalFolder = None,
    broker_log: BrokerLog = False,
    edge_log_gib: EdgeLogGib = DEFAULT_EDGE_LOG_GIB,
    backlog_days: BacklogDays = DEFAULT_BACKLOG_DAYS,
    disk_free_gib: DiskFreeGib = DEFAULT_DISK_FREE_GIB,
    payload_mib: PayloadMib = DEFAULT_PAYLOAD_MIB,
    edge_log_hours: EdgeLogHours = DEFAULT_EDGE_LOG_HOURS,
    drain_mb_s: DrainMbS = DEFAULT_DRAIN_MB_S,
    http: Http = None,
    http_token_file: HttpTokenFile = None,
    log_format: LogStyle = LogFormat.TEXT,
    log_level: LogLevel = EventLevel.INFO,
) -> None:
    """Run bridge and jobs of one or several sites, until interrupted.

    Without --kafka the jobs read the edge log of this machine; with it the edge log is forwarded to Kafka, and the
    jobs read that. A broker that is not there yet is waited for.

    ```text
    tagtide up --site store.toml --data DIR --mqtt mqtt://broker:1883
    ```
    """
    from deploy.supervisor import supervise, tagtide_command

    stop = stop_on_signals()
    loaded = sites_of(site)
    log = _log("up", loaded, log_format, log_level)
    broker = mqtt_access(mqtt, ca=mqtt_ca, cert=mqtt_cert, key=mqtt_key, password_file=mqtt_password_file)
    cluster = kafka_access(kafka, kafka_config)
    data_at(data)
    serving = served(http, http_token_file, ["bridge", "jobs", *(["forward"] if kafka else [])], log)
    tell_versions(log)
    through = f"; Kafka at {kafka}" if kafka else ""
    log.tell("up_started", f"{_names(loaded)}; broker {broker.url}{through}; data in {data.absolute()}")
    tell_sites(log, loaded, site)
    sites = [argument for path in site for argument in ("--site", str(path))]
    common = [*sites, "--data", str(data), *log_settings().arguments()]
    if cluster is not None:
        common += cluster.arguments()
    filters = [argument for text in subscribe for argument in ("--subscribe", text)]
    limits = limits_of(edge_log_gib, backlog_days, disk_free_gib, edge_log_hours)
    bounds = [*arguments_of(limits), "--payload-mib", repr(payload_mib), "--drain-mb-s", repr(drain_mb_s)]
    commands = {
        "bridge": tagtide_command(
            "bridge",
            *common,
            *broker.arguments(),
            *filters,
            *journal_arguments(broker_journal),
            *log_arguments(broker_log),
            *bounds,
        ),
        "jobs": tagtide_command("jobs", *common),
    }
    with serving as monitoring:
        supervise(commands, stop, log, monitoring=monitoring)
    log.tell("up_stopped", "stopped")


def bridge(
    data: Data,
    site: SiteFiles,
    mqtt: Mqtt = DEFAULT_MQTT,
    mqtt_ca: MqttCa = None,
    mqtt_cert: MqttCert = None,
    mqtt_key: MqttKey = None,
    mqtt_password_file: MqttPasswordFile = None,
    kafka: Kafka = None,
    kafka_config: KafkaConfigFile = None,
    subscribe: Subscribe = DEFAULT_SUBSCRIBE,
    broker_journal: BrokerJournalFolder = None,
    broker_log: BrokerLog = False,
    edge_log_gib: EdgeLogGib = DEFAULT_EDGE_LOG_GIB,
    backlog_days: BacklogDays = DEFAULT_BACKLOG_DAYS,
    disk_free_gib: DiskFreeGib = DEFAULT_DISK_FREE_GIB,
    payload_mib: PayloadMib = DEFAULT_PAYLOAD_MIB,
    edge_log_hours: EdgeLogHours = DEFAULT_EDGE_LOG_HOURS,
    drain_mb_s: DrainMbS = DEFAULT_DRAIN_MB_S,
    http: Http = None,
    http_token_file: HttpTokenFile = None,
    log_format: LogStyle = LogFormat.TEXT,
    log_level: LogLevel = EventLevel.INFO,
) -> None:
    """Store what MQTT brings in the edge log and acknowledge it; with --kafka, forward it too.

    PUBACK is sent only after the publication is on disk. Broker or Kafka away for hours is normal.

    ```text
    tagtide bridge --site store.toml --data DIR --mqtt mqtt://broker
    ```
    """
    from deploy.bridging import run_bridge

    log = _log("bridge", sites_of(site), log_format, log_level)
    broker = mqtt_access(
        mqtt, ca=mqtt_ca, cert=mqtt_cert, key=mqtt_key, password_file=mqtt_password_file, tell=_unsafe(log)
    )
    stop = stop_on_signals()
    with served(http, http_token_file, ["bridge", *(["forward"] if kafka else [])], log) as monitoring:
        run_bridge(
            data_at(data),
            site,
            mqtt=broker,
            kafka=kafka_access(kafka, kafka_config),
            subscribe=subscribe,
            broker_journal=broker_journal,
            broker_log=broker_log,
            limits=limits_of(edge_log_gib, backlog_days, disk_free_gib, edge_log_hours),
            payload_bytes_max=round(payload_mib * 2**20),
            drain_mb_s=drain_mb_s,
            stop=stop,
            log=log,
            monitoring=monitoring,
        )


def forward(
    data: Data,
    site: SiteFiles,
    kafka: RequiredKafka,
    kafka_config: KafkaConfigFile = None,
    drain_mb_s: DrainMbS = DEFAULT_DRAIN_MB_S,
    http: Http = None,
    http_token_file: HttpTokenFile = None,
    log_format: LogStyle = LogFormat.TEXT,
    log_level: LogLevel = EventLevel.INFO,
) -> None:
    """Decode the edge log and forward it to Kafka (what `bridge --kafka` runs beside itself).

    ```text
    tagtide forward --site store.toml --data DIR --kafka kafka-1:9092
    ```
    """
    from deploy.bridging import run_forwarder

    sites = sites_of(site)
    log = _log("forward", sites, log_format, log_level)
    cluster = kafka_access(kafka, kafka_config, tell=_unsafe(log))
    assert cluster is not None, "the option is required"
    stop = stop_on_signals()
    with served(http, http_token_file, ["forward"], log) as monitoring:
        run_forwarder(
            data_at(data),
            sites,
            kafka=cluster,
            drain_bytes_per_s=drain_bytes_per_s(drain_mb_s),
            stop=stop,
            log=log,
            monitoring=monitoring,
        )


def jobs(
    site: SiteFiles,
    data: Data,
    kafka: Kafka = None,
    kafka_config: KafkaConfigFile = None,
    http: Http = None,
    http_token_file: HttpTokenFile = None,
    log_format: LogStyle = LogFormat.TEXT,
    log_level: LogLevel = EventLevel.INFO,
) -> None:
    """Compute locations, inventory, shelves and device health, and land everything in the lake.

    Reads the edge log below --data, or Kafka where --kafka is given. One process at a time per --data.

    ```text
    tagtide jobs --site a.toml --site b.toml --data DIR --kafka kafka-1:9092
    ```
    """
    from deploy.jobs import run_jobs

    stop = stop_on_signals()
    sites = sites_of(site)
    log = _log("jobs", sites, log_format, log_level)
    cluster = kafka_access(kafka, kafka_config, tell=_unsafe(log))
    with served(http, http_token_file, ["jobs"], log) as monitoring:
        run_jobs(data_at(data), sites, kafka=cluster, stop=stop, log=log, monitoring=monitoring)


def _log(component: str, sites: Sequence[Site], style: LogFormat, level: EventLevel) -> Log:
    """Set up this process's logs and return the one of its component."""
    set_up_logs(LogSettings(style=style, level=level))
    return Log(component, site=sites[0].id if len(sites) == 1 else None)


def _unsafe(log: Log) -> Callable[[str], None]:
    """Return what logs a warning about a connection."""
    return lambda text: log.tell("connection_unsafe", text.removeprefix("warning: "), level=EventLevel.WARNING)


def _names(sites: Sequence[Site]) -> str:
    return f"{'site' if len(sites) == 1 else 'sites'} {', '.join(site.id for site in sites)}"
