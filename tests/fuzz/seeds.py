"""Valid inputs to begin with: the golden cases, and samples of real devices where `TAGTIDE_DATA` names their folder."""

import os
from functools import cache
from pathlib import Path

from devices.registry import PROFILES
from tests.devices.golden_cases import GOLDEN, cases, context_of, payload_of
from tests.shared_data import REPOSITORY

SAMPLE_BYTES_MAX = 8_000


@cache
def payloads(profile: str) -> tuple[bytes, ...]:
    """Return payloads of a dialect."""
    own = [payload_of(case) for case in cases() if case.parent.name == profile]
    return tuple(own + _shared(profile))


@cache
def topics(profile: str) -> tuple[str, ...]:
    """Return the last levels of topics that the golden cases of a dialect come on."""
    found = {context_of(case).topic.rpartition("/")[2] for case in cases() if case.parent.name == profile}
    return tuple(sorted(found))


@cache
def all_payloads() -> tuple[bytes, ...]:
    """Return payloads of every dialect."""
    return tuple(payload for name in PROFILES for payload in payloads(name))


@cache
def site_files() -> tuple[bytes, ...]:
    """Return site files: the documentation's, the tests' and the examples."""
    folders = (REPOSITORY / "tests", REPOSITORY / "deploy", REPOSITORY / "docs")
    found = [path for folder in folders for path in sorted(folder.rglob("*.toml")) if b"[[zone]]" in path.read_bytes()]
    pages = (REPOSITORY / "docs" / "site-file.md").read_text().split("```toml\n")[1:]
    return (*(path.read_bytes() for path in found), *(page.split("```")[0].encode() for page in pages))


def kafka_golden() -> Path:
    """Return the folder of the golden Kafka records."""
    return GOLDEN / "kafka_records"


def _shared(profile: str) -> list[bytes]:
    # Only where it is asked for: with other samples, the same seed makes other inputs.
    if "TAGTIDE_DATA" not in os.environ:
        return []
    root = Path(os.environ["TAGTIDE_DATA"]) / "reference" / "samples" / profile
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else []
    return [path.read_bytes() for path in files if path.stat().st_size <= SAMPLE_BYTES_MAX]
