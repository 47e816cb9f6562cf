"""`tagtide site`: checking site files, and what a broker has to know of them."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.printing import counted, put, say
from devices.site import check_sites, load_sites
from devices.site.model import Site

app = typer.Typer(no_args_is_help=True, help="Check site files, and write what a broker has to know of them.")


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


@app.command("acl")
def acl(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Site files (TOML).", show_default=False)],
    bridge_user: Annotated[
        str, typer.Option("--bridge-user", metavar="USER", help="User of the bridge, who may read everything.")
    ] = "tagtide",
    site_in_user: Annotated[
        bool,
        typer.Option(
            "--site-in-user",
            metavar="",
            help="Users are DEVICE@SITE, for sites that share a broker and have like names.",
        ),
    ] = False,
) -> None:
    """Print Mosquitto's access list: each device may publish on its own topics, and on nothing else.

    A user is a device's id in the site file; its certificate's common name, or its name in the password file. The
    bridge may only read. docs/security.md says how to set all of it up.

    ```text
    tagtide site acl store.toml > acl
    ```
    """
    from deploy.mosquitto_acl import mosquitto_acl

    put(mosquitto_acl(load_sites(files), bridge_user=bridge_user, site_in_user=site_in_user))


def _told(site: Site) -> str:
    gates = [counted(len(site.gates), "gate")] if site.gates else []
    parts = [
        counted(len(site.zones), "zone"),
        counted(len(site.readers), "reader"),
        counted(sum(len(reader.antennas) for reader in site.readers), "antenna"),
        *gates,
        counted(len(site.shelves), "shelf", "shelves"),
    ]
    return f"site {site.id}, {', '.join(parts)}"
