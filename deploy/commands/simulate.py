"""`tagtide simulate`: a store with known truth, as files or live on a broker."""

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
