"""`tagtide simulate`: a store with known truth, as files or live on a broker."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from deploy.printing import say
from devices.errors import UsageError


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("simulate")(simulate)


DOCK = "dock"
DOCK_ABOUT = "gates: a dock and a way out, with truth about every passage"


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to.", show_default=False)],
    scenario: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Named store: demo, store-24, store-48, tiny; `dock` for gates; or a scenario such as `tuning/twins`; "
            "`--scenario help` lists them.",
        ),
    ] = "demo",
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="One seed gives one day, byte for byte; the scenario's own where absent, 1 for stores."
        ),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.01, metavar="H", help="Length of the day; the scenario's where absent.")
    ] = None,
    items: Annotated[int | None, typer.Option(min=1, metavar="N", help="Units in the store at opening.")] = None,
    antennas: Annotated[int | None, typer.Option(min=1, metavar="N", help="Ceiling antennas.")] = None,
    zones: Annotated[int | None, typer.Option(min=1, metavar="N", help="Touching zones.")] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            help="Fault to switch on, `NAME` or `NAME:key=value,key=value`; `--fault help` lists them.",
        ),
    ] = None,
    gzip: Annotated[bool, typer.Option("--gzip", metavar="", help="Compress the capture.")] = False,
) -> None:
    """Simulate a trading day of a store and write its site file, its capture and its truth.

    The capture holds what real readers and scales would have published, byte for byte in their dialects; `tagtide
    replay` takes it through the pipeline, `tagtide evaluate` compares the answers with the truth.

    ```text
    tagtide simulate --scenario tiny --fault duplicate:share=0.01 --out day
    ```
    """
    from simulators.faults import FAULTS, parse_fault
    from simulators.output import DayProgress, write_day
    from simulators.scenarios import SCENARIOS, scenario_config

    if scenario == "help":
        for by_name in SCENARIOS.values():
            for known in by_name.values():
                say(f"{known.label:<24} {known.about}", to_stdout=True)
        say(f"{DOCK:<24} {DOCK_ABOUT}", to_stdout=True)
        return
    if faults == ["help"]:
        for name, kind in FAULTS.items():
            settings = ", ".join(entry.name for entry in dataclasses.fields(kind))
            say(f"{name:<14} {kind.__doc__}  ({settings})", to_stdout=True)
        return
    wanted = {"seed": seed, "hours": hours, "items": items, "antennas": antennas, "zones": zones}
    changes: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    if faults:
        changes["faults"] = tuple(parse_fault(text) for text in faults)
    if scenario == DOCK:
        _simulate_dock(out, seed, hours, set(changes) - {"seed", "hours"} | ({"gzip"} if gzip else set()))
        return
    config = scenario_config(scenario, **changes)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", hint="give a folder; it is created if needed")
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"simulating {config.hours:g} h", total=1.0)

        def show(done: DayProgress) -> None:
            progress.update(task, completed=done.share, description=f"{done.reads:,} reads")

        day = write_day(config, out, compress=gzip, progress=show)
    say(f"{day.reads:,} reads of {len(day.site.readers)} readers")
    _tell(out, out / ("capture.jsonl.gz" if gzip else "capture.jsonl"))


def _tell(out: Path, capture: Path) -> None:
    """Say what was written, and what can be done with it."""
    say(f"  capture    {capture}")
    say(f"  site file  {out / 'site.toml'}")
    say(f"  truth      {', '.join(str(path) for path in sorted(out.glob('truth*.csv')))}")
    say(f"next: tagtide replay {capture} --site {out / 'site.toml'} --data data")
    say(f"  or: tagtide evaluate -s {out / 'site.toml'} -c {capture} -t {out}")


def _simulate_dock(out: Path, seed: int | None, hours: float | None, others: set[str]) -> None:
    """Write a day at the gates."""
    from simulators.gate.dock_day import write_dock_day

    if others:
        raise UsageError(f"scenario {DOCK} takes no --{min(others)}", hint="it takes --seed and --hours")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", hint="give a folder; it is created if needed")
    day = write_dock_day(out, seed=1 if seed is None else seed, hours=1.0 if hours is None else hours)
    say(f"{len(day.reads):,} reads, {len(day.passages):,} passages at {len(day.site.gates)} gates")
    _tell(out, out / "capture.jsonl")
