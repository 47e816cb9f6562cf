"""Writing a site as the TOML file that `devices.site.file` reads."""

import dataclasses
import json
from collections.abc import Iterable
from enum import Enum
from typing import Any

from devices.site.model import Site

_TABLES = {
    "zones": "zone",
    "readers": "reader",
    "gates": "gate",
    "shelves": "shelf",
    "sensors": "sensor",
    "feeds": "feed",
    "walls": "wall",
}
_INNER = {"antennas": "antenna"}
_SKIPPED = {"warnings", "geo"}
_READ_FROM_A_FILE = {"learnt"}


def site_toml(site: Site, *, comment: str) -> str:
    """Write a site file.

    Args:
        site: The site; values that equal the model's defaults are left out.
        comment: First line, without `#`.

    Returns:
        TOML text.
    """
    lines = [f"# {comment}", "schema = 1", *_values(site, skip=set(_TABLES) | _SKIPPED)]
    for attribute, header in _TABLES.items():
        for entry in getattr(site, attribute):
            lines += ["", f"[[{header}]]", *_values(entry, skip=set(_INNER) | _READ_FROM_A_FILE)]
            for inner_attribute, inner_header in _INNER.items():
                for inner in getattr(entry, inner_attribute, ()):
                    lines += [f"[[{header}.{inner_header}]]", *_values(inner, skip=set())]
    return "\n".join(lines) + "\n"


def _values(entry: Any, *, skip: set[str]) -> Iterable[str]:
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        if field.name in skip or value is None or value in (field.default, ()):
            continue
        yield f"{field.name} = {_literal(value)}"


def _literal(value: Any) -> str:
    if isinstance(value, Enum):
        return json.dumps(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_literal(part) for part in value) + "]"
    return repr(value)
