"""`tagtide up`, `bridge`, `forward`, `jobs`, `demo`: what runs and goes on running."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.connections import (
    KafkaConfigFile,
    MqttCa,
    MqttCert,
    MqttKey,
    MqttPasswordFile,
    kafka_access,
    mqtt_access,
)
from deploy.commands.edge_limits import (
    DEFAULT_BACKLOG_DAYS,
    DEFAULT_DISK_FREE_GIB,
    DEFAULT_EDGE_LOG_GIB,
    DEFAULT_EDGE_LOG_HOURS,
    BacklogDays,
    DiskFreeGib,
    EdgeLogGib,
    EdgeLogHours,
    arguments_of,
    limits_of,
)
from deploy.commands.options import (
    DEFAULT_MQTT,
    DEFAULT_SUBSCRIBE,
    Data,
    Http,
    HttpTokenFile,
    Kafka,
    Mqtt,
    RequiredKafka,
    SiteFiles,
    Subscribe,
    stop_on_signals,
)
from deploy.local_mqtt import BrokerKind
from deploy.named_files import data_at, sites_of
from deploy.reporting import Status, teller
from deploy.telemetry.served import served
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
    edge_log_gib: EdgeLogGib = DEFAULT_EDGE_LOG_GIB,
    backlog_days: BacklogDays = DEFAULT_BACKLOG_DAYS,
    disk_free_gib: DiskFreeGib = DEFAULT_DISK_FREE_GIB,
    edge_log_hours: EdgeLogHours = DEFAULT_EDGE_LOG_HOURS,
    http: Http = None,
    http_token_file: HttpTokenFile = None,
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
    tell = teller("up")
    broker = mqtt_access(mqtt, ca=mqtt_ca, cert=mqtt_cert, key=mqtt_key, password_file=mqtt_password_file)
    cluster = kafka_access(kafka, kafka_config)
    told = _names(sites_of(site))
    data_at(data)
    tell(f"{told}; broker {broker.url}{f'; Kafka at {kafka}' if kafka else ''}; data in {data.absolute()}")
    sites = [argument for path in site for argument in ("--site", str(path))]
    common = [*sites, "--data", str(data)]
    if cluster is not None:
        common += cluster.arguments()
    filters = [argument for text in subscribe for argument in ("--subscribe", text)]
    limits = limits_of(edge_log_gib, backlog_days, disk_free_gib, edge_log_hours)
    commands = {
        "bridge": tagtide_command("bridge", *common, *broker.arguments(), *filters, *arguments_of(limits)),
        "jobs": tagtide_command("jobs", *common),
    }
    with served(http, http_token_file, [*commands, *(["forward"] if kafka else [])], tell) as monitoring:
        supervise(commands, stop, tell, monitoring=monitoring)
    tell("stopped")


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
    edge_log_gib: EdgeLogGib = DEFAULT_EDGE_LOG_GIB,
    backlog_days: BacklogDays = DEFAULT_BACKLOG_DAYS,
    disk_free_gib: DiskFreeGib = DEFAULT_DISK_FREE_GIB,
    edge_log_hours: EdgeLogHours = DEFAULT_EDGE_LOG_HOURS,
    http: Http = None,
    http_token_file: HttpTokenFile = None,
) -> None:
    """Store what MQTT brings in the edge log and acknowledge it; with --kafka, forward it too.

    PUBACK is sent only after the publication is on disk. Broker or Kafka away for hours is normal.

    ```text
    tagtide bridge --site store.toml --data DIR --mqtt mqtt://broker
    ```
    """
    from deploy.bridging import run_bridge

    sites_of(site)
    broker = mqtt_access(
        mqtt, ca=mqtt_ca, cert=mqtt_cert, key=mqtt_key, password_file=mqtt_password_file, tell=teller("bridge")
    )
    stop = stop_on_signals()
    with served(http, http_token_file, ["bridge", *(["forward"] if kafka else [])], teller("bridge")) as monitoring:
        run_bridge(
            data_at(data),
            site,
            mqtt=broker,
            kafka=kafka_access(kafka, kafka_config),
            subscribe=subscribe,
            limits=limits_of(edge_log_gib, backlog_days, disk_free_gib, edge_log_hours),
            stop=stop,
            monitoring=monitoring,
        )


def forward(
    data: Data,
    site: SiteFiles,
    kafka: RequiredKafka,
    kafka_config: KafkaConfigFile = None,
) -> None:
    """Decode the edge log and forward it to Kafka (what `bridge --kafka` runs beside itself).

    ```text
    tagtide forward --site store.toml --data DIR --kafka kafka-1:9092
    ```
    """
    from deploy.bridging import run_forwarder

    cluster = kafka_access(kafka, kafka_config, tell=teller("forward"))
    assert cluster is not None, "the option is required"
    run_forwarder(data_at(data), sites_of(site), kafka=cluster, stop=stop_on_signals())


def jobs(site: SiteFiles, data: Data, kafka: Kafka = None, kafka_config: KafkaConfigFile = None) -> None:
    """Compute locations, inventory, shelves and device health, and land everything in the lake.

    Reads the edge log below --data, or Kafka where --kafka is given. One process at a time per --data.

    ```text
    tagtide jobs --site a.toml --site b.toml --data DIR --kafka kafka-1:9092
    ```
    """
    from deploy.assembly import open_runner

    tell = teller("jobs")
    stop = stop_on_signals()
    sites = sites_of(site)
    cluster = kafka_access(kafka, kafka_config, tell=tell)
    with closing(open_runner(sites, data_at(data), kafka=cluster, on_event=tell)) as runner:
        tell(f"{_names(sites)}; from {'Kafka at ' + kafka if kafka else 'the edge log'} into {data / 'lake'}")
        rows = runner.stats.rows
        status = Status(tell, lambda: {name: rows.get(name, 0) for name in ("reads", "rejects", "locations")})

        def stopping() -> bool:
            status.maybe()
            return stop()

        runner.run(stopping)
    tell("stopped; everything that was taken in is committed")


def _names(sites: Sequence[Site]) -> str:
    return f"{'site' if len(sites) == 1 else 'sites'} {', '.join(site.id for site in sites)}"
