"""`tagtide site`: checking site files."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from devices.site import check_site

app = typer.Typer(no_args_is_help=True, help="Check site files.")


@app.callback()
def _group() -> None:
    """Site files: what stands where, and what it publishes on."""


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="Site files (TOML).", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as problems.")] = False,
) -> None:
    """Check site files and report every problem at once; exit 1 if there is one."""
    console = Console(highlight=False)
    failed = False
    for file in files:
        report = check_site(file)
        for problem in report.problems:
            console.print(f"[red]problem[/red] {file}: ", end="")
            console.print(problem, markup=False)
        for warning in report.warnings:
            console.print(f"[yellow]warning[/yellow] {file}: ", end="")
            console.print(warning, markup=False)
        wrong = bool(report.problems) or (strict and bool(report.warnings))
        failed |= wrong
        if not wrong and report.site is not None:
            site = report.site
            antennas = sum(len(reader.antennas) for reader in site.readers)
            console.print(
                f"[green]ok[/green] {file}: site {site.id}, {len(site.zones)} zones, {len(site.readers)} readers, "
                f"{antennas} antennas, {len(site.shelves)} shelves"
            )
    if failed:
        raise typer.Exit(1)
