"""Typed shapes of JSON objects: one text for what a field may be, and a reject's code from what it was.

The range of a field is part of its type (`msgspec.Meta`), so that the fast path checks it in C and the careful path
says the same. Ranges are wide: they catch garbled numbers, not weak signals.
"""

import re
from typing import Annotated, Generic, TypeVar

import msgspec

from devices.documents import Unusable, shown
from devices.errors import DecodeError

INT64_MAX = 2**63 - 1

Antenna = Annotated[int, msgspec.Meta(ge=0, le=2**15 - 1)]
"""Antenna port: what an `int16` column holds."""
RssiDbm = Annotated[float, msgspec.Meta(ge=-150, le=30)]
"""Signal strength, dBm: thermal noise in 500 kHz is -117 dBm, a reader sends +36 dBm EIRP at most."""
PowerDbm = Annotated[float, msgspec.Meta(ge=-150, le=100)]
"""Transmit power, dBm."""
PhaseDeg = Annotated[float, msgspec.Meta(ge=0, le=360)]
"""Phase, degrees."""
FrequencyKhz = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
"""Carrier frequency, kHz: RFID ends below 6 GHz."""
Count = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
"""A count or a running number: what an `int64` column holds."""

T = TypeVar("T", bound=msgspec.Struct)

_FIELD = re.compile(r"\.(\w+)(?:\[[^\]]*\])*`$")
_MISSING = re.compile(r"missing required field `(\w+)`")


class Shape(Generic[T]):
    """Takes the fields that a struct type names out of a JSON object."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._attributes = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}

    def take(self, document: dict[str, object]) -> tuple[T, dict[str, object]]:
        """Split an object into the fields of the type and the others.

        Args:
            document: A JSON object.

        Returns:
            The typed fields, and what is left.

        Raises:
            DecodeError: A field is missing (`<attribute>_missing`) or is not what it should be
                (`<attribute>_invalid`), where the attribute is the struct's.
        """
        known: dict[str, object] = {}
        unknown: dict[str, object] = {}
        for name, value in document.items():
            (known if name in self._attributes else unknown)[name] = value
        try:
            return msgspec.convert(known, self._kind), unknown
        except (ValueError, RecursionError) as error:
            raise self._error(known, str(error)) from error

    def _error(self, known: dict[str, object], message: str) -> DecodeError:
        missing = _MISSING.search(message)
        if missing is not None:
            name = missing.group(1)
            return DecodeError(f"{name} is missing", code=f"{self._attributes.get(name, name)}_missing")
        found = _FIELD.search(message)
        if found is None:
            return DecodeError(message, code="shape_invalid")
        name = found.group(1)
        wanted = message.partition(" - at ")[0].replace("`", "")
        if Unusable.__name__ in wanted:
            wanted = "not Unicode text, or no number that can be stored"
        value = shown(known.get(name))
        return DecodeError(f"{name} is {value}: {wanted}", code=f"{self._attributes.get(name, name)}_invalid")
