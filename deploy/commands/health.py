"""`tagtide health`: what a running daemon's HTTP endpoint says, for people and for health checks of containers."""

from typing import Annotated

import typer

from deploy.commands.options import HttpTokenFile
from deploy.printing import say

DEFAULT_HTTP = "127.0.0.1:9464"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("health")(health)


def health(
    http: Annotated[
        str, typer.Option("--http", metavar="HOST:PORT", help="Where the daemon serves: its own --http.")
    ] = DEFAULT_HTTP,
    http_token_file: HttpTokenFile = None,
    alive: Annotated[
        bool,
        typer.Option("--alive", metavar="", help="Ask only whether it goes round: what a restart could mend."),
    ] = False,
) -> None:
    """Ask a running `up`, `bridge`, `forward` or `jobs` how it is; exit code 0 where all is well, 1 where not.

    It must have been started with --http.

    ```text
    tagtide health --http 127.0.0.1:9464
    ```
    """
    from deploy.telemetry.address import http_address
    from deploy.telemetry.asking import ask_health

    found = ask_health(http_address(http, http_token_file, asking=True), "/healthz" if alive else "/readyz")
    for finding in found.checks:
        label, style = ("ok", "green") if finding.ok else ("FAIL", "red")
        advice = f"; {finding.do}" if finding.do else ""
        say(f"{finding.component} {finding.check}: {finding.says}{advice}", label=label, style=style, to_stdout=True)
    if not found.ok:
        raise typer.Exit(1)
