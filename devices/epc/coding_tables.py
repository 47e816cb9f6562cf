"""The standard's coding tables of the schemes with a company prefix length, as data.

Every one is header (8 bits), filter value (3), partition value (3), company prefix, reference, and a tail that
differs. The partition value says how the middle is shared: 0 gives the company prefix 12 digits, 6 gives it 6.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from devices.epc import keys
from devices.epc.keys import GS1Key

PREFIX_BITS = (40, 37, 34, 30, 27, 24, 20)
"""Bits of the company prefix for partition values 0 to 6, in every scheme; it has 12 - partition digits."""


class Form(StrEnum):
    """How a field is written in bits."""

    DIGITS = "digits"
    """An integer that stands for a fixed number of digits, leading zeros included."""
    INTEGER = "integer"
    """An integer that stands for itself, without leading zeros."""
    NUMERIC_STRING = "numeric_string"
    """Digits with a 1 put before them, then an integer: leading zeros survive (TDS 14.4.6)."""
    TEXT = "text"
    """7-bit characters."""
    ZEROS = "zeros"
    """Reserved: zero bits, and no field in the URI."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scheme:
    """One coding table of the standard."""

    name: str
    """Name as the standard writes it."""
    header: int
    """First byte."""
    bits: int
    """Bits of the whole EPC."""
    key: GS1Key
    """GS1 key that it carries."""
    reference_bits: tuple[int, ...]
    """Bits of the reference for partition values 0 to 6."""
    reference_form: Form = Form.DIGITS
    """How the reference is written."""
    reference_sizes: tuple[int, ...] = ()
    """Digits, or most characters, of the reference for partition values 0 to 6; empty where bits are the limit."""
    pieces: bool = False
    """Whether piece and total, two digits each, stand before the tail (ITIP)."""
    tail_form: Form = Form.ZEROS
    """How what stands behind the reference is written."""
    tail_bits: int = 0
    """Bits of it."""
    tail_size: int = 0
    """Most digits or characters of a numeric string or a text."""
    tail_mask: int = field(init=False)
    """One bit for each of the tail."""
    tail_is_integer: bool = field(init=False)
    """Whether the tail is an integer that stands for itself."""
    serial_in_key: bool = field(init=False)
    """Whether the serial number is the end of the GS1 key's own value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tail_mask", (1 << self.tail_bits) - 1)
        object.__setattr__(self, "tail_is_integer", self.tail_form is Form.INTEGER)
        object.__setattr__(self, "serial_in_key", self.key in (keys.GRAI, keys.GDTI, keys.SGCN))


_EXTENDED = (4, 7, 10, 14, 17, 20, 24)
_LOCATION = (1, 4, 7, 11, 14, 17, 21)
_EXTENDED_DIGITS = (1, 2, 3, 4, 5, 6, 7)
_LOCATION_DIGITS = (0, 1, 2, 3, 4, 5, 6)
_CONTAINER = (18, 21, 24, 28, 31, 34, 38)
_CONTAINER_DIGITS = (5, 6, 7, 8, 9, 10, 11)


def _with_serial(
    name: str, header: int, bits: int, key: GS1Key, *, tail: tuple[Form, int] | tuple[Form, int, int]
) -> Scheme:
    """Make a scheme whose reference and serial follow the two common shapes."""
    extended = key in (keys.SGTIN, keys.GRAI, keys.ITIP)
    no_indicator = key is keys.GRAI
    return Scheme(
        name=name,
        header=header,
        bits=bits,
        key=key,
        reference_bits=_EXTENDED if extended else _LOCATION,
        reference_sizes=_EXTENDED_DIGITS if extended and not no_indicator else _LOCATION_DIGITS,
        pieces=key is keys.ITIP,
        tail_form=tail[0],
        tail_bits=tail[1],
        tail_size=tail[2] if len(tail) == 3 else 0,
    )


def _container(name: str, header: int, key: GS1Key, tail_bits: int) -> Scheme:
    return Scheme(
        name=name,
        header=header,
        bits=96,
        key=key,
        reference_bits=_CONTAINER,
        reference_sizes=_CONTAINER_DIGITS,
        tail_bits=tail_bits,
    )


SCHEMES: dict[int, Scheme] = {
    scheme.header: scheme
    for scheme in (
        _with_serial("SGTIN-96", 0x30, 96, keys.SGTIN, tail=(Form.INTEGER, 38)),
        _with_serial("SGTIN-198", 0x36, 198, keys.SGTIN, tail=(Form.TEXT, 140, 20)),
        _container("SSCC-96", 0x31, keys.SSCC, 24),
        _with_serial("SGLN-96", 0x32, 96, keys.SGLN, tail=(Form.INTEGER, 41)),
        _with_serial("SGLN-195", 0x39, 195, keys.SGLN, tail=(Form.TEXT, 140, 20)),
        _with_serial("GRAI-96", 0x33, 96, keys.GRAI, tail=(Form.INTEGER, 38)),
        _with_serial("GRAI-170", 0x37, 170, keys.GRAI, tail=(Form.TEXT, 112, 16)),
        Scheme(
            name="GIAI-96",
            header=0x34,
            bits=96,
            key=keys.GIAI,
            reference_form=Form.INTEGER,
            reference_bits=(42, 45, 48, 52, 55, 58, 62),
        ),
        Scheme(
            name="GIAI-202",
            header=0x38,
            bits=202,
            key=keys.GIAI,
            reference_form=Form.TEXT,
            reference_bits=(148, 151, 154, 158, 161, 164, 168),
            reference_sizes=(18, 19, 20, 21, 22, 23, 24),
        ),
        _container("GSRN-96", 0x2D, keys.GSRN, 24),
        _container("GSRNP-96", 0x2E, keys.GSRNP, 24),
        _with_serial("GDTI-96", 0x2C, 96, keys.GDTI, tail=(Form.INTEGER, 41)),
        _with_serial("GDTI-113", 0x3A, 113, keys.GDTI, tail=(Form.NUMERIC_STRING, 58, 17)),
        _with_serial("GDTI-174", 0x3E, 174, keys.GDTI, tail=(Form.TEXT, 119, 17)),
        _with_serial("SGCN-96", 0x3F, 96, keys.SGCN, tail=(Form.NUMERIC_STRING, 41, 12)),
        Scheme(
            name="CPI-96",
            header=0x3C,
            bits=96,
            key=keys.CPI,
            reference_form=Form.INTEGER,
            reference_bits=(11, 14, 17, 21, 24, 27, 31),
            reference_sizes=(3, 4, 5, 6, 7, 8, 9),
            tail_form=Form.INTEGER,
            tail_bits=31,
        ),
        _with_serial("ITIP-110", 0x40, 110, keys.ITIP, tail=(Form.INTEGER, 38)),
        _with_serial("ITIP-212", 0x41, 212, keys.ITIP, tail=(Form.TEXT, 140, 20)),
    )
}
"""Schemes by header (GS1 EPC Tag Data Standard 2.3, 14.6)."""

SCHEMES_BY_NAME: dict[str, Scheme] = {scheme.name.lower(): scheme for scheme in SCHEMES.values()}
"""Schemes by their name in a tag URI."""
