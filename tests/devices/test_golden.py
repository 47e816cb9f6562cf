"""Promise: what a payload decodes to does not change unnoticed."""

import os
from pathlib import Path

import pytest

from devices.registry import PROFILES
from tests.devices.golden_cases import GOLDEN, cases, context_of, outcome


def _name(case: Path) -> str:
    return f"{case.parent.name}-{case.name}"


@pytest.mark.parametrize("case", cases(), ids=_name)
def test_a_case_decodes_to_what_is_expected(case: Path) -> None:
    name, content = outcome(case)
    if os.environ.get("TAGTIDE_REGENERATE"):
        for stale in case.glob("expected.*"):
            stale.unlink()
        (case / name).write_text(content, encoding="utf-8")
    assert [each.name for each in case.glob("expected.*")] == [name], f"it decodes to {content}"
    assert content == (case / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("case", cases(), ids=_name)
def test_a_case_is_of_its_folders_profile(case: Path) -> None:
    assert context_of(case).source.profile == case.parent.name


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_has_good_and_bad_cases(profile: str) -> None:
    names = {expected.name for expected in (GOLDEN / profile).glob("*/expected.*")}
    assert names == {"expected.jsonl", "expected.err"}
