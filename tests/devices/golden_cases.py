"""Golden cases of the dialects: `tests/golden/<profile>/<case>/` holds one payload and what it decodes to.

* `input.*`: the payload, byte for byte.
* `context.json`: `topic` and `source` as the decoder gets them, and the payload's `provenance`.
* `expected.jsonl`: one observation a line with its stream, fields that were not reported left out; or
* `expected.err`: code and message of the `DecodeError`.

A new device's cases are found by themselves. `TAGTIDE_REGENERATE=1 pytest tests/devices/test_golden.py` writes what
the decoders say now; its diff is reviewed like code.
"""

import json
from pathlib import Path

import msgspec

from devices.errors import DecodeError
from devices.observations import Decoded, Source
from devices.registry import PROFILES

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


class Context(msgspec.Struct, forbid_unknown_fields=True):
    """What a decoder is told beside the payload."""

    topic: str
    source: Source
    provenance: str


def cases() -> list[Path]:
    return sorted(context.parent for name in PROFILES for context in (GOLDEN / name).glob("*/context.json"))


def payload_of(case: Path) -> bytes:
    (found,) = case.glob("input.*")
    return found.read_bytes()


def context_of(case: Path) -> Context:
    return msgspec.json.decode((case / "context.json").read_bytes(), type=Context)


def outcome(case: Path) -> tuple[str, str]:
    """Decode a case; return the name of the file that it belongs in, and that file's content."""
    context = context_of(case)
    try:
        decoded = PROFILES[case.parent.name].decode(payload_of(case), context.topic, context.source)
    except DecodeError as error:
        hint = "" if error.hint is None else f"\nhint: {error.hint}"
        return "expected.err", f"{error.code}: {error}{hint}\n"
    return "expected.jsonl", "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines(decoded))


def lines(decoded: Decoded) -> list[dict[str, object]]:
    """Return what was decoded as JSON objects, without the fields that were not reported."""
    return [
        {"stream": stream} | {name: value for name, value in msgspec.to_builtins(row).items() if value is not None}
        for stream in Decoded.__struct_fields__
        for row in getattr(decoded, stream)
    ]
