"""What a check found: its verdict, what was measured, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    """As it should be, by measurement."""
    WARNING = "warning"
    """Works, and will hurt one day."""
    PROBLEM = "problem"
    """Loses data, or cannot work."""
    UNKNOWN = "unknown"
    """Was not measured; the finding says why and how it could be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    check: str
    """Stable name, `area.what`, fit for a script: `mqtt.kept_while_away`."""
    verdict: Verdict
    """How bad it is."""
    found: str
    """What was measured, with its figures."""
    advice: str = ""
    """What to do; empty where there is nothing to do."""


def ok(check: str, found: str) -> Finding:
    """Return a finding that needs nothing done."""
    return Finding(check=check, verdict=Verdict.OK, found=found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return a finding that will hurt one day."""
    return Finding(check=check, verdict=Verdict.WARNING, found=found, advice=advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """Return a finding that costs data."""
    return Finding(check=check, verdict=Verdict.PROBLEM, found=found, advice=advice)


def unknown(check: str, found: str, advice: str = "") -> Finding:
    """Return what could not be measured."""
    return Finding(check=check, verdict=Verdict.UNKNOWN, found=found, advice=advice)
