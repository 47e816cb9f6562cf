"""Reading one TOML table key by key: types, ranges and unknown keys, with every finding kept and none raised.

A value that cannot be used is reported once and read as `None`, so that checking goes on. What the values mean
to each other is the business of `devices.site.check`.
"""

import difflib
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

COORDINATE_M_MAX = 1e6
"""A plan wider than 1000 km is a mistake in units: coordinates are metres."""

FINDINGS_MAX = 1_000
"""So many problems, and so many warnings, are told one by one; the rest is counted. Nobody mends more in one go, and
zones drawn on top of each other are wrong in pairs: 5,000 of them would be twelve million lines."""
WORDS_MAX = 1_000
"""A misspelt word is compared with so many at most: each comparison takes some 10 us."""
ENTRIES_MAX = 10_000
"""Tables of one kind: readers, shelves, walls. The largest warehouses have some thousand."""

E = TypeVar("E", bound=StrEnum)
Point = tuple[float, float]


@dataclass(slots=True)
class Findings:
    """What a check found, in the order it was found."""

    problems: list[str] = field(default_factory=list)
    """What has to be mended, one line each: place, what is wrong, the mend."""
    warnings: list[str] = field(default_factory=list)
    """What is strange but works, one line each."""
    more_problems: int = 0
    """Problems that were only counted."""
    more_warnings: int = 0
    """Warnings that were only counted."""

    @property
    def is_full(self) -> bool:
        """Whether further problems are only counted."""
        return len(self.problems) >= FINDINGS_MAX

    def problem(self, place: str, text: str) -> None:
        """Add a problem."""
        if self.is_full:
            self.more_problems += 1
        else:
            self.problems.append(f"{place}: {text}")

    def warning(self, place: str, text: str) -> None:
        """Add a warning."""
        if len(self.warnings) >= FINDINGS_MAX:
            self.more_warnings += 1
        else:
            self.warnings.append(f"{place}: {text}")

    def close(self) -> None:
        """Say how many were only counted."""
        if self.more_problems:
            self.problems.append(f"file: {self.more_problems} more problems or so: mend these first")
        if self.more_warnings:
            self.warnings.append(f"file: {self.more_warnings} more warnings")


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return `, did you mean "x"?` for the known word closest to a misspelt one, or an empty string."""
    if len(known) > WORDS_MAX or len(word) > WORDS_MAX:
        return ""
    by_folded = {entry.casefold(): entry for entry in known}
    close = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f", did you mean {shown(by_folded[close[0]])}?" if close else ""


def unknown_zone(zone: str, zone_ids: Collection[str], findings: Findings) -> str:
    """Return what is said of a zone that the file does not have."""
    hint = "" if findings.is_full else did_you_mean(zone, zone_ids)
    hint = hint or (f": use one of {', '.join(shown(each)[1:-1] for each in islice(zone_ids, 12))}" if zone_ids else "")
    return f"unknown zone {shown(zone)}{hint}"


def shown(value: object) -> str:
    """Show a TOML value as it would be written, shortened: it goes into one line of a report."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = '"' + value.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
    elif isinstance(value, dict):
        return "a table"
    elif isinstance(value, int) and abs(value) > 10**18:
        return "a huge number"
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Table:
    """One TOML table whose keys are asked for one by one.

    Every key asked for counts as known; `close` warns of all others.
    """

    def __init__(self, raw: dict[str, Any], place: str, findings: Findings) -> None:
        self.place = place
        """How a report names this table: `reader "r1" antenna 2`."""
        self.findings = findings
        """Where findings go."""
        self._raw = raw
        self._known: list[str] = []

    def problem(self, text: str) -> None:
        """Report a problem in this table."""
        self.findings.problem(self.place, text)

    def warning(self, text: str) -> None:
        """Report something strange in this table."""
        self.findings.warning(self.place, text)

    def has(self, key: str) -> bool:
        """Return whether a key is there, and count it as known."""
        if key not in self._known:
            self._known.append(key)
        return key in self._raw

    def text(self, key: str, *, required: str | None = None) -> str | None:
        """Read a string.

        Args:
            key: Name of the key.
            required: Where given, a missing key is a problem, and this is an example of a value.
        """
        value = self._value(key, f'"{required}"' if required is not None else None)
        if value is None or isinstance(value, str):
            return value
        self.problem(f'{key} must be text: write {key} = "{value}"' if _is_number(value) else f"{key} must be text")
        return None

    def number(
        self, key: str, *, required: str | None = None, low: float = -COORDINATE_M_MAX, high: float = COORDINATE_M_MAX
    ) -> float | None:
        """Read a finite number, whole or not, from `low` to `high`."""
        value = self._value(key, required)
        return None if value is None else self._finite(key, value, low, high)

    def whole(self, key: str, *, required: str | None = None, low: int = 0, high: int = 2**31 - 1) -> int | None:
        """Read a whole number from `low` to `high`; 2.0 counts as one."""
        value = self._value(key, required)
        if value is None:
            return None
        number = self._finite(key, value, low, high)
        if number is None:
            return None
        if number != int(number):
            self.problem(f"{key} must be a whole number, not {shown(value)}")
            return None
        return int(number)

    def truth(self, key: str) -> bool | None:
        """Read `true` or `false`."""
        value = self._value(key, None)
        if value is None or isinstance(value, bool):
            return value
        self.problem(f"{key} must be true or false, not {shown(value)}")
        return None

    def choice(self, key: str, kinds: type[E], *, required: bool = False) -> E | None:
        """Read one of a closed set of words."""
        words = [str(kind.value) for kind in kinds]
        word = self.text(key, required=words[0] if required else None)
        if word is None:
            return None
        if word not in words:
            hint = did_you_mean(word, words) or f": use one of {', '.join(words)}"
            self.problem(f"unknown {key} {shown(word)}{hint}")
            return None
        return kinds(word)

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of strings; a single string counts as a list of one."""
        value = self._value(key, None)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        self.problem(f'{key} must be a list of texts: write {key} = ["..."]')
        return ()

    def point(self, key: str, *, required: str | None = None) -> Point | None:
        """Read a point `[x, y]` in metres."""
        value = self._value(key, required)
        return None if value is None else self._point(key, value)

    def points(self, key: str) -> tuple[Point, ...] | None:
        """Read a list of points in metres; `None` where it is missing or one of them cannot be used."""
        value = self._value(key, None)
        if value is None:
            return None
        return self.as_points(key, value)

    def as_points(self, key: str, value: object) -> tuple[Point, ...] | None:
        """Read a list of points from a value that stood elsewhere; `key` names it in findings."""
        if not isinstance(value, list):
            self.problem(f"{key} must be a list of points [x, y] in metres")
            return None
        points = [self._point(f"{key} point {number}", entry) for number, entry in enumerate(value, start=1)]
        return None if any(point is None for point in points) else tuple(point for point in points if point is not None)

    def tables(self, key: str, *, inside: str = "", most: int = ENTRIES_MAX) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the tables of an array `[[key]]` with their numbers, 1 and up."""
        header = f"[[{inside}{key}]]"
        value = self._value(key, None)
        if value is None:
            return
        if isinstance(value, dict):
            self.problem(f"{key} is a list: write {header} with two brackets above each one")
            value = [value]
        if not isinstance(value, list):
            self.problem(f"{key} must be written as tables, each under a line {header}")
            return
        if len(value) > most:
            self.problem(f"there are {len(value)} {header}, {most} are read: split the site, or draw it less finely")
            value = value[:most]
        for number, entry in enumerate(value, start=1):
            if isinstance(entry, dict):
                yield number, entry
            else:
                self.problem(f"{key} #{number} must be a table under a line {header}")

    def table(self, key: str) -> dict[str, Any] | None:
        """Read a table `[key]`."""
        value = self._value(key, None)
        if value is None or isinstance(value, dict):
            return value
        self.problem(f"{key} must be a table under a line [{key}]")
        return None

    def close(self) -> None:
        """Warn of every key that was never asked for."""
        known = set(self._known)
        for key in self._raw:
            if key not in known:
                hint = "" if self.findings.more_warnings else did_you_mean(key, self._known)
                self.warning(f"unknown key {shown(key)}{hint or '.'} It is ignored")

    def _value(self, key: str, required: str | None) -> Any:
        if self.has(key):
            return self._raw[key]
        if required is not None:
            self.problem(f"{key} is missing: write {key} = {required}")
        return None

    def _finite(self, key: str, value: object, low: float, high: float) -> float | None:
        if not _is_number(value):
            self.problem(f"{key} must be a number, not {shown(value)}")
            return None
        try:
            number = float(value)  # type: ignore[arg-type]  # _is_number has looked
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.problem(f"{key} must be a finite number, not {shown(value)}")
        elif low <= number <= high:
            return number
        elif number < low:
            self.problem(f"{key} is {shown(value)}, it must be {low:g} or more")
        else:
            self.problem(f"{key} is {shown(value)}, it must be {high:g} or less")
        return None

    def _point(self, key: str, value: object) -> Point | None:
        if not isinstance(value, list) or len(value) != 2:
            self.problem(f"{key} must be a point [x, y] in metres, not {shown(value)}")
            return None
        x = self._finite(f"{key} x", value[0], -COORDINATE_M_MAX, COORDINATE_M_MAX)
        y = self._finite(f"{key} y", value[1], -COORDINATE_M_MAX, COORDINATE_M_MAX)
        return None if x is None or y is None else (x, y)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
