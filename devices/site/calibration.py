"""The file that holds what a survey found of a site's radio: its format, reading and writing it.

`tagtide calibrate` makes it, the site file names it. It is TOML and meant to be read: each antenna's offset, and a map
of what is left, row by row as on the floor plan turned upside down (the first row is the lowest y).
"""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec

FORMAT = "tagtide calibration"
"""What `format` says in every such file."""
VERSION = 1
"""Version of the format that this code reads and writes."""
CALIBRATION_BYTES_MAX = 64 * 1024 * 1024
"""A map of 1,000 points for each of 10,000 antennas."""
MOVED_M = 0.1
"""An antenna that the site file places further from where it was surveyed has been moved, or was written down wrongly:
what the survey found of it holds no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Points at which maps are given: `x + i step_m`, `y + j step_m`."""

    x: float
    """Of the first column, metres."""
    y: float
    """Of the first row, metres."""
    step_m: float
    """Between neighbours."""
    columns: int
    """How many along x, at least 2."""
    rows: int
    """How many along y, at least 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AntennaSurvey:
    """What a survey found of one antenna."""

    reader: str
    """Reader identifier."""
    port: int
    """Port on the reader."""
    x: float
    """Where the site file had it, metres."""
    y: float
    """Metres."""
    z: float
    """Metres."""
    tags: int
    """Places at which it heard the tag there."""
    offset_db: float
    """What it hears above the law, both ways."""
    range_m: float
    """Distance over which the map changes."""
    field_db: float
    """Standard deviation of the map's field."""
    residual_db: tuple[tuple[float, ...], ...]
    """What it hears above law and offset, rows by columns of the lattice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFile:
    """What a survey found of a site's radio."""

    format: str
    """`FORMAT`."""
    version: int
    """`VERSION`."""
    site: str
    """Site identifier."""
    made: str
    """From what it was made, for people."""
    tags: int
    """Places at which a tag was heard."""
    levels: int
    """Antennas that heard it there, together."""
    exponent: float
    """Path-loss exponent."""
    exponent_prior: float
    """The exponent of the law that offsets and maps are beside."""
    spread_before_db: float
    """Standard deviation of levels about bare physics."""
    spread_after_db: float
    """The same about the calibration, each tag judged by a survey of the others."""
    error_before_m: float
    """Mean error of tags located by bare physics."""
    error_after_m: float
    """The same by the calibration, each tag judged by a survey of the others."""
    lattice: Lattice
    """Points of the maps."""
    antenna: tuple[AntennaSurvey, ...]
    """Antennas that were surveyed; the others are as physics says."""


def read_calibration(path: Path) -> CalibrationFile | str:
    """Read a calibration.

    Returns:
        The calibration, or what is wrong with the file, as text that names the mend.
    """
    try:
        if path.stat().st_size > CALIBRATION_BYTES_MAX:
            return "is too large: name a file that `tagtide calibrate` wrote"
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return f"cannot be read ({error.strerror}): put the file beside the site file"
    except ValueError as error:
        return f"cannot be read ({error}): name a file that `tagtide calibrate` wrote"
    return parse_calibration(text)


def parse_calibration(text: str) -> CalibrationFile | str:
    """Turn the text of a file to a calibration, or say what is wrong with it."""
    try:
        found = msgspec.convert(tomllib.loads(text), type=CalibrationFile)
    except (ValueError, RecursionError) as error:
        return f"is no calibration ({error}): name a file that `tagtide calibrate` wrote"
    if found.format != FORMAT:
        return f'is no calibration: its format is not "{FORMAT}". Name a file that `tagtide calibrate` wrote'
    if found.version != VERSION:
        return f"has version {found.version}, this Tagtide reads {VERSION}: calibrate again"
    return found if _whole(found) else "is not a whole calibration: calibrate again"


def _whole(found: CalibrationFile) -> bool:
    lattice = found.lattice
    numbers = [lattice.x, lattice.y, lattice.step_m, found.exponent, found.exponent_prior, found.spread_after_db]
    for one in found.antenna:
        if len(one.residual_db) != lattice.rows or any(len(row) != lattice.columns for row in one.residual_db):
            return False
        numbers += [one.offset_db, one.x, one.y, one.z, *(value for row in one.residual_db for value in row)]
    points = lattice.step_m > 0 and lattice.columns >= 2 and lattice.rows >= 2
    return points and found.spread_after_db > 0 and all(math.isfinite(number) for number in numbers)


def calibration_text(calibration: CalibrationFile) -> str:
    """Return the text of a calibration's file."""
    top = msgspec.to_builtins(calibration)
    lattice, antennas = top.pop("lattice"), top.pop("antenna")
    lines = [
        "# What a survey found of this site's radio. Written by `tagtide calibrate`; name it in the site file:",
        '# calibration = "THIS FILE". docs/calibration.md says what the numbers mean.',
        *(_line(name, value) for name, value in top.items()),
        "",
        "[lattice]",
        *(_line(name, value) for name, value in lattice.items()),
    ]
    for one in antennas:
        rows = one.pop("residual_db")
        lines += ["", "[[antenna]]", *(_line(name, value) for name, value in one.items()), "residual_db = ["]
        lines += [f"  [{', '.join(f'{value:.1f}' for value in row)}]," for row in rows] + ["]"]
    return "\n".join(lines) + "\n"


def _line(name: str, value: object) -> str:
    # A JSON string is a TOML basic string, and so are JSON's numbers; only ASCII, so that nothing needs escaping twice.
    return f"{name} = {msgspec.json.encode(value).decode()}"
