"""The survey file: which tag was where. CSV with a header line: `epc,x,y` and, where it was not there all the time,
`from,until`.

Times are ISO 8601 (without zone: UTC), or microseconds since the Unix epoch. A tag may be at several places one after
the other: one row for each. Further columns are ignored, so a file of truth with its header changed will do.
"""  # noqa: D205 - one sentence, longer than a line

import csv
import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devices.errors import TagtideError

PROBLEMS_SHOWN = 10
"""Problems of a file that a message lists."""
_EPC_COLUMNS = ("epc", "epc_hex")
_FROM_COLUMNS, _UNTIL_COLUMNS = ("from", "from_us", "from_time"), ("until", "until_us", "until_time")


class SurveyError(TagtideError):
    """A survey cannot be read, or tells too little."""

    code = "survey_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyTag:
    """A tag at a place."""

    epc_hex: str
    """Upper-case hexadecimal."""
    x: float
    """Metres."""
    y: float
    """Metres."""
    from_us: int | None = None
    """Since when it was there; `None` for always."""
    until_us: int | None = None
    """Until when; `None` for always."""


def read_survey(path: Path) -> list[SurveyTag]:
    """Read a survey file.

    Raises:
        SurveyError: It cannot be read, or rows of it are wrong: all of them are named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SurveyError(f"{path} cannot be read: {error}", hint="give a CSV file with the header epc,x,y") from error
    return parse_survey(text.splitlines(), str(path))


def parse_survey(lines: Iterable[str], name: str = "survey") -> list[SurveyTag]:
    """Read a survey from its lines; errors name the file by `name`."""
    reader = csv.DictReader(lines, skipinitialspace=True)
    columns = [column.strip() for column in reader.fieldnames or ()]
    reader.fieldnames = columns
    epc = next((column for column in _EPC_COLUMNS if column in columns), None)
    if epc is None or not {"x", "y"} <= set(columns):
        raise SurveyError(
            f"{name} has the header {','.join(columns)!r}", hint="its header is epc,x,y or epc,x,y,from,until"
        )
    tags: list[SurveyTag] = []
    problems: list[str] = []
    for row in reader:
        try:
            tags.append(_tag(row, epc))
        except ValueError as error:
            problems.append(f"line {reader.line_num}: {error}")
    if problems:
        more = f" and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
        raise SurveyError(
            f"{name}: {'; '.join(problems[:PROBLEMS_SHOWN])}{more}",
            hint="a row is EPC in hexadecimal, x and y in metres, and times in ISO 8601",
        )
    if not tags:
        raise SurveyError(f"{name} names no tags", hint="write one row for each tag: epc,x,y")
    return tags


def _tag(row: dict[str, str], epc: str) -> SurveyTag:
    epc_hex = (row[epc] or "").strip().upper()
    if not epc_hex or any(digit not in "0123456789ABCDEF" for digit in epc_hex):
        raise ValueError(f"{epc_hex!r} is no EPC in hexadecimal")
    x, y = _metres(row, "x"), _metres(row, "y")
    from_us, until_us = _time(row, _FROM_COLUMNS), _time(row, _UNTIL_COLUMNS)
    if from_us is not None and until_us is not None and until_us <= from_us:
        raise ValueError("it ends before it begins")
    return SurveyTag(epc_hex=epc_hex, x=x, y=y, from_us=from_us, until_us=until_us)


def _metres(row: dict[str, str], column: str) -> float:
    text = (row[column] or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column} is {text!r}, not a number of metres")
    return value


def _time(row: dict[str, str], columns: Sequence[str]) -> int | None:
    text = next((row[column] for column in columns if row.get(column)), "").strip()
    if not text:
        return None
    if text.isdigit():
        return int(text)
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no ISO 8601 time") from None
    return round((time if time.tzinfo else time.replace(tzinfo=dt.UTC)).timestamp() * 1e6)
