"""GS1 keys: how company prefix, reference and serial make one, its check digit and its application identifiers."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from devices.epc.errors import EpcCheckDigitError, EpcFormatError

# Weighted digit sums, modulo 10, of all numbers of four digits: the rightmost digit counts three times, the next
# once, and so on. Four digits at a time are five times as fast as one at a time.
_WEIGHTED = bytes((3 * (n % 10 + n // 100 % 10) + n // 10 % 10 + n // 1000) % 10 for n in range(10_000))


def check_digit(digits: str) -> str:
    """Compute the check digit that belongs behind a GS1 key's other digits.

    Args:
        digits: All digits but the last.

    Returns:
        One digit.

    Source:
        GS1 General Specifications 7.9: weights 3 and 1 alternate from the right.
    """
    rest, total = int(digits), 0
    while rest:
        rest, group = divmod(rest, 10_000)
        total += _WEIGHTED[group]
    return str(-total % 10)


def require_check_digit(key: str, digits: str) -> None:
    """Raise `EpcCheckDigitError` if the last digit is not the check digit of the others."""
    if check_digit(digits[:-1]) != digits[-1]:
        raise EpcCheckDigitError(key=key, digits=digits)


def require_digits(what: str, value: str, count: int) -> None:
    """Raise `EpcFormatError` unless a text is exactly so many ASCII digits."""
    if not re.fullmatch(rf"[0-9]{{{count}}}", value):
        raise EpcFormatError(what=what, value=value, wanted=f"{count} digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class GS1Key:
    """A kind of GS1 key that EPC schemes carry."""

    urn: str
    """Name of the scheme in an EPC URI, such as `sgtin`."""
    ai: str | None
    """Application identifier of the key; `None` where GS1 element strings do not carry it."""
    serial_ai: str | None
    """Application identifier of the serial number, where that is not a part of the key's own value."""
    build: Callable[[str, str], str]
    """Company prefix and reference to the key's digits with check digit."""


def _gtin(prefix: str, reference: str) -> str:
    body = reference[:1] + prefix + reference[1:]
    return body + check_digit(body)


def _checked(prefix: str, reference: str) -> str:
    body = prefix + reference
    return body + check_digit(body)


def _grai(prefix: str, reference: str) -> str:
    return "0" + _checked(prefix, reference)


def _plain(prefix: str, reference: str) -> str:
    return prefix + reference


SGTIN = GS1Key(urn="sgtin", ai="01", serial_ai="21", build=_gtin)
SSCC = GS1Key(urn="sscc", ai="00", serial_ai=None, build=_gtin)
SGLN = GS1Key(urn="sgln", ai="414", serial_ai="254", build=_checked)
GRAI = GS1Key(urn="grai", ai="8003", serial_ai=None, build=_grai)
GIAI = GS1Key(urn="giai", ai="8004", serial_ai=None, build=_plain)
GSRN = GS1Key(urn="gsrn", ai="8018", serial_ai=None, build=_checked)
GSRNP = GS1Key(urn="gsrnp", ai="8017", serial_ai=None, build=_checked)
GDTI = GS1Key(urn="gdti", ai="253", serial_ai=None, build=_checked)
SGCN = GS1Key(urn="sgcn", ai="255", serial_ai=None, build=_checked)
CPI = GS1Key(urn="cpi", ai="8010", serial_ai="8011", build=_plain)
ITIP = GS1Key(urn="itip", ai="8006", serial_ai="21", build=_gtin)
GID = GS1Key(urn="gid", ai=None, serial_ai=None, build=_plain)

BY_NAME: dict[str, GS1Key] = {
    key.urn.upper(): key for key in (SGTIN, SSCC, SGLN, GRAI, GIAI, GSRN, GSRNP, GDTI, SGCN, CPI, ITIP, GID)
} | {"DSGTIN": SGTIN}
"""Kinds of key by what stands before the size, or the `+`, in a scheme's name."""

NO_EXTENSION = "0"
"""Extension of an SGLN that names a GLN without one (TDS 6.3.3)."""
