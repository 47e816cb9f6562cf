"""Promise: a bridge records when it did not listen, once, and never a span that cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.bridge_record import AwayRecord, away_payload, bridge_events
from devices.errors import DecodeError
from ingest.absence import WORTH_US, Absence


def test_the_first_cause_and_time_stand() -> None:
    absence = Absence()
    absence.begin(100, "disconnected")
    absence.begin(5_000_000, "holding")
    record = absence.end(60_000_000, session_lost=False)
    assert record == AwayRecord(from_us=100, until_us=60_000_000, reason="disconnected")
    assert absence.end(90_000_000, session_lost=True) is None, "it listened in between"


def test_a_session_that_was_lost_meanwhile_is_in_the_record_once() -> None:
    absence = Absence()
    absence.begin(100, "holding")
    absence.lose_session()
    absence.lose_session()
    assert absence.end(200, session_lost=False) == AwayRecord(
        from_us=100, until_us=200, reason="holding", session_lost=True
    )
    absence.begin(300, "holding")
    assert absence.end(400, session_lost=False) is None


def test_a_blink_is_not_recorded_unless_it_cost_the_session() -> None:
    for session_lost in (False, True):
        absence = Absence()
        absence.begin(0, "disconnected")
        assert (absence.end(WORTH_US - 1, session_lost=session_lost) is not None) == session_lost


@given(since_us=st.integers(0, 2**52), now_us=st.integers(0, 2**52), cost=st.sampled_from(["time", "session"]))
def test_whatever_the_clock_did_a_record_can_be_decoded(since_us: int, now_us: int, cost: str) -> None:
    session_lost = cost == "session"
    absence = Absence()
    absence.begin(since_us, "stopped")
    record = absence.end(now_us, session_lost=session_lost)
    if record is not None:
        events = bridge_events(away_payload(record))
        assert [event.event for event in events] == ["away", *(["session_lost"] * session_lost)]
        assert all(event.from_us is not None and event.from_us <= now_us == event.until_us for event in events)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b'{"from_us": 2, "until_us": 1, "reason": "x"}'])
def test_anything_else_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        bridge_events(payload)
