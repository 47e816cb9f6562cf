"""Promise: a part of the harness that dies ends the run, and says of what."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.chaos import rounds
from tests.chaos.device import Publisher
from tests.chaos.harness_thread import HarnessError
from tests.chaos.ledger import Ledger
from tests.chaos.links import Link
from tests.chaos.publications import DEVICES

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def break_down(*_: object) -> bool:
    raise ValueError("a thing nobody has thought of")


def test_a_link_that_dies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = Link("test", server.getsockname()[1])
        link.check()
        monkeypatch.setattr(link, "_register", break_down)
        link._thread.join(10)
        with pytest.raises(HarnessError, match=r"link test has died of ValueError.*nobody has thought of"):
            link.check()
        link.close()


def test_a_device_that_dies_is_noticed_by_whoever_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a wait whose condition stays false, or raises; and long before anything looks stuck."""
    ledger = Ledger(tmp_path / "ledger")
    ledger.close()
    device = Publisher(DEVICES[0], 1, ledger, rate_per_s=1.0, seed=1)
    monkeypatch.setattr(device, "_connected", break_down)
    device.start()
    device.join(10)
    stack = SimpleNamespace(check=device.check)
    for condition in (lambda: False, break_down):
        with pytest.raises(HarnessError, match=f"{DEVICES[0].name} has died"):
            rounds._await(cast("Any", stack), condition, "it is idle")
