"""Promise: the comparison finds what is lost, not whole, there twice, or from nowhere, and whom to blame."""

from pathlib import Path

from tests.chaos.comparison import Landed, compare
from tests.chaos.faults import Fault, Kind
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.publications import DEVICES, MALFORMED_EVERY, Promise, publication

BY_NAME = {device.name: device for device in DEVICES}
TIME_US = 1_800_000_000_000_000


def published(device: str, number: int, *, after_s: int = 0) -> Entry:
    made = publication(BY_NAME[device], number, TIME_US + number)
    return Entry(made, acknowledged_us=TIME_US + after_s * 1_000_000, sends=1)


def in_lake(entry: Entry, *, different: int = 0, rows: int = 0, after_s: int = 0) -> dict[tuple[str, str], Landed]:
    made = entry.publication
    last_us = TIME_US + after_s * 1_000_000
    return {(made.table, made.key): Landed(different or made.rows, rows or made.rows, last_us)}


def fault(kind: Kind, from_s: int, until_s: int) -> Fault:
    return Fault(kind=kind, detail="", began_us=TIME_US + from_s * 1_000_000, ended_us=TIME_US + until_s * 1_000_000)


def test_whole_publications_are_neither_lost_nor_twice() -> None:
    entries = [published(device.name, number) for device in DEVICES for number in (1, MALFORMED_EVERY)]
    have = {key: row for entry in entries for key, row in in_lake(entry).items()}
    result = compare(entries, have, [])
    assert (result.acknowledged, result.lost, result.duplicated, result.strange) == (len(entries), [], [], [])
    assert result.rejected == len(DEVICES) + 1  # the malformed ones, and the one on a topic that nobody knows


def test_what_is_missing_or_not_whole_is_lost_and_what_was_not_acknowledged_is_not() -> None:
    missing, cut, open_ = published("zebra-1", 1), published("tagtide-1", 2), published("zebra-1", 3)
    open_.acknowledged_us = None
    result = compare([missing, cut, open_], in_lake(cut, different=2, rows=3), [])
    assert result.lost == [missing, cut]


def test_a_second_row_is_a_duplicate_where_the_dialect_has_a_key_and_a_repeat_where_not() -> None:
    keyed, bare = published("sensor-1", 1), published("scale-1", 1)
    assert bare.publication.promise is Promise.AT_LEAST_ONCE
    faults = [fault(Kind.KILL_BRIDGE, 1, 2), fault(Kind.CUT, 5, 6)]
    have = in_lake(keyed, rows=2, after_s=5) | in_lake(bare, rows=2, after_s=1)
    result = compare([keyed, bare], have, faults)
    assert (result.duplicated, result.repeated) == ([keyed], 1)
    assert result.shares[Kind.CUT].duplicated == 1
    assert result.shares[Kind.KILL_BRIDGE].repeated == 1


def test_rows_of_nobody_are_strange() -> None:
    entry = published("till-1", 1)
    result = compare([entry], in_lake(entry) | {("reads", "x 1"): Landed(1, 1, 0)}, [])
    assert result.strange == ["reads: x 1"]


def test_a_loss_is_the_next_broker_death_s() -> None:
    faults = [fault(Kind.CUT, 1, 2), fault(Kind.KILL_MOSQUITTO, 3, 4), fault(Kind.SESSION_LOST, 20, 22)]
    entries = [
        published("zebra-1", 1, after_s=2),
        published("zebra-1", 2, after_s=24),
        published("zebra-1", 3, after_s=60),
    ]
    result = compare(entries, {}, faults)
    assert {kind: share.lost for kind, share in result.shares.items() if share.lost} == {
        Kind.KILL_MOSQUITTO: 1,
        Kind.SESSION_LOST: 2,
    }
    assert result.lost_with_broker == 3


def test_every_publication_of_a_device_has_a_key_of_its_own() -> None:
    keys = {
        (made.table, made.key)
        for device in DEVICES
        for number in range(1, 200)
        for made in [publication(device, number, TIME_US + number)]
    }
    assert len(keys) == 199 * len(DEVICES)


def test_the_ledger_is_on_disk(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    entry = ledger.add(publication(BY_NAME["scale-1"], 7, TIME_US))
    ledger.acknowledge(entry)
    assert '"scale-1", 7, "readings", "0.007"' in (tmp_path / "ledger").read_text()
    assert ledger.acknowledged == 1
    ledger.close()
