"""What a silence says: by how often an item is heard as a rule, by dark readers, by what has moved or is lost."""

import numpy as np
import pytest

from analytics.counting.hearing import Hearing, Presence, Ways

SECOND = 1_000_000
LEAVES = Ways(hazard=1e-4, loss=0.0)


def regular(*, until_s: int, every_s: dict[str, int], reader: str = "r1") -> tuple[np.ndarray, list[str], list[str]]:
    """Return reads of items that are heard at regular intervals."""
    rows = sorted((at * SECOND, epc, reader) for epc, gap in every_s.items() for at in range(gap, until_s + 1, gap))
    times, epcs, readers = zip(*rows, strict=True)
    return np.array(times, dtype=np.int64), list(epcs), list(readers)


def heard(hearing: Hearing, rows: tuple[np.ndarray, list[str], list[str]], after_s: int = 0) -> Hearing:
    times, epcs, readers = rows
    hearing.take(times + after_s * SECOND, epcs, readers)
    return hearing


def told(hearing: Hearing, epc: str, now_s: int, then_s: int | None = None, ways: Ways = LEAVES) -> Presence:
    found = hearing.presence(epc, now_s * SECOND, (now_s if then_s is None else then_s) * SECOND, 0, ways)
    assert found is not None
    return found


def there(presence: Presence) -> float:
    return presence.now / (presence.now + presence.after + presence.before)


def busy(more_s: int = 600) -> Hearing:
    """Items heard every 4 and every 40 seconds for an hour, and another that goes on to be heard for a while."""
    hearing = heard(Hearing(), regular(until_s=3600, every_s={"often": 4, "seldom": 40, "other": 5}))
    return heard(hearing, regular(until_s=more_s, every_s={"other": 5}), after_s=3600)


def test_the_same_silence_says_more_of_what_is_heard_often() -> None:
    soon, late = busy(60), busy(600)
    assert there(told(soon, "often", 3660)) < there(told(soon, "seldom", 3660))
    assert there(told(soon, "seldom", 3660)) > 0.9
    assert there(told(late, "seldom", 4200)) < there(told(soon, "seldom", 3660))
    assert there(told(late, "other", 4200)) == 1.0


def test_who_left_before_a_time_and_who_after_it() -> None:
    late = told(busy(), "often", 4200, then_s=3601)
    early = told(busy(), "often", 4200, then_s=4190)
    assert late.before < late.after
    assert early.before > early.after
    assert late.before + late.after == pytest.approx(early.before + early.after)


def test_the_silence_of_a_dark_reader_is_none_of_its_items() -> None:
    hearing = heard(Hearing(), regular(until_s=3600, every_s={"item": 4, "beside": 4}))
    heard(hearing, regular(until_s=600, every_s={"elsewhere": 4}, reader="r2"), after_s=3600)
    assert there(told(hearing, "item", 4200)) > 0.9


def test_what_was_seen_by_other_means_has_left_since_if_at_all() -> None:
    seen = busy().presence("often", 4200 * SECOND, 4200 * SECOND, 4190 * SECOND, LEAVES)
    assert seen is not None
    assert seen.before < told(busy(), "often", 4200).before


def test_an_item_may_be_lost_to_readers_and_there() -> None:
    lost = Ways(hazard=1e-4, loss=1e-4)
    assert there(told(busy(), "often", 4200, ways=lost)) == pytest.approx(0.5, abs=0.1)
    assert there(told(busy(), "often", 4200, ways=LEAVES)) < 0.05


def test_what_is_new_says_nothing_and_what_has_moved_says_less() -> None:
    hearing = busy()
    assert hearing.presence("nobody", SECOND, SECOND, 0, LEAVES) is None
    heard(hearing, regular(until_s=10, every_s={"new": 10}), after_s=4200)
    assert hearing.presence("new", 4300 * SECOND, 4300 * SECOND, 0, LEAVES) is None
    before = there(told(hearing, "often", 4300))
    hearing.move(["often", "nobody"])
    assert there(told(hearing, "often", 4300)) > before


def test_chunks_change_nothing_and_bytes_keep_everything() -> None:
    times, epcs, readers = regular(until_s=900, every_s={"a": 3, "b": 7, "c": 50})
    whole = heard(Hearing(), (times, epcs, readers))
    parts = Hearing()
    for start in range(0, len(times), 37):
        part = slice(start, start + 37)
        parts.take(times[part], epcs[part], readers[part])
        parts = Hearing.load(parts.dump())
    assert parts.dump() == whole.dump()
    assert told(parts, "a", 1000) == told(whole, "a", 1000)
    assert parts.heard_us("a") == 900 * SECOND


def test_what_was_not_heard_for_a_day_is_forgotten() -> None:
    hearing = busy()
    heard(hearing, regular(until_s=4, every_s={"next day": 4}), after_s=3 * 24 * 3600)
    assert hearing.epcs == ["next day"]
    assert hearing.heard_us("often") == 0
