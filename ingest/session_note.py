"""What the broker may have of ours, as the edge log remembers it: a session, and its subscriptions.

A broker that says it has no session of ours has either never had one, or has lost it, and with it what it held for us.
Only a note that outlives the process can tell these apart. It is written before anything is asked of the broker.
"""

import json

from ingest.log_keeper import LogKeeper
from ingest.mqtt_url import MqttUrl


class SessionNote:
    """The note about one session at one broker."""

    def __init__(self, keeper: LogKeeper, url: MqttUrl, client_id: str) -> None:
        """Name the note; nothing is read or written yet."""
        self.key = f"mqtt_session:{url.host}:{url.port}:{client_id}"
        """Key of the note in the edge log."""
        self._keeper = keeper
        self._topic_filters: set[str] = set()
        self._is_written = True

    def known(self) -> set[str]:
        """Return what the broker may have a subscription of ours for; nothing where it has no session of ours."""
        noted = self._keeper.attempt(lambda log: log.note(self.key))
        return self._topic_filters if noted is None else self._topic_filters | set(json.loads(noted))

    def write(self, topic_filters: set[str]) -> None:
        """Remember that the broker has a session of ours, and with which subscriptions."""
        self._topic_filters = topic_filters
        noted = json.dumps(sorted(topic_filters))
        self._is_written = self._keeper.attempt(lambda log: log.note(self.key)) == noted or (
            self._keeper.attempt(lambda log: log.append([], note=(self.key, noted))) is not None
        )

    def write_again(self) -> None:
        """Write what the log has refused."""
        if not self._is_written:
            self.write(self._topic_filters)
