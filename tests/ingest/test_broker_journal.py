"""Promise: what a broker acknowledged and lost is taken from its journal, once, and never what we have already."""

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import Recovery
from devices.publication import LoggedPublication, Publication
from ingest.broker_journal import BrokerJournal, JournalEntry, entries_of
from ingest.edge_log import EdgeLog
from ingest.errors import BrokerJournalError

NOW_US = 1_800_000_000_000_000

entries = st.builds(
    JournalEntry,
    topic=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    payload=st.binary(max_size=50),
    qos=st.sampled_from([1, 2]),
    received_us=st.integers(0, 2**63 - 1),
)


def record(entry: JournalEntry) -> bytes:
    """Return an entry as the plugin writes it."""
    topic = entry.topic.encode()
    head = entry.received_us.to_bytes(8, "little") + bytes([entry.qos, 0]) + len(topic).to_bytes(2, "little")
    checked = head + topic + entry.payload
    return len(checked).to_bytes(4, "little") + zlib.crc32(checked).to_bytes(4, "little") + checked


def entry(payload: str, *, topic: str = "r/1", at_us: int = NOW_US) -> JournalEntry:
    return JournalEntry(topic=topic, payload=payload.encode(), qos=1, received_us=at_us)


def written(folder: Path, name: str, *found: JournalEntry) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"".join(map(record, found)))
    return folder / name


def lost(folder: Path, log: EdgeLog, *, filters: tuple[str, ...] = ("#",), payload_bytes_max: int = 1000) -> list[str]:
    journal = BrokerJournal(folder, filters, payload_bytes_max)
    return [f"{each.topic} {each.payload.decode()}" for each in journal.lost(journal.left(), log, NOW_US + 5)]


def stored(log: EdgeLog, *payloads: str, at_us: int = NOW_US) -> None:
    log.append([Publication(topic="r/1", payload=text.encode(), received_us=at_us) for text in payloads])


@given(st.lists(entries, max_size=5), st.integers(0, 200), st.binary(max_size=30))
def test_whole_records_are_read_and_what_broke_off_is_not(found: list[JournalEntry], cut: int, rubbish: bytes) -> None:
    data = b"".join(map(record, found))
    assert list(entries_of(data)) == found
    whole = list(entries_of(data[:cut]))
    assert whole == found[: len(whole)]
    assert sum(len(record(each)) for each in whole) <= cut
    assert list(entries_of(data + rubbish))[: len(found)] == found


def test_a_changed_byte_ends_the_file() -> None:
    data = bytearray(record(entry("one")) + record(entry("two")))
    data[-1] ^= 1
    assert [each.payload for each in entries_of(bytes(data))] == [b"one"]


def test_what_the_log_lacks_is_lost_as_often_as_it_lacks_it(tmp_path: Path) -> None:
    log = EdgeLog.open(tmp_path)
    stored(log, "1.5", "2.5")
    written(tmp_path / "journal", "left-1-0", entry("1.5"), entry("2.5"))
    written(tmp_path / "journal", "left-1-1", entry("1.5"), entry("3.5"))
    written(tmp_path / "journal", "current", entry("9"))
    assert lost(tmp_path / "journal", log) == ["r/1 1.5", "r/1 3.5"]
    log.close()


def test_equal_publications_of_long_ago_do_not_count(tmp_path: Path) -> None:
    log = EdgeLog.open(tmp_path)
    stored(log, *["1.5"] * 30, at_us=NOW_US - 3_600_000_000)
    stored(log, *["7"] * 30, at_us=NOW_US)
    written(tmp_path / "journal", "left-1-1", entry("1.5"))
    assert lost(tmp_path / "journal", log) == ["r/1 1.5"]
    log.close()


def test_only_what_we_subscribe_to_is_ours(tmp_path: Path) -> None:
    log = EdgeLog.open(tmp_path)
    written(tmp_path / "journal", "left-1-1", entry("a"), entry("b", topic="other/1"), entry("c", topic="$x/1"))
    assert lost(tmp_path / "journal", log, filters=("r/+",)) == ["r/1 a"]
    assert lost(tmp_path / "journal", log) == ["r/1 a", "other/1 b"]
    log.close()


def test_an_oversized_publication_is_what_the_bridge_would_have_stored(tmp_path: Path) -> None:
    log = EdgeLog.open(tmp_path)
    written(tmp_path / "journal", "left-1-1", entry("0123456789"))
    assert lost(tmp_path / "journal", log, payload_bytes_max=4) == ["$tagtide/oversized/10/r/1 0123456789"]
    log.append([Publication(topic="$tagtide/oversized/10/r/1", payload=b"0123456789", received_us=NOW_US)])
    assert lost(tmp_path / "journal", log, payload_bytes_max=4) == []
    log.close()


def test_removed_files_are_gone_and_a_missing_folder_is_an_empty_one(tmp_path: Path) -> None:
    journal = BrokerJournal(tmp_path / "journal", ("#",), 1000)
    assert journal.left() == []
    written(tmp_path / "journal", "left-1-1", entry("a"))
    written(tmp_path / "journal", "current", entry("b"))
    journal.remove(journal.left())
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["current"]


class LogWithJumps:
    """Rows whose offsets jump, as after a restart."""

    def __init__(self, rows: list[LoggedPublication]) -> None:
        self._rows = rows
        self.first_offset = rows[0].edge_offset
        self.last_offset = rows[-1].edge_offset
        self.reads = 0

    def read(self, after: int, limit_rows: int, limit_bytes: int) -> list[LoggedPublication]:
        assert limit_bytes > 0
        self.reads += 1
        return [row for row in self._rows if row.edge_offset > after][:limit_rows]


def test_the_place_in_a_log_with_jumps_is_found_quickly(tmp_path: Path) -> None:
    offsets = [*range(1, 500), *range(10**15, 10**15 + 500)]
    log = LogWithJumps(
        [
            LoggedPublication(
                edge_offset=offset,
                publication=Publication(topic="r/1", payload=b"%d" % offset, received_us=NOW_US + number * 1_000_000),
            )
            for number, offset in enumerate(offsets)
        ]
    )
    written(tmp_path / "journal", "left-1-1", entry(str(10**15 + 499), at_us=NOW_US + 998_000_000))
    journal = BrokerJournal(tmp_path / "journal", ("#",), 1000)
    assert journal.lost(journal.left(), log, NOW_US) == []
    assert log.reads < 60


def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    log = EdgeLog.open(tmp_path)
    (tmp_path / "journal" / "left-1-1").mkdir(parents=True)  # reading it fails for root, too
    with pytest.raises(BrokerJournalError, match=r"left-1-1 cannot be used: Is a directory") as caught:
        lost(tmp_path / "journal", log)
    assert caught.value.recovery is Recovery.RETRY
    assert caught.value.hint is not None
    assert "remove its files" in caught.value.hint
    log.close()
