"""Which reason codes docs/rejects.md explains."""

import re
from functools import cache

from tests.shared_data import REPOSITORY

_FIELD = re.compile(r"[a-z][a-z0-9_]*_(?:invalid|missing)")


@cache
def _explained() -> frozenset[str]:
    page = (REPOSITORY / "docs" / "rejects.md").read_text(encoding="utf-8")
    return frozenset(
        code for line in page.splitlines() if line.startswith("| `") for code in re.findall(r"`(\w+)`", line)
    )


def is_explained(code: str) -> bool:
    """Tell whether a code has its own entry, or is one of a field: `<field>_invalid`, `<field>_missing`."""
    return code in _explained() or _FIELD.fullmatch(code) is not None
