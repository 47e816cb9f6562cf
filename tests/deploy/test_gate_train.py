"""`tagtide gate train` learns from labels and landed reads, and says everything that is wrong with a file of labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analytics.data_directory import DataDirectory
from analytics.lake import Lake
from analytics.schemas import TABLES
from devices.site.gate_model import GateModelFile, read_gate_model
from devices.site.model import Gate, GateKind, Site
from simulators.gate.motion import DIRECTIONS, draw_path
from simulators.gate.physics import draw_gate, hear
from tests.deploy.command_line import tagtide

BEGIN_US = 1_772_438_400_000_000
GATE = Gate(id="dock-1", kind=GateKind.DOCK, inside=("r1:2",), outside=("r1:1",), inside_zone="in")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a load of two items for each direction, one a minute, and their labels."""
    rng = np.random.default_rng(4)
    law = draw_gate(rng)
    rows: list[dict[str, object]] = []
    labels = ["from_time,until_time,direction,epc_hex"]
    for number, direction in enumerate(DIRECTIONS):
        path = draw_path(direction, rng)
        begin_us = BEGIN_US + number * 120_000_000
        for tag in range(2):
            heard = hear(law, path, offset_m=(0.1 * tag, 0.0), tags=2, rng=rng)
            rows += [
                _read(len(rows) + place, begin_us + int(at_s * 1e6), f"30{tag:02}", 1 + int(side), float(rssi))
                for place, (at_s, side, rssi) in enumerate(zip(heard.at_s, heard.side, heard.rssi_dbm, strict=True))
            ]
        stamps = [str(np.datetime64(begin_us + span, "us")) + "Z" for span in (0, 100_000_000)]
        labels.append(f"{stamps[0]},{stamps[1]},{direction},{'3001' if number == 0 else ''}")
    data = tmp_path_factory.mktemp("gate") / "data"
    lake = Lake(DataDirectory(data).lake, writer="test")
    lake.commit(1, {"reads": pa.Table.from_pylist(rows, schema=TABLES["reads"])})
    DataDirectory(data).keep_sites([Site(id="s", gates=(GATE,)), Site(id="t")])
    (data.parent / "labels.csv").write_text("\n".join(labels) + "\n")
    return data


def _read(place: int, time_us: int, epc: str, port: int, rssi_dbm: float) -> dict[str, object]:
    time = {"event_time": time_us, "received_time": time_us, "event_time_source": "read", "late": False}
    where = {"edge_id": "e", "edge_offset": place, "edge_index": 0}
    return {"site": "s", "reader": "r1", "antenna": port, "epc_hex": epc, "rssi_dbm": rssi_dbm, **time, **where}


def test_a_model_is_learnt_and_says_what_it_is_worth(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "dock-1.json"
    labels = stored.parent / "labels.csv"
    ended = tagtide("gate", "train", "--data", stored, "--gate", "dock-1", "--passages", labels, "--out", out)
    assert ended.code == 0, ended.err
    assert "8 passages in 5 loads: 2 outbound" in ended.err
    assert "right on loads whose labels were not used: shipped" in ended.err
    assert 'model = "dock-1.json"' in ended.err
    model = read_gate_model(out)
    assert isinstance(model, GateModelFile)
    assert model.name == "dock-1"
    assert model.floor_db is not None
    assert "8 labelled passages" in model.made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "has no labels, or lacks one of the columns"),
        ("from_time,until_time\n1,2\n", "lacks one of the columns"),
        (
            "from_time,until_time,direction\n1-1,2026-01-02,in\nx,2026-01-02,static\n2026-01-02,2026-01-01,static\n",
            "line 2: unknown direction",
        ),
        ("from_time,until_time,direction\n2020-01-01,2020-01-02,static\n", "the lake has no reads of gate dock-1"),
    ],
)
def test_labels_that_cannot_be_used(stored: Path, tmp_path: Path, text: str, expected: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(text)
    ended = tagtide(
        "gate", "train", "--data", stored, "--gate", "dock-1", "--passages", labels, "--out", tmp_path / "x.json"
    )
    assert ended.code == 2
    said = " ".join(ended.err.split())
    assert expected in said
    if "line 2" in expected:
        assert "line 3: from_time" in said
        assert "line 4: until_time is before" in said


def test_a_gate_that_is_not_there(stored: Path, tmp_path: Path) -> None:
    labels = stored.parent / "labels.csv"
    ended = tagtide(
        "gate", "train", "--data", stored, "--gate", "dock1", "--passages", labels, "--out", tmp_path / "x.json"
    )
    assert ended.code == 2
    assert 'did you mean "dock-1"' in ended.err
