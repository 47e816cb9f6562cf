"""Promise: a service whose packages are read-only and that has no home can compile its kernels all the same."""

import os
import tempfile
from pathlib import Path

import pytest

from deploy.kernel_cache import VARIABLE, find_kernel_cache

READ_ONLY = Path("/proc/packages")


@pytest.fixture(autouse=True)
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that monkeypatch removes what the code sets
    monkeypatch.delenv(VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/nobody")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_place_of_ones_own_is_found(tmp_path: Path) -> None:
    find_kernel_cache(READ_ONLY)
    assert os.environ[VARIABLE] == str(tmp_path / f"tagtide-kernels-{os.getuid()}")
    assert (tmp_path / f"tagtide-kernels-{os.getuid()}").stat().st_mode & 0o777 == 0o700
    del os.environ[VARIABLE]
    find_kernel_cache(READ_ONLY)
    assert os.environ[VARIABLE] == str(tmp_path / f"tagtide-kernels-{os.getuid()}"), "the next start finds it again"


@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_place_that_others_can_write_is_not_used(tmp_path: Path, trap: str) -> None:
    place = tmp_path / f"tagtide-kernels-{os.getuid()}"
    if trap == "open":
        place.mkdir()
        place.chmod(0o777)
    elif trap == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.write_text("")
    find_kernel_cache(READ_ONLY)
    used = Path(os.environ[VARIABLE])
    assert used != place
    assert used.stat().st_mode & 0o777 == 0o700


def test_where_numba_finds_one_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "analytics").mkdir()
    find_kernel_cache(tmp_path)
    assert VARIABLE not in os.environ
    monkeypatch.setenv("HOME", str(tmp_path))
    find_kernel_cache(READ_ONLY)
    assert VARIABLE not in os.environ


def test_who_has_said_where_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/var/cache/kernels")
    find_kernel_cache(READ_ONLY)
    assert os.environ[VARIABLE] == "/var/cache/kernels"
