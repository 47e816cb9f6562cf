"""Promise: what a profile's README shows is what its decoder does, and every reject's code is explained."""

import json
import re
from pathlib import Path

import pytest

from devices.registry import PROFILES
from tests.devices.golden_cases import lines
from tests.devices.sources import a_source

REPOSITORY = Path(__file__).resolve().parent.parent.parent
EXAMPLE = re.compile(r"```\w+ in(?: topic=(\S+))?\n(.*?)\n```\n\n```json out\n(.*?)\n```", re.DOTALL)
CODE = re.compile(r'code: str = "(\w+)"|code = "(\w+)"|code="(\w+)"|, "(\w+_(?:invalid|missing|unknown))"')
DECODING = [
    *(path for path in (REPOSITORY / "devices").glob("*.py") if path.name != "errors.py"),
    *(path for name in PROFILES for path in (REPOSITORY / "devices" / name).glob("*.py")),
]


def examples() -> list[tuple[str, str, str, str]]:
    return [
        (name, topic or "any/topic", payload, expected)
        for name in PROFILES
        for topic, payload, expected in EXAMPLE.findall((REPOSITORY / "devices" / name / "README.md").read_text())
    ]


def documents(text: str) -> list[object]:
    found, at, decoder = [], 0, json.JSONDecoder()
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        found.append(document)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


@pytest.mark.parametrize(("name", "topic", "payload", "expected"), examples())
def test_an_example_decodes_as_shown(name: str, topic: str, payload: str, expected: str) -> None:
    decoded = PROFILES[name].decode(payload.encode(), topic, a_source(name))
    assert lines(decoded) == documents(expected)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_shows_an_example(name: str) -> None:
    assert name in {example[0] for example in examples()}


@pytest.mark.parametrize("module", DECODING, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_reason_code_is_explained(module: Path) -> None:
    explained = (REPOSITORY / "docs" / "rejects.md").read_text()
    codes = {code for groups in CODE.findall(module.read_text()) for code in groups if code}
    never_rejects = {"tag_memory_invalid", "topic_directory_invalid"}
    assert {code for code in codes - never_rejects if f"`{code}`" not in explained} == set()
