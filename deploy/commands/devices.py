"""`tagtide site`: checking site files."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.printing import say
from devices.site import check_sites
from devices.site.model import Site

app = typer.Typer(no_args_is_help=True, help="Check site files.")


@app.callback()
def _group() -> None:
    """Site files: what stands where, and what it publishes on."""


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Site files (TOML).", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", metavar="", help="Treat warnings as problems.")] = False,
) -> None:
    """Check site files, each alone and all against each other, and report every problem at once.

    Exits with 1 if there is a problem. Each problem is one line, with its place and the mend.

    ```text
    tagtide site check stores/*.toml
    ```
    """
    failed = False
    for report in check_sites(files):
        for problem in report.problems:
            say(f"{report.name}: {problem}", label="problem", style="red", to_stdout=True)
        for warning in report.warnings:
            say(f"{report.name}: {warning}", label="warning", style="yellow", to_stdout=True)
        wrong = bool(report.problems) or (strict and bool(report.warnings))
        failed |= wrong
        if not wrong and report.site is not None:
            say(f"{report.name}: {_told(report.site)}", label="ok", style="green", to_stdout=True)
    if failed:
        raise typer.Exit(1)


def _told(site: Site) -> str:
    antennas = sum(len(reader.antennas) for reader in site.readers)
    return (
        f"site {site.id}, {len(site.zones)} zones, {len(site.readers)} readers, {antennas} antennas, "
        f"{len(site.shelves)} shelves"
    )
