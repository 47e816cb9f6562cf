"""The journal remembers plans and checkpoints whole, and lets one process in at a time."""

import sqlite3
from pathlib import Path

import pytest

from analytics.journal import EpochPlan, Journal, JournalError


def plan(epoch: int) -> EpochPlan:
    return EpochPlan(epoch=epoch, position=f"p{epoch}".encode(), through={"store-1": {"edge": epoch * 10}, "": {}})


def test_plans_and_checkpoints_survive_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "jobs" / "journal.db")
    for epoch in (1, 2, 3):
        journal.plan(plan(epoch))
    journal.checkpoint(2, {"store-1": b"state"})
    journal.close()
    again = Journal(tmp_path / "jobs" / "journal.db")
    checkpoint = again.latest()
    assert checkpoint is not None
    assert checkpoint.plan == plan(2)
    assert checkpoint.states == {"store-1": b"state"}
    assert again.planned_after(2) == [plan(3)]
    assert again.planned_after(0) == [plan(2), plan(3)], "plans older than the checkpoint are forgotten"


def test_there_is_one_checkpoint_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    for epoch in (1, 2):
        journal.plan(plan(epoch))
        journal.checkpoint(epoch, {"store-1": b"%d" % epoch})
    checkpoint = journal.latest()
    assert checkpoint is not None
    assert checkpoint.states == {"store-1": b"2"}


def test_a_new_journal_is_empty(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    assert journal.latest() is None
    assert journal.planned_after(0) == []


def test_a_second_process_is_told_who_is_in_the_way(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "jobs" / "journal.db")
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path / "jobs" / "journal.db")
    assert caught.value.code == "jobs_running"
    journal.close()
    Journal(tmp_path / "jobs" / "journal.db").close()


def test_notes_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    assert journal.note("lake") is None
    journal.keep_note("lake", "one")
    journal.keep_note("lake", "other")
    journal.close()
    assert Journal(tmp_path / "journal.db").note("lake") == "other"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE epochs SET through = x'c1'",
        "UPDATE epochs SET through = x'93010203'",
        "DELETE FROM epochs",
        "DROP TABLE checkpoints",
        "ALTER TABLE epochs RENAME COLUMN position TO place",
        "INSERT INTO checkpoints VALUES (1, 'store-2', x'00')",
    ],
)
def test_a_damaged_journal_says_so(tmp_path: Path, damage: str) -> None:
    journal = Journal(tmp_path / "journal.db")
    for epoch in (1, 2):
        journal.plan(plan(epoch))
    journal.checkpoint(2, {"store-1": b"state"})
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute(damage)
    db.close()
    with pytest.raises(JournalError) as caught:
        journal.latest()
    assert caught.value.hint


def test_a_schema_that_is_not_even_text_is_damage_too(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.db").close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_master SET sql = CAST(x'435245415445fdfd' AS TEXT) WHERE name = 'epochs'")
    db.close()
    with pytest.raises(JournalError):
        Journal(tmp_path / "journal.db")


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database at all" * 100)
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            Journal(tmp_path / "journal.db")
        assert caught.value.code == "journal_failed", "a journal that cannot be opened lets go of its lock"
