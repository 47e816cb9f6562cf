"""The judge of a run: what was promised, held against what happens, at once where that is possible."""

from collections import Counter
from collections.abc import Callable, Iterable

from devices.publication import LoggedPublication
from tests.simulation.broker import Listener
from tests.simulation.edge_log import LogFile


class BrokenPromiseError(AssertionError):
    """A promise did not hold."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(f"{promise}: {detail}")
        self.promise = promise


class Judge(Listener):
    """Knows what was published, and what was acknowledged to whom. Payloads are unique, so they are names."""

    def __init__(self, file: LogFile, trace: Callable[[str], None]) -> None:
        self._file = file
        self._trace = trace
        self.accepted: dict[bytes, str] = {}
        """Publications that the broker accepted for the session at QoS 1, and who published them, in order."""
        self.published_times: Counter[bytes] = Counter()
        """How often the broker was given each publication."""
        self.acknowledged_count = 0
        """PUBACKs that the broker took."""
        self._lost_by_broker: list[list[bytes]] = []
        self._excused: set[bytes] = set()

    # What the broker says.

    def acknowledged(self, payload: bytes) -> None:
        """Nothing is acknowledged before it is durable."""
        self._trace(f"PUBACK for {payload!r}")
        self.acknowledged_count += 1
        if payload not in self._file.payloads:
            raise BrokenPromiseError("acknowledged before it was durable", repr(payload))

    def broke_protocol(self, what: str) -> None:
        """Acknowledgements go out in order, on the connection that delivered."""
        raise BrokenPromiseError("acknowledged in order, on the connection that delivered", f"the bridge {what}")

    def session_lost(self, payloads: list[bytes]) -> None:
        """What the broker lost is not ours to land, if we say so."""
        self._trace(f"the broker forgot its session with {len(payloads)} publications")
        lost = [payload for payload in payloads if payload in self.accepted]
        self._excused |= {payload for payload in lost if payload not in self._file.payloads}
        if lost and (self._file.notes or not self._file.disk.has_refused):
            # Else the disk refused to remember that there was a session, and a crash may have followed.
            self._lost_by_broker.append(lost)

    def connack_lost(self) -> None:
        """Whether the session was there is said once, and MQTT has no way to ask again."""
        self._lost_by_broker.clear()

    def excuse(self, payloads: Iterable[bytes]) -> None:
        """These were lost with a disk, before anybody had read them."""
        self._excused.update(payloads)

    # What the bridge says.

    def told(self, code: str) -> None:
        """Take note of an event of the bridge."""
        if code == "mqtt_session_lost":
            self._lost_by_broker.clear()

    # In the end.

    def check_told(self) -> None:
        """What the broker lost is told."""
        if self._lost_by_broker:
            raise BrokenPromiseError("a lost session is told", f"{self._lost_by_broker} went without a word")

    def check_stored(self, rows: Iterable[LoggedPublication]) -> None:
        """Everything accepted is in the log, once for each time that it was delivered at most, in order per device."""
        self.check_order_and_loss([row.publication.payload for row in rows])

    def check_order_and_loss(self, payloads: Iterable[bytes]) -> None:
        """Every accepted publication is there, and the first of each come in the order of their device."""
        seen: dict[bytes, None] = {}
        for payload in payloads:
            seen.setdefault(payload)
        missing = [payload for payload in self.accepted if payload not in seen and payload not in self._excused]
        if missing:
            raise BrokenPromiseError("nothing is lost", f"{len(missing)} publications, the first is {missing[0]!r}")
        for device in set(self.accepted.values()):
            mine = {payload for payload, of in self.accepted.items() if of == device} - self._excused
            sent = [payload for payload in self.accepted if payload in mine]
            found = [payload for payload in seen if payload in mine]
            if sent != found:
                wrong = next(pair for pair in zip(sent, found, strict=True) if pair[0] != pair[1])
                raise BrokenPromiseError("in order per device", f"{wrong[1]!r} came where {wrong[0]!r} was due")

    def check_once(self, payloads: Iterable[bytes]) -> None:
        """No accepted publication is there twice."""
        twice = [payload for payload, times in Counter(payloads).items() if times > 1]
        if twice:
            raise BrokenPromiseError("nothing is there twice", f"{len(twice)} publications, the first is {twice[0]!r}")
