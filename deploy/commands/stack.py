"""`tagtide up`, `bridge`, `forward`, `jobs`, `demo`: what runs and goes on running."""

from pathlib import Path
from typing import Annotated

import typer

from analytics.data_directory import DataDirectory
from deploy.commands.options import (
    DEFAULT_MQTT,
    DEFAULT_SUBSCRIBE,
    Data,
    Kafka,
    Mqtt,
    SiteFiles,
    Subscribe,
    stop_on_signals,
)
from deploy.local_mqtt import BrokerKind
from deploy.reporting import Status, teller


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("demo")(demo)
    app.command("up")(up)
    app.command("bridge")(bridge)
    app.command("forward")(forward)
    app.command("jobs")(jobs)


def demo(
    data: Annotated[Path, typer.Option("--data", "-d", help="Where the demo keeps its data.")] = Path("demo-data"),
    hours: Annotated[float, typer.Option(min=0.1, max=24, help="Length of the trading day, hours.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=1, help="Shortest time to run it in, seconds.")] = 110.0,
    seed: Annotated[int, typer.Option(help="One seed gives one day.")] = 1,
    broker: Annotated[BrokerKind, typer.Option(help="MQTT broker to start.")] = BrokerKind.AUTO,
) -> None:
    """Run a simulated store for one accelerated trading day, through the whole pipeline, and show what people ask.

    No Kafka, Java or Docker is needed; Mosquitto is used if it is there, an embedded broker otherwise.
    """
    from deploy.demo import DemoConfig, run_demo

    run_demo(DemoConfig(data=data, hours=hours, seconds=seconds, seed=seed, broker=broker), stop_on_signals())


def up(
    site: SiteFiles,
    data: Data,
    mqtt: Mqtt = DEFAULT_MQTT,
    kafka: Kafka = None,
    subscribe: Subscribe = DEFAULT_SUBSCRIBE,
) -> None:
    """Run bridge and jobs of one or several sites, until interrupted.

    Without --kafka the jobs read the edge log of this machine; with it the edge log is forwarded to Kafka, and the
    jobs read that.
    """
    from deploy.assembly import sites_of
    from deploy.supervisor import supervise, tagtide_command

    sites_of(site)
    sites = [argument for path in site for argument in ("--site", str(path))]
    common = [*sites, "--data", str(data)]
    if kafka is not None:
        common += ["--kafka", kafka]
    filters = [argument for text in subscribe for argument in ("--subscribe", text)]
    supervise(
        {
            "bridge": tagtide_command("bridge", *common, "--mqtt", mqtt, *filters),
            "jobs": tagtide_command("jobs", *common),
        },
        stop_on_signals(),
        teller("up"),
    )


def bridge(
    data: Data,
    site: SiteFiles,
    mqtt: Mqtt = DEFAULT_MQTT,
    kafka: Kafka = None,
    subscribe: Subscribe = DEFAULT_SUBSCRIBE,
) -> None:
    """Store what MQTT brings in the edge log and acknowledge it; with --kafka, forward it too.

    PUBACK is sent only after the publication is on disk.
    """
    from deploy.assembly import sites_of
    from deploy.bridging import run_bridge

    sites_of(site)
    run_bridge(DataDirectory(data), site, mqtt=mqtt, kafka=kafka, subscribe=subscribe, stop=stop_on_signals())


def forward(
    data: Data,
    site: SiteFiles,
    kafka: Annotated[str, typer.Option("--kafka", "-k", help="Kafka bootstrap servers.", show_default=False)],
) -> None:
    """Decode the edge log and forward it to Kafka (what `bridge --kafka` runs beside itself)."""
    from deploy.assembly import sites_of
    from deploy.bridging import run_forwarder

    run_forwarder(DataDirectory(data), sites_of(site), kafka=kafka, stop=stop_on_signals())


def jobs(site: SiteFiles, data: Data, kafka: Kafka = None) -> None:
    """Compute locations, inventory, shelves and device health, and land everything in the lake.

    Reads the edge log below --data, or Kafka where --kafka is given.
    """
    from deploy.assembly import open_runner, sites_of

    tell = teller("jobs")
    stop = stop_on_signals()
    runner = open_runner(sites_of(site), DataDirectory(data), kafka=kafka, on_event=tell)
    tell(f"from {'Kafka at ' + kafka if kafka else 'the edge log'} into {data / 'lake'}")
    status = Status(tell, lambda: {name: runner.stats.rows.get(name, 0) for name in ("reads", "rejects", "locations")})

    def stopping() -> bool:
        status.maybe()
        return stop()

    runner.run(stopping)
    tell("stopped; everything that was taken in is committed")
