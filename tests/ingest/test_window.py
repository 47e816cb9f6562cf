"""The window's four rules, against a broker that is kept as a plain list."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from devices.publication import Publication
from ingest.window import HoldReason, IdleClock, Window, WindowLimits

LIMITS = WindowLimits(publications_max=4, bytes_max=100, delay_us=5_000, retry_us_min=1_000, retry_us_max=6_000)


def publication(number: int = 0, size: int = 1) -> Publication:
    return Publication(topic="t", payload=bytes(size), received_us=number)


def connected_window() -> Window:
    window = Window(LIMITS)
    window.connect()
    return window


def test_what_waits_is_stored_together_after_a_short_while() -> None:
    window = connected_window()
    assert window.store_in_us(0) is None
    window.receive(publication(), packet_id=7, now_us=1_000)
    window.receive(publication(), packet_id=3, now_us=4_000)
    assert window.store_in_us(4_000) == 2_000
    assert window.store_in_us(6_000) == 0
    assert window.store() == [7, 3]
    assert window.store() == []


def test_a_full_window_is_stored_at_once_and_read_no_further() -> None:
    window = connected_window()
    for number in range(4):
        assert window.may_read
        window.receive(publication(), packet_id=number + 1, now_us=0)
    assert not window.may_read
    assert window.store_in_us(0) == 0
    window.store()
    window.receive(publication(size=100), packet_id=9, now_us=0)
    assert not window.may_read
    assert window.store_in_us(0) == 0


def test_acknowledgements_of_a_connection_that_ended_are_dropped_though_all_is_stored() -> None:
    window = connected_window()
    window.receive(publication(1), packet_id=1, now_us=0)
    window.disconnect()
    window.connect()
    window.receive(publication(2), packet_id=1, now_us=0)
    assert [waiting.received_us for waiting in window.waiting] == [1, 2]
    assert window.store() == [1], "only the second one's"
    assert window.acks_dropped == 1


def test_what_a_lost_connection_brings_is_taken_to_twice_the_bounds_and_no_further() -> None:
    """A connection that flaps while the disk is full would otherwise fill the memory."""
    window = connected_window()
    window.hold(HoldReason.LOG_UNAVAILABLE, 0)
    for number in range(8):
        assert window.has_room
        window.receive(publication(number), packet_id=number + 1, now_us=0)
    assert not window.has_room


def test_lost_connections_of_one_hold_bring_no_more_than_that_together_though_it_is_stored() -> None:
    """A connection that flaps while the log is at its bound would otherwise fill the disk with the same again."""
    window = connected_window()
    window.hold(HoldReason.LOG_FULL, 0)
    taken = 0
    for _ in range(5):
        while window.has_room:
            window.receive(publication(taken), packet_id=1, now_us=0)
            taken += 1
        window.store()
    assert taken == 8
    window.release()
    assert window.has_room


def test_what_brought_the_log_to_its_bound_counts_as_brought() -> None:
    """Else a log at its bound could go beyond it by what a lost connection brings, twice."""
    window = connected_window()
    batch = [publication(number) for number in range(7)]
    window.hold(HoldReason.LOG_FULL, 0, stored=batch)
    window.receive(publication(7), packet_id=1, now_us=0)
    assert not window.has_room
    window.hold(HoldReason.LOG_FULL, 1, stored=window.waiting)
    assert not window.has_room, "that is the same hold"


def test_quality_of_service_0_is_stored_and_not_acknowledged() -> None:
    window = connected_window()
    window.receive(publication(), packet_id=0, now_us=0)
    assert len(window.waiting) == 1
    assert window.store() == []
    assert window.acks_dropped == 0


def test_a_log_that_cannot_be_written_is_asked_ever_more_rarely_and_a_full_one_steadily() -> None:
    window = connected_window()
    waits = []
    for _ in range(5):
        window.hold(HoldReason.LOG_UNAVAILABLE, 10)
        waits.append(window.store_in_us(10))
    assert waits == [1_000, 2_000, 4_000, 6_000, 6_000]
    for _ in range(3):
        window.hold(HoldReason.LOG_FULL, 10)
        assert window.store_in_us(10) == 1_000
    assert not window.may_read
    window.release()
    assert window.may_read


class WindowAndBroker(RuleBasedStateMachine):
    """Drives a window as the bridge does, and keeps what the broker and the log would know."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(LIMITS)
        self.now_us = 0
        self.next_number = 0
        self.next_packet_id = 1
        self.logged: list[int] = []
        self.delivered: list[tuple[int, int]] = []  # packet identifier and number, on the present connection
        self.delivered_ever: list[int] = []

    @rule(us=st.integers(0, 10_000))
    def time_passes(self, us: int) -> None:
        self.now_us += us

    @precondition(lambda self: not self.window.connected)
    @rule()
    def connection_begins(self) -> None:
        self.window.connect()
        self.delivered = []
        self.next_packet_id = 1  # identifiers are given anew: an old acknowledgement would hit the wrong one

    @precondition(lambda self: self.window.connected)
    @rule()
    def connection_ends(self) -> None:
        self.window.disconnect()

    @precondition(lambda self: self.window.may_read)
    @rule(size=st.integers(0, 120), acknowledged=st.booleans())
    def publication_arrives(self, *, size: int, acknowledged: bool) -> None:
        packet_id = self.next_packet_id if acknowledged else 0
        self.window.receive(publication(self.next_number, size), packet_id=packet_id, now_us=self.now_us)
        self.delivered_ever.append(self.next_number)
        if acknowledged:
            self.delivered.append((packet_id, self.next_number))
            self.next_packet_id += 1
        self.next_number += 1

    @precondition(lambda self: self.window.store_in_us(self.now_us) == 0)
    @rule()
    def log_takes(self) -> None:
        self.logged += [waiting.received_us for waiting in self.window.waiting]
        connected = self.window.connected
        acks = self.window.store()
        self.window.release()
        assert connected or not acks
        for packet_id in acks:
            oldest_id, number = self.delivered.pop(0)
            assert packet_id == oldest_id, "in the order in which the broker delivered"
            assert number in self.logged, "never before it is stored"
        if connected:
            assert not self.delivered, "everything stored of this connection is acknowledged"

    @precondition(lambda self: self.window.store_in_us(self.now_us) == 0)
    @rule(reason=st.sampled_from(HoldReason))
    def log_refuses(self, reason: HoldReason) -> None:
        self.window.hold(reason, self.now_us)
        assert not self.window.may_read

    @invariant()
    def what_waits_is_bounded(self) -> None:
        assert len(self.window.waiting) <= LIMITS.publications_max
        sizes = [len(waiting.payload) for waiting in self.window.waiting]
        assert sum(sizes[:-1]) < LIMITS.bytes_max

    @invariant()
    def nothing_is_lost_or_reordered(self) -> None:
        assert self.logged + [waiting.received_us for waiting in self.window.waiting] == self.delivered_ever

    @invariant()
    def something_always_happens_next(self) -> None:
        if self.window.connected and not self.window.may_read:
            assert self.window.store_in_us(self.now_us) is not None


TestWindowAndBroker = WindowAndBroker.TestCase
TestWindowAndBroker.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_an_idle_clock_ticks_once_a_second_and_only_while_taking() -> None:
    idle = IdleClock(1_000_000)
    assert not idle.is_due(0, taking=True, any_stored=True)
    assert not idle.is_due(999_999, taking=True, any_stored=True)
    assert idle.is_due(1_000_000, taking=True, any_stored=True)
    idle.reset(1_000_000)
    assert not idle.is_due(1_900_000, taking=True, any_stored=True)
    assert not idle.is_due(5_000_000, taking=False, any_stored=True), "the broker may hold what belongs before now"
    assert not idle.is_due(5_500_000, taking=True, any_stored=True), "what was held has a second to arrive"
    assert idle.is_due(6_000_000, taking=True, any_stored=True)


def test_an_idle_clock_does_not_begin_before_the_first_publication() -> None:
    idle = IdleClock(1_000_000)
    assert not any(idle.is_due(now_us, taking=True, any_stored=False) for now_us in range(0, 10**7, 10**6))
