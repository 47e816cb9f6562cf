"""Mosquitto's journal plugin for tests: built where a C compiler and Mosquitto's headers are."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "deploy" / "mosquitto" / "journal"
"""Folder of the plugin."""


def missing_tools() -> str | None:
    """Return why the plugin cannot be built here; `None` where it can."""
    if shutil.which("cc") is None or shutil.which("make") is None:
        return "no C compiler or make: apt-get install build-essential"
    if not Path("/usr/include/mosquitto_plugin.h").exists() or not Path("/usr/include/mosquitto.h").exists():
        return "no headers of Mosquitto: apt-get install mosquitto-dev libmosquitto-dev"
    return None


def built(folder: Path) -> Path:
    """Build the plugin and return it."""
    plugin = folder / "tagtide_journal.so"
    subprocess.run(["make", "--quiet", "-C", str(SOURCE), f"OUT={plugin}"], check=True, timeout=60)
    return plugin


def plugin_settings(plugin: Path, journal: Path, *, sync: bool = False) -> list[str]:
    """Return the lines of Mosquitto's configuration that load it."""
    journal.mkdir(parents=True, exist_ok=True)
    return [f"plugin {plugin}", f"plugin_opt_folder {journal}", f"plugin_opt_sync {str(sync).lower()}"]


@pytest.fixture(scope="session")
def journal_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the plugin once; skip where that cannot be, except in CI."""
    if reason := missing_tools():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return built(tmp_path_factory.mktemp("plugin"))
