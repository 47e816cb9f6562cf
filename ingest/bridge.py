"""The bridge: from the MQTT broker into the edge log, in one thread.

The order that loses nothing:

1. A publication is received at QoS 1 in a persistent session; the broker keeps it until it is acknowledged.
2. With others that arrived within some milliseconds it goes into the edge log in one commit, synced to the disk.
3. Only then its PUBACK is sent, in receive order, on the connection that delivered it.

A crash before 3 means that the broker delivers it again; decoding finds the repeat. While the log cannot take more
(its bound is reached, the disk is full), nothing is read from the socket, so the broker holds the rest; the
connection stays alive, and reading goes on by itself when there is room. What has no acknowledgement (QoS 0), comes
again (DUP) or was retained is stored like everything else.

`ingest.window` owns these rules, `ingest.mqtt_session` the connection, `ingest.log_keeper` the edge log and its bounds,
`ingest.intake` what a delivery becomes, `ingest.session_note` what the broker may have of ours. This file ties them
together, round after round, writes idle clock records, and tells what happens.
"""

import random
import time
from collections.abc import Callable, Sequence
from threading import Event

from devices.bridge_record import BRIDGE_TOPIC, away_payload
from devices.publication import CLOCK_TOPIC, Publication
from ingest.absence import Absence
from ingest.bridge_config import BridgeConfig
from ingest.bridge_report import BridgeEvent, BridgeState, BridgeStats, EventLevel
from ingest.broker_journal import BrokerJournal
from ingest.broker_log import BROKER_LOG_TOPICS
from ingest.edge_log import EdgeLog
from ingest.errors import BrokerJournalError, EdgeLogUnavailableError
from ingest.intake import Intake
from ingest.log_keeper import LogKeeper
from ingest.mqtt_client import SessionConfig, new_client
from ingest.mqtt_loss import NEEDS_A_PERSON, ConnectionLoss
from ingest.mqtt_packets import Delivery
from ingest.mqtt_session import MqttSession
from ingest.mqtt_wire import Wire
from ingest.session_note import SessionNote
from ingest.window import HoldReason, IdleClock, Window

__all__ = ["Bridge", "BridgeConfig", "BridgeEvent", "BridgeState", "BridgeStats", "EventLevel"]

_TURN_S = 0.1  # longest wait of a turn: how soon `stop` is noticed
_JOURNAL_AFTER_US = 1_000_000  # a broker that is back delivers what it still has well within this
_JOURNAL_EVERY_US = 1_000_000


class Bridge:
    """Receives publications and stores them. Make it and run it in one thread."""

    def __init__(
        self,
        config: BridgeConfig,
        log: EdgeLog,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        on_event: Callable[[BridgeEvent], None] = lambda _: None,
        open_wire: Callable[[SessionConfig], Wire] = new_client,
    ) -> None:
        """Make a bridge; nothing happens before `run`.

        Args:
            config: Settings.
            log: Where to store.
            clock: Receive time, microseconds since the epoch, UTC; a demo's may run faster than the world's.
            monotonic: Seconds of the real world, for every wait.
            sleep: Waits, seconds of the real world.
            rng: Jitter of reconnect delays.
            on_event: Told what happens, for people.
            open_wire: Makes what carries the bytes from and to the broker.
        """
        self.stats = BridgeStats()
        """What it has done."""
        self._config = config
        self._log = log
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._on_event = on_event
        self._window = Window(config.window)
        self._keeper = LogKeeper(log, config.log, self.stats)
        self._intake = Intake(self.stats, on_event, broker_log=config.broker_log)
        self._idle = IdleClock()
        self._absence = Absence()
        self._loss_recorded = False  # of a session, in this hold
        # 3.1.1 guarantees 23 characters: 8 of ours and 15 of the log's 32.
        session = SessionConfig(
            url=config.mqtt_url,
            client_id=config.client_id or f"tagtide-{log.edge_id[:15]}",
            keepalive_s=config.keepalive_s,
            payload_bytes_max=config.payload_bytes_max,
            security=config.security,
        )
        self._subscribing_to = set(config.topic_filters) | set(BROKER_LOG_TOPICS if config.broker_log else ())
        self._session = MqttSession(
            session,
            self,
            rng=rng or random.Random(),  # noqa: S311 - jitter
            monotonic=monotonic,
            sleep=sleep,
            open_wire=open_wire,
        )
        self._note = SessionNote(self._keeper, config.mqtt_url, session.client_id)
        self._journal: BrokerJournal | None = None
        if config.broker_journal is not None:
            self._journal = BrokerJournal(config.broker_journal, config.topic_filters, config.payload_bytes_max)
        self._journal_at_us = 0
        self._was_forgotten = False
        self._stored_any = False
        self._ran_dry = False
        self._lost_reason: str | None = None

    @property
    def session_key(self) -> str:
        """Key of the note by which the log remembers that the broker has a session of ours."""
        return self._note.key

    def run(self, stop: Event | Callable[[], bool]) -> None:
        """Receive and store until told to stop; then store what waits, acknowledge it and take leave of the broker.

        Args:
            stop: An event, or a function that is asked ten times a second.

        Raises:
            EdgeLogInUseError: Another process writes this edge log.
            EdgeLogError: The edge log is damaged; what cannot be written now is tried again instead.
        """
        stopped = stop.is_set if isinstance(stop, Event) else stop
        self.start()
        try:
            while not stopped():
                self.turn()
        except BaseException:
            self._close()
            raise
        self.finish()

    def start(self) -> None:
        """Become the log's writer; `turn` then does the work. `run` is all three.

        Raises:
            EdgeLogInUseError: Another process writes this edge log.
        """
        self._log.begin_run(self._clock())
        self._stored_any = self._log.last_offset > 0
        newest_us = self._keeper.attempt(lambda log: log.newest_received_us())
        if newest_us is not None:
            self._absence.begin(newest_us, "stopped")
        self._set_state()
        self._tell(EventLevel.INFO, "bridge_started", f"connecting to {self._config.mqtt_url}")
        hold = self._reason_to_hold()
        if hold is not None:  # or each start of a bridge that is started again and again would go beyond the bound
            self._hold(*hold)

    def finish(self) -> None:
        """Store what waits, acknowledge it and take leave of the broker."""
        try:
            self._store_what_waits()
        finally:
            self._close()
        self._tell(EventLevel.INFO, "bridge_stopped", f"stopped; {self.stats.stored:,} publications stored")

    def _close(self) -> None:
        self._session.close()
        self._window.disconnect()
        self.stats.state = BridgeState.STOPPED

    def turn(self) -> None:
        """Do one round: read what has come, store what is due, trim; waits a tenth of a second at most.

        Raises:
            EdgeLogError: The edge log is damaged.
        """
        store_in_us = self._window.store_in_us(self._now_us())
        wait_s = _TURN_S if store_in_us is None else min(_TURN_S, store_in_us / 1e6)
        holding = self._window.hold_reason is not None
        if self._ran_dry and self._window.waiting and not holding:
            # Trickling traffic: let the socket gather what comes until the commit is due, instead of waking up for
            # each publication (a third of a core at 2,000 a second).
            self._sleep(wait_s)
            wait_s = 0.0
        self._ran_dry = self._session.turn(may_read=self._may_read, holding=holding, wait_s=wait_s)
        if self._window.store_in_us(self._now_us()) == 0:
            self._store_what_waits()
        elif self._idle.is_due(self._now_us(), taking=self._is_taking(), any_stored=self._stored_any):
            self._write_clock_record()
        self._trim()
        self._take_journal()
        self._set_state()

    def _store_what_waits(self) -> None:
        """Steps 2 and 3: commit, then acknowledge; where the log cannot take more, hold."""
        batch = self._window.waiting
        if batch and not self._append(batch):
            return
        self.stats.stored += len(batch)
        acks = self._window.store()
        self._session.acknowledge(acks)
        self.stats.acknowledged += len(acks)
        self._keeper.count(len(batch))
        hold = self._reason_to_hold()
        if hold is not None:
            self._hold(*hold, stored=batch)
        elif self._window.hold_reason is not None:
            self._window.release()
            self._loss_recorded = False
            self.stats.hold_reason = None
            if self._window.connected:
                self._record_absence(session_lost=False)
            self._tell(EventLevel.INFO, "bridge_resumed", "the edge log takes publications again: reading goes on")

    def _append(self, batch: list[Publication]) -> bool:
        error = self._keeper.append(batch)
        if error is not None:
            self._hold(HoldReason.LOG_UNAVAILABLE, str(error))
            return False
        self._stored_any = True
        return True

    def _reason_to_hold(self) -> tuple[HoldReason, str] | None:
        """Return why the log can take no more, even after a trim; `None` where it can."""
        hold = self._keeper.bound(self._window.hold_reason)
        if hold is not None:
            self._trim(at_once=True)
            hold = self._keeper.bound(self._window.hold_reason)
        return hold

    def _trim(self, *, at_once: bool = False) -> None:
        if self._keeper.trim(self._now_us(), at_once=at_once):
            self._note.write_again()

    def _hold(self, reason: HoldReason, why: str, *, stored: Sequence[Publication] = ()) -> None:
        if self._window.hold_reason is not reason:
            text = f"holding: {why}. Nothing is read; the broker keeps what comes"
            self._tell(EventLevel.WARNING, f"bridge_holding_{reason}", text)
            self.stats.holds += 1
            self._absence.begin(self._clock(), "holding")
        self.stats.hold_reason = reason
        self._window.hold(reason, self._now_us(), stored=stored)

    def _take_journal(self) -> None:
        """Store what a broker that died had acknowledged and we have not, once it has delivered what it has."""
        now_us = self._now_us()
        if self._journal is None or now_us < self._journal_at_us or not (self._is_taking() and self._ran_dry):
            return
        self._journal_at_us = now_us + _JOURNAL_EVERY_US
        try:
            left = self._journal.left()
            live = self._journal.live() if self._was_forgotten else []
            if not left and not live:
                return
            self._store_what_waits()
            lost = self._journal.lost([*left, *live], self._log, self._clock()) if not self._window.waiting else None
            if lost is None or (lost and not self._append(lost)):
                return
            self._was_forgotten = False
            self.stats.taken_from_journal += len(lost)
            self._journal.remove(left)
        except (BrokerJournalError, EdgeLogUnavailableError) as error:
            self._tell(EventLevel.ERROR, error.code, f"{error}")
            return
        text = f"of what the broker had acknowledged, {len(lost):,} publications were in its journal alone: stored now"
        self._tell(EventLevel.WARNING if lost else EventLevel.INFO, "broker_journal_taken", text)

    def _write_clock_record(self) -> None:
        now_us = self._clock()
        self._idle.reset(self._now_us())
        last_us = self._intake.last_received_us
        if last_us is not None and now_us <= last_us:
            return  # the clock was set back: it does not know more than the last publication did
        record = Publication(topic=CLOCK_TOPIC, payload=b"", received_us=now_us, qos=0)
        if self._keeper.attempt(lambda log: log.append([record])):
            self.stats.clock_records += 1
            hold = self._reason_to_hold()
            if hold is not None:  # a silent site may reach a bound too
                self._hold(*hold)

    def _record_absence(self, *, session_lost: bool) -> None:
        """Record that nothing was heard for a while, in front of what comes now."""
        now_us = self._clock()
        record = self._absence.end(now_us, session_lost=session_lost)
        if record is not None:
            told = Publication(topic=BRIDGE_TOPIC, payload=away_payload(record), received_us=now_us, qos=0)
            self._window.receive(told, packet_id=0, now_us=self._now_us())

    def _record_loss_in_hold(self) -> None:
        """Record that a session was lost while nothing is read: the first of a hold at once, the others when it ends.

        A broker that forgets our session with every connection would fill memory or log, one record each time.
        """
        if self._loss_recorded:
            self._absence.lose_session()
            return
        self._record_absence(session_lost=True)
        self._absence.begin(self._clock(), "holding")  # for it still does
        self._loss_recorded = True

    def _may_read(self) -> bool:
        return self._window.may_read

    def _is_taking(self) -> bool:
        return self._window.connected and self._window.hold_reason is None

    def _set_state(self) -> None:
        if self._window.hold_reason is not None:
            self.stats.state = BridgeState.HOLDING
        else:
            self.stats.state = BridgeState.RECEIVING if self._window.connected else BridgeState.CONNECTING

    def _now_us(self) -> int:
        return int(self._monotonic() * 1e6)

    def _tell(self, level: EventLevel, code: str, text: str) -> None:
        self._on_event(BridgeEvent(level=level, code=code, text=text))

    # What the session tells us.

    def on_connected(self, *, session_present: bool) -> None:
        """Begin an epoch, and subscribe: a session may have been kept without ever getting its subscription."""
        again = self._window.epoch > 0
        self.stats.reconnects += again
        self._lost_reason = None
        self.stats.connected, self.stats.problem = True, None
        self._window.connect()
        self._journal_at_us = self._now_us() + _JOURNAL_AFTER_US
        self._was_forgotten |= not session_present
        known = self._note.known()
        session_lost = bool(known) and not session_present
        if session_lost:
            self.stats.sessions_lost += 1
            self._tell(
                EventLevel.ERROR,
                "mqtt_session_lost",
                f"{self._config.mqtt_url} had forgotten our session: what it held for us may be lost. "
                "Check its persistence settings (deploy/mosquitto/README.md)",
            )
        if self._window.hold_reason is None:
            self._record_absence(session_lost=session_lost)
        elif session_lost:
            self._record_loss_in_hold()
        former = known - self._subscribing_to
        if former and session_present:
            self._session.unsubscribe(sorted(former))
        # Noted before it is asked for: should we die in between, the next run knows what a lost session may have held.
        self._note.write(known | self._subscribing_to)
        unqueued = sorted(self._subscribing_to - set(self._config.topic_filters))
        self._session.subscribe(self._config.topic_filters, unqueued=unqueued)
        self._tell(EventLevel.INFO, "mqtt_connected", f"{'re' if again else ''}connected to {self._config.mqtt_url}")

    def on_lost(self, loss: ConnectionLoss, retry_in_s: float) -> None:
        """End the epoch; of a row of failures those are told whose reason is new, the others only counted."""
        was_connected = self._window.connected
        if was_connected:
            self._absence.begin(self._clock(), "disconnected")
        self._window.disconnect()
        self.stats.connected, self.stats.problem = False, str(loss)
        self.stats.connections_lost += 1
        self.stats.losses[loss.code] = self.stats.losses.get(loss.code, 0) + 1
        if not was_connected and loss.reason == self._lost_reason:
            return
        self._lost_reason = loss.reason
        what = "lost" if was_connected else "cannot reach"
        text = f"{what} {self._config.mqtt_url}: {loss}; trying again, first in {retry_in_s:.1f} s"
        if loss.code in NEEDS_A_PERSON:
            self._tell(EventLevel.ERROR, f"mqtt_{loss.code}", text)
        else:
            self._tell(EventLevel.WARNING, "mqtt_connection_lost" if was_connected else "mqtt_unreachable", text)

    def on_subscribed(self, *, refused: bool) -> None:
        """Remember that the broker has a session of ours, and with which subscriptions."""
        filters = ", ".join(self._config.topic_filters)
        self.stats.subscribed = not refused
        if refused:
            self.stats.subscriptions_refused += 1
            text = f"{self._config.mqtt_url} refuses the subscription to {filters}: check its access rules"
            self._tell(EventLevel.ERROR, "mqtt_subscription_refused", text)
            return
        self._note.write(self._subscribing_to)

    def on_delivery(self, delivery: Delivery) -> None:
        """Step 1: take a publication in; where that is too many, the broker keeps it."""
        if self._intake.is_of_broker(delivery):
            return
        if not self._window.has_room:
            self.stats.left_to_broker += 1
            return
        publication = self._intake.publication(delivery, self._clock())
        now_us = self._now_us()
        self._idle.reset(now_us)
        self._window.receive(publication, packet_id=delivery.packet_id, now_us=now_us)

    def on_published(self, packet_id: int) -> None:
        """Nothing is published by a bridge."""
        raise AssertionError(f"PUBACK {packet_id} for a bridge that publishes nothing")
