"""Data that the repository does not ship: found through `TAGTIDE_DATA`, or beside the checkout."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def shared_path(relative: str) -> Path:
    """Return the path of a shared file or folder, or skip the test saying why."""
    root = Path(os.environ.get("TAGTIDE_DATA", REPOSITORY.parent / "shared"))
    path = root / relative
    if not path.exists():
        pytest.skip(f"{relative} is not on this machine: set TAGTIDE_DATA to the folder that holds it")
    return path
