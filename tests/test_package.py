"""Promise: `pip install` of this repository gives a `tagtide` that works, away from the checkout."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from analytics.questions import load_questions
from tests.shared_data import REPOSITORY

pytestmark = pytest.mark.slow

PACKAGES = ("devices", "ingest", "analytics", "simulators", "deploy")
NO_NETWORK = re.compile(r"No matching distribution|Failed to establish|Could not find a version|Temporary failure")


def python(*arguments: str | Path, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, *(str(argument) for argument in arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel; skip where the build tool cannot be had, except in CI."""
    folder = tmp_path_factory.mktemp("wheel")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
    done = python("-m", "pip", "wheel", *quiet, "--wheel-dir", folder, REPOSITORY, cwd=folder)
    if done.returncode and NO_NETWORK.search(done.stderr) and not os.environ.get("CI"):
        pytest.skip("hatchling cannot be had: no network")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    done = python("-m", "pip", "install", *quiet, "--target", folder, wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_wheel_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        *(f"{package}/py.typed" for package in PACKAGES),
        *(f"analytics/sql/{name}.sql" for name in load_questions()),
        *(
            path.relative_to(REPOSITORY).as_posix()
            for folder in ("deploy/kafka", "deploy/mosquitto", "deploy/monitoring", "deploy/systemd", "deploy/compose")
            for path in (REPOSITORY / folder).iterdir()
            if path.is_file()
        ),
    }
    assert needed <= held
    assert {name.split("/")[0] for name in held if ".dist-info/" not in name} == set(PACKAGES)
    assert [name for name in held if re.search(r"__pycache__|\.(pyc|nbi|nbc|jar|jsonl)$", name)] == []


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
        (points,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/entry_points.txt")]
    assert "tagtide = deploy.cli:main" in points
    for library in ("paho-mqtt", "duckdb", "deltalake", "shapely", "amqtt"):
        assert f"Requires-Dist: {library}" in metadata
    assert "# Tagtide" in metadata, "the README is the page on a package index"


def test_every_module_is_importable_from_there(installed: Path, tmp_path: Path) -> None:
    script = (
        "import importlib, pkgutil, sys\n"
        f"for package in {PACKAGES!r}:\n"
        "    module = importlib.import_module(package)\n"
        "    assert module.__file__.startswith(sys.argv[1]), module.__file__\n"
        "    for found in pkgutil.walk_packages(module.__path__, package + '.'):\n"
        "        importlib.import_module(found.name)\n"
    )
    done = python("-c", script, installed, cwd=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr


def test_the_command_works_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    script = installed / "bin" / "tagtide"
    for arguments, said in (
        (["--help"], "Usage: tagtide [OPTIONS] COMMAND"),
        (["--version"], "tagtide "),
        (["questions"], "where-is"),
        (["simulate", "--scenario", "tiny", "--hours", "0.01", "--out", "day"], "next: tagtide replay"),
        (["site", "check", "day/site.toml"], "ok day/site.toml"),
    ):
        done = python(script, *arguments, cwd=tmp_path, path=installed)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout + done.stderr


def test_the_settings_are_found_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from deploy import local_kafka, local_mqtt\n"
        "from deploy.local_mqtt import BrokerKind, LocalBroker\n"
        "broker = LocalBroker(Path('broker'), BrokerKind.EMBEDDED)\n"
        "broker._directory.mkdir()\n"
        "broker.kind, broker._executable = BrokerKind.MOSQUITTO, 'mosquitto'\n"
        "broker._command()\n"
        "print(local_mqtt.__file__)\n"
    )
    done = python("-c", script, cwd=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert "persistence true" in (tmp_path / "broker" / "mosquitto.conf").read_text()
