"""Certificates for unit tests, made once a run with openssl; whoever has none skips, except in CI."""

import os
import shutil
from pathlib import Path

import pytest

from tests.secure_broker import certificates


def certificate_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority, a broker's certificate and those of the clients `r1` and `r2`."""
    if shutil.which("openssl") is None and not os.environ.get("CI"):
        pytest.skip("openssl is not on this machine")
    folder = tmp_path_factory.mktemp("certificates")
    certificates("authority", folder)
    certificates("broker", folder, "localhost")
    certificates("client", folder, "r1", "r2")
    return folder
