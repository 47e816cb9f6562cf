"""The file that holds what was learnt of a gate: its format, reading and writing it.

What the numbers mean is the business of `analytics.gate`; here they are checked for being a whole model. The model
that ships with the program is a file of the same format.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

FORMAT = "tagtide gate model"
"""What `format` says in every such file."""
VERSION = 1
"""Version of the format that this code reads and writes. It rises when features or classes change."""
MODEL_BYTES_MAX = 1024 * 1024
"""A model of 69 features and 5 classes is 10 kB."""
CLASSES = ("inbound", "outbound", "passed_by", "static", "returned")
"""Directions, in the order of a model's columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateModelFile:
    """What was learnt of a gate, as it is written to a file."""

    format: str
    """`FORMAT`."""
    version: int
    """`VERSION`."""
    name: str
    """By what rows of the `passages` table name the model."""
    made: str
    """What it was learnt from, for people."""
    classes: tuple[str, ...]
    """Directions, in the order of the columns."""
    floor_db: float | None
    """Level of the gate's weakest reads, on the scale of its readers; `None`: taken from each gate's own reads."""
    ceiling_db: float | None
    """Level of its strongest reads; `None` together with the floor."""
    mean: tuple[float, ...]
    """Of each feature, where it was learnt."""
    scale: tuple[float, ...]
    """Standard deviation of each feature there."""
    weights: tuple[tuple[float, ...], ...]
    """A row for each feature and a last one for the constant; a column for each class."""


def read_gate_model(path: Path) -> GateModelFile | str:
    """Read a model.

    Returns:
        The model, or what is wrong with the file, as text that names the mend.
    """
    try:
        if path.stat().st_size > MODEL_BYTES_MAX:
            return f"is larger than {MODEL_BYTES_MAX} bytes: name a file that `tagtide gate train` wrote"
        blob = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror}): put the file beside the site file"
    except ValueError as error:
        return f"cannot be read ({error}): put the file beside the site file"
    return parse_gate_model(blob)


def parse_gate_model(blob: bytes) -> GateModelFile | str:
    """Turn the bytes of a file to a model, or say what is wrong with them."""
    try:
        found = msgspec.json.decode(blob, type=GateModelFile)
    except (ValueError, RecursionError) as error:
        return f"is no gate model ({error}): name a file that `tagtide gate train` wrote"
    return _fault(found) or found


def write_gate_model(model: GateModelFile, path: Path) -> None:
    """Write a model as a file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(model), indent=1) + b"\n")


def _fault(model: GateModelFile) -> str | None:
    if model.format != FORMAT:
        return f'is no gate model: its format is not "{FORMAT}". Name a file that `tagtide gate train` wrote'
    if model.version != VERSION:
        return f"has version {model.version}, this Tagtide reads {VERSION}: train the gate again"
    rows = [(value,) * len(CLASSES) for value in (*model.mean, *model.scale)] + list(model.weights)
    whole = len(model.mean) == len(model.scale) == len(model.weights) - 1 and len(model.mean) > 0
    finite = all(math.isfinite(value) for row in rows for value in row)
    if model.classes != CLASSES or not whole or not finite or any(len(row) != len(CLASSES) for row in model.weights):
        return "is not a whole gate model: train the gate again"
    floor_db, ceiling_db = model.floor_db, model.ceiling_db
    levels = (floor_db is None) == (ceiling_db is None) and math.isfinite((ceiling_db or 0.0) - (floor_db or 0.0))
    if any(value <= 0 for value in model.scale) or not levels:
        return "is not a whole gate model: train the gate again"
    return None
