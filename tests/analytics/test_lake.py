"""The lake lands an epoch once, however often and by whomever it is repeated."""

import datetime as dt
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from analytics.follow import LakeFollower
from analytics.lake import Lake, lake_schema, snapshot_files
from analytics.query import ask, connect
from analytics.schemas import LOCATIONS, TABLES
from devices.errors import LakeError, Recovery
from devices.schemas import REJECTS

WHEN = dt.datetime(2026, 11, 22, 23, 59, 59, 999_999, tzinfo=dt.UTC)


def rejects(*topics: str, site: str | None = "store-1") -> dict[str, pa.Table]:
    rows = [
        {
            "site": site,
            "topic": topic,
            "bytes": b"\x00\xff",
            "reason_code": "decode_failed",
            "reason": "no",
            "received_time": WHEN,
            "edge_id": "e",
            "edge_offset": number,
            "edge_index": 0,
        }
        for number, topic in enumerate(topics, 1)
    ]
    return {"rejects": pa.Table.from_pylist(rows, schema=REJECTS)}


def topics_in(data: Path) -> list[str]:
    answer = ask(connect(data), "SELECT topic FROM rejects ORDER BY topic")
    return list(answer["topic"].to_pylist())


def test_an_epoch_is_landed_once_however_often_it_is_committed(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", writer="jobs")
    assert lake.commit(1, rejects("a", "b")) == 2
    assert lake.commit(1, rejects("a", "b")) == 0
    again = Lake(tmp_path / "lake", writer="jobs")
    assert again.committed_epoch("rejects") == 1
    assert again.commit(1, rejects("a", "b")) == 0
    assert again.commit(2, rejects("c")) == 1
    assert topics_in(tmp_path) == ["a", "b", "c"]


def test_an_older_epoch_is_never_written_again(tmp_path: Path) -> None:
    """delta-rs itself would accept it and move the marker backwards."""
    lake = Lake(tmp_path / "lake", writer="jobs")
    lake.commit(5, rejects("a"))
    assert lake.commit(4, rejects("a")) == 0
    assert lake.committed_epoch("rejects") == 5


def test_a_second_writer_of_the_same_name_is_stopped_or_writes_nothing_twice(tmp_path: Path) -> None:
    one, two = (Lake(tmp_path / "lake", writer="jobs") for _ in range(2))
    one.commit(1, rejects("a"))
    assert two.commit(1, rejects("a")) == 0
    assert topics_in(tmp_path) == ["a"]


def test_writers_with_other_names_do_not_see_each_others_epochs(tmp_path: Path) -> None:
    Lake(tmp_path / "lake", writer="one").commit(7, rejects("a"))
    assert Lake(tmp_path / "lake", writer="two").commit(1, rejects("b")) == 1


def test_epochs_survive_compaction_and_log_checkpoints(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", writer="jobs")
    for epoch in range(1, 8):
        lake.commit(epoch, rejects(f"topic-{epoch}"))
    follower = LakeFollower(tmp_path, "rejects")
    assert lake.compact("rejects") == 7
    assert len(snapshot_files(tmp_path / "lake", "rejects")) == 1
    assert follower.new_rows().num_rows == 0, "compaction adds files but no rows"
    reopened = Lake(tmp_path / "lake", writer="jobs")
    assert reopened.commit(7, rejects("topic-7")) == 0
    assert topics_in(tmp_path) == [f"topic-{epoch}" for epoch in range(1, 8)]


def test_values_come_back_as_they_went_in(tmp_path: Path) -> None:
    Lake(tmp_path / "lake", writer="jobs").commit(1, rejects("a", site=None))
    row = ask(connect(tmp_path), "SELECT * FROM rejects").to_pylist()[0]
    assert row["site"] is None
    assert row["bytes"] == b"\x00\xff"
    assert row["received_time"] == WHEN
    assert row["date"] == dt.date(2026, 11, 22), "the partition is the UTC day"


def test_a_follower_sees_each_new_row_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", writer="jobs")
    lake.commit(1, rejects("before"))
    follower = LakeFollower(tmp_path, "rejects")
    lake.commit(2, rejects("a", site="store-1"))
    lake.commit(3, rejects("b", site=None))
    seen = follower.new_rows()
    assert seen["topic"].to_pylist() == ["a", "b"]
    assert seen["site"].to_pylist() == ["store-1", None]
    assert follower.new_rows().num_rows == 0


def test_the_delta_log_is_trimmed_and_epochs_survive_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of a day's commits would make each further commit take a second."""
    short = {"delta.logRetentionDuration": "interval 0 seconds", "delta.checkpointInterval": "10"}
    monkeypatch.setattr("analytics.lake._DELTA_CONFIGURATION", short)
    lake = Lake(tmp_path / "lake", writer="jobs")
    follower = LakeFollower(tmp_path, "rejects")
    for epoch in range(1, 36):
        lake.commit(epoch, rejects(f"{epoch}"))
    lake.compact("rejects")
    assert len(list((tmp_path / "lake" / "rejects" / "_delta_log").glob("*.json"))) < 20
    assert Lake(tmp_path / "lake", writer="jobs").committed_epoch("rejects") == 35
    assert len(topics_in(tmp_path)) == 35
    with pytest.raises(LakeError, match="not followed in time"):
        follower.new_rows()


def test_tables_of_an_older_release_get_the_settings_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as then:
        then.setattr("analytics.lake._DELTA_CONFIGURATION", {"delta.logRetentionDuration": "interval 1 days"})
        Lake(tmp_path / "lake", writer="jobs").commit(1, rejects("a"))
    lake = Lake(tmp_path / "lake", writer="jobs")
    settings = DeltaTable(str(tmp_path / "lake" / "rejects")).metadata().configuration
    assert settings["delta.logRetentionDuration"] == "interval 10 minutes"
    assert lake.commit(2, rejects("b")) == 1
    version = DeltaTable(str(tmp_path / "lake" / "rejects")).version()
    Lake(tmp_path / "lake", writer="jobs")
    assert DeltaTable(str(tmp_path / "lake" / "rejects")).version() == version, "nothing to change, nothing written"


def test_every_table_exists_and_is_empty_in_a_new_lake(tmp_path: Path) -> None:
    Lake(tmp_path / "lake", writer="jobs")
    connection = connect(tmp_path)
    for table, schema in TABLES.items():
        answer = ask(connection, f"SELECT * FROM {table}")
        assert answer.num_rows == 0
        assert answer.column_names == [*schema.names, "date"]


def test_a_full_disk_is_an_error_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path / "lake", writer="jobs")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("analytics.lake.shutil.disk_usage", lambda _: usage._replace(free=1))
    with pytest.raises(LakeError) as caught:
        lake.commit(1, rejects("a"))
    assert caught.value.recovery is Recovery.RETRY
    monkeypatch.undo()
    assert lake.commit(1, rejects("a")) == 1


def test_a_directory_that_is_no_lake_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file, not a folder")
    with pytest.raises(LakeError):
        Lake(tmp_path / "lake", writer="jobs")


def test_a_lake_of_an_older_release_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    """Its rows read as null there, before and after rows of this release land beside them."""
    old_schema = lake_schema("locations").remove(lake_schema("locations").get_field_index("radius_m"))
    row = {
        "site": "s1",
        "epc_hex": "AA",
        "zone": "floor",
        "from_time": dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
        "confidence": 0.9,
        "as_of_time": dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
        "revision": 0,
    }
    old = pa.Table.from_pylist([row | {"date": dt.date(2026, 11, 20)}], schema=old_schema)
    write_deltalake(str(tmp_path / "lake" / "locations"), old, partition_by=["date", "site"])
    question = "SELECT epc_hex, radius_m FROM locations ORDER BY epc_hex"
    assert ask(connect(tmp_path), question).to_pylist() == [{"epc_hex": "AA", "radius_m": None}]
    lake = Lake(tmp_path / "lake", writer="test")
    lake.commit(1, {"locations": pa.Table.from_pylist([row | {"epc_hex": "BB", "radius_m": 1.5}], schema=LOCATIONS)})
    expected = [{"epc_hex": "AA", "radius_m": None}, {"epc_hex": "BB", "radius_m": 1.5}]
    assert ask(connect(tmp_path), question).to_pylist() == expected
    lake.compact("locations")
    assert ask(connect(tmp_path), question).to_pylist() == expected
