"""Promise: kernels have a place of their own for each state of their sources, with or without a home."""

import os
import tempfile
from pathlib import Path

import pytest

from deploy.kernel_cache import VARIABLE, find_kernel_cache, fingerprint


@pytest.fixture(autouse=True)
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that monkeypatch removes what the code sets
    monkeypatch.delenv(VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/nobody")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def place() -> Path:
    """Where the kernels go."""
    os.environ.pop(VARIABLE, None)
    find_kernel_cache()
    return Path(os.environ[VARIABLE])


def test_without_a_home_a_place_of_ones_own_is_found(tmp_path: Path) -> None:
    found = place()
    assert found.parent == tmp_path / f"tagtide-{os.getuid()}"
    assert found.parent.stat().st_mode & 0o777 == 0o700
    assert place() == found, "the next start finds it again"


@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_place_that_others_can_write_is_not_used(tmp_path: Path, trap: str) -> None:
    expected = tmp_path / f"tagtide-{os.getuid()}"
    if trap == "open":
        expected.mkdir()
        expected.chmod(0o777)
    elif trap == "link":
        (tmp_path / "elsewhere").mkdir()
        expected.symlink_to(tmp_path / "elsewhere")
    else:
        expected.write_text("")
    used = place().parent
    assert used != expected
    assert used.stat().st_mode & 0o777 == 0o700


def test_with_a_home_it_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place().parent == tmp_path / ".cache" / "tagtide"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert place().parent == tmp_path / "elsewhere" / "tagtide"


def test_who_has_said_where_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/var/cache/kernels")
    find_kernel_cache()
    assert os.environ[VARIABLE] == "/var/cache/kernels"


def test_a_change_in_any_kernel_is_another_place(tmp_path: Path) -> None:
    folder = tmp_path / "analytics" / "location"
    folder.mkdir(parents=True)
    (folder / "callee.py").write_text("from numba import njit\nRATE = 1\n")
    (folder / "prose.py").write_text("no kernels here\n")
    before = fingerprint(tmp_path)
    (folder / "prose.py").write_text("still none\n")
    assert fingerprint(tmp_path) == before
    (folder / "callee.py").write_text("from numba import njit\nRATE = 2\n")
    assert fingerprint(tmp_path) != before
