"""Telemetry of a running command, put together: who reports, to whom, and who serves it.

The process that was given `--http` serves for itself and for the processes that it starts; those find the way to it
in their environment. Where neither is the case nothing runs and nothing is gathered.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from deploy.telemetry.address import HttpAddress
from deploy.telemetry.board import Board
from deploy.telemetry.channel import VARIABLE, Channel, Sender, Sink, inherited
from deploy.telemetry.health import Health, alive, ready
from deploy.telemetry.process_figures import tell_process
from deploy.telemetry.report import Progress, Report, Told
from devices.events import Event, EventLevel, OnEvent, ignore

if TYPE_CHECKING:
    from deploy.telemetry.endpoint import Endpoint, Page

REPORT_INTERVAL_S = 1.0
"""How often a process reports: fresh enough for a scrape every 5 to 60 s, some milliseconds of work each time."""

Look = Callable[[Told], None]
"""Adds one part of a report."""


class Monitoring:
    """What a command does to be monitored. Without an endpoint anywhere, every call does nothing."""

    def __init__(self, sink: Sink | None = None, board: Board | None = None, descriptor: int | None = None) -> None:
        self.descriptors: tuple[int, ...] = () if descriptor is None else (descriptor,)
        """Descriptors that children must inherit to report; none where nobody listens."""
        self.environment: dict[str, str] = {} if descriptor is None else {VARIABLE: str(descriptor)}
        """Environment variables by which they know that."""
        self._sink = sink
        self._board = board

    @contextlib.contextmanager
    def reporting(self, component: str, progress: Progress, looks: Sequence[Look]) -> Iterator[None]:
        """Report once a second while the block runs.

        Args:
            component: Which process this is.
            progress: When its main loop last went round.
            looks: Each adds one part; one that fails leaves the others as they are.
        """
        if self._sink is None:
            yield
            return
        ended = threading.Event()
        reporter = _Reporter(component, progress, looks, self._sink)
        thread = threading.Thread(target=reporter.run, args=(ended,), name="telemetry", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(REPORT_INTERVAL_S)

    def restarted(self, component: str) -> None:
        """Tell that a child was started again."""
        if self._board is not None:
            self._board.expect_again(component)


class _Reporter:
    def __init__(self, component: str, progress: Progress, looks: Sequence[Look], sink: Sink) -> None:
        self._component = component
        self._progress = progress
        self._looks = looks
        self._sink = sink
        self._started = time.time()
        self._failures = 0

    def run(self, ended: threading.Event) -> None:
        while True:
            self._sink(self._report())
            if ended.wait(REPORT_INTERVAL_S):
                return

    def _report(self) -> Report:
        told = Told()
        for look in (self._tell_process, *self._looks):
            part = Told()
            try:
                look(part)
            except Exception:  # noqa: BLE001 - a full disk, a locked log, our own bug: counted, and the rest is told
                self._failures += 1
                continue
            told.samples += part.samples
            told.checks += part.checks
        told.put("tagtide_telemetry_failures_total", self._failures, self._component)
        return Report(
            component=self._component,
            pid=os.getpid(),
            at_s=time.monotonic(),
            progressed_s=self._progress.last_s,
            progress_limit_s=self._progress.limit_s,
            samples=told.samples,
            checks=told.checks,
        )

    def _tell_process(self, told: Told) -> None:
        tell_process(told, self._component, self._started)


@contextlib.contextmanager
def monitoring(http: HttpAddress | None, expected: Sequence[str], on_event: OnEvent = ignore) -> Iterator[Monitoring]:
    """Serve over HTTP while the block runs, or report to the process that does.

    Args:
        http: Where to serve; `None` for not at all.
        expected: The processes of this command that report.
        on_event: Told where it serves, and who was refused.

    Raises:
        HttpAddressError: The address cannot be had.
    """
    if http is None:
        descriptor = inherited(os.environ)
        if descriptor is None:
            yield Monitoring()
            return
        with contextlib.closing(Sender(descriptor)) as send:
            yield Monitoring(sink=send, descriptor=descriptor)
        return
    board = Board(expected)
    channel = Channel()
    endpoint = _endpoint(http, board, on_event)
    ended = threading.Event()
    receiving = threading.Thread(target=channel.receive, args=(board.put, ended.is_set), name="reports", daemon=True)
    try:
        receiving.start()
        endpoint.start()
        text = f"metrics on {endpoint.address}/metrics, health on /healthz and /readyz"
        on_event(Event(level=EventLevel.INFO, code="http_serving", text=text))
        yield Monitoring(sink=board.put, board=board, descriptor=channel.descriptor)
    finally:
        endpoint.close()
        ended.set()
        receiving.join()
        channel.close()


def _endpoint(http: HttpAddress, board: Board, on_event: OnEvent) -> "Endpoint":
    from deploy.telemetry.endpoint import Endpoint, Page  # and Python's HTTP server with it: only where it serves

    def metrics(accept: str) -> Page:
        from deploy.telemetry.collector import exposition

        content_type, body = exposition(board, accept, endpoint.answered)
        return Page(body=body, content_type=content_type)

    pages = {
        "/metrics": metrics,
        "/healthz": lambda _: _page(alive(board.states())),
        "/readyz": lambda _: _page(ready(board.states())),
    }

    def refused(client: str) -> None:
        text = f"a request from {client} was refused: no token, or a wrong one"
        on_event(Event(level=EventLevel.WARNING, code="http_unauthorized", text=text, fields={"client": client}))

    endpoint = Endpoint(http, pages, on_refused=refused)
    return endpoint


def _page(health: Health) -> "Page":
    from deploy.telemetry.endpoint import Page

    status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
    body = msgspec.json.format(msgspec.json.encode(health), indent=2) + b"\n"
    return Page(body=body, content_type="application/json", status=status)
