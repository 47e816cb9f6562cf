"""`tagtide evaluate`: our answers and the baselines' beside the truth."""

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
