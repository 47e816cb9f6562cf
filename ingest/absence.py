"""When a bridge did not listen, and whether that is worth a record in the edge log. No I/O."""

from devices.bridge_record import AwayRecord

WORTH_US = 5_000_000
"""A shorter absence is no cause for anything: a reader is silent after a minute at the earliest, and a connection that
flaps would fill the log with records."""


class Absence:
    """States: listening -> (`begin`) away -> (`end`) listening. Times are of the bridge's wall clock, microseconds."""

    def __init__(self) -> None:
        self._since_us: int | None = None
        self._reason = ""
        self._session_lost = False

    def begin(self, since_us: int, reason: str) -> None:
        """Listening has ended; where it had ended before, that stands.

        Args:
            since_us: Until when it was listened.
            reason: As in `AwayRecord`.
        """
        if self._since_us is None:
            self._since_us, self._reason = since_us, reason

    def lose_session(self) -> None:
        """The broker has forgotten our session meanwhile: the record of this absence will say so."""
        self._session_lost = True

    def end(self, now_us: int, *, session_lost: bool) -> AwayRecord | None:
        """Listening goes on; return what is to be recorded, `None` where it is not worth it.

        A clock that was set back meanwhile makes the span empty: nobody knows how long it was.
        """
        since_us, self._since_us = self._since_us, None
        session_lost, self._session_lost = session_lost or self._session_lost, False
        if since_us is None or (now_us - since_us < WORTH_US and not session_lost):
            return None
        from_us = max(0, min(since_us, now_us))
        return AwayRecord(from_us=from_us, until_us=now_us, reason=self._reason, session_lost=session_lost)
