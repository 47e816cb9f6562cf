"""The README's examples run, and it names every code."""

import doctest
from pathlib import Path

import devices.epc
from devices.epc import errors
from devices.epc.codec import _SPECIAL_HEADERS
from devices.errors import EpcError

README = Path(devices.epc.__file__).with_name("README.md")


def test_examples_run() -> None:
    outcome = doctest.testfile(str(README), module_relative=False)
    assert outcome.attempted >= 5
    assert outcome.failed == 0


def test_every_code_is_explained() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EpcError)]
    # Only what is encoded, never what is decoded, has a wrong format.
    codes = {kind.code for kind in kinds if kind not in (EpcError, errors.EpcFormatError)}
    text = README.read_text(encoding="utf-8")
    for code in codes | set(_SPECIAL_HEADERS.values()) | {"epc_scheme_unsupported"}:
        assert f"| `{code}` |" in text
