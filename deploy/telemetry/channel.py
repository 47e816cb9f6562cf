"""The way of reports between processes: datagrams on a socket pair that children inherit from who serves them.

A datagram arrives whole or not at all, so several processes may share the sending end, and one that dies leaves no
half a report. Sending never waits: where nobody takes reports they are lost, and the next one says as much.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Mapping

import msgspec

from deploy.telemetry.report import Report

VARIABLE = "TAGTIDE_REPORT_FD"
"""Environment variable by which a child knows the descriptor to report to."""

DATAGRAM_BYTES_MAX = 200_000
"""Linux lets a datagram have 212,992 bytes by default. A report has about 5 kB, and 160 bytes for each reader."""

_POLL_S = 0.5
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Report)

Sink = Callable[[Report], None]


class Channel:
    """Both ends of a way for reports; the serving process owns it."""

    def __init__(self) -> None:
        self._receiving, self._sending = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiving.settimeout(_POLL_S)
        with contextlib.suppress(OSError):
            self._sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, DATAGRAM_BYTES_MAX)

    @property
    def descriptor(self) -> int:
        """Descriptor of the end that children send to."""
        return self._sending.fileno()

    def receive(self, sink: Sink, stop: Callable[[], bool]) -> None:
        """Hand every report that comes to a sink, until told to stop; what is not a report is dropped."""
        while not stop():
            try:
                datagram = self._receiving.recv(DATAGRAM_BYTES_MAX)
            except TimeoutError:
                continue
            with contextlib.suppress(msgspec.MsgspecError):  # a child of another release, while we are upgraded
                sink(_DECODER.decode(datagram))

    def close(self) -> None:
        """Close both ends."""
        self._receiving.close()
        self._sending.close()


class Sender:
    """Sends reports to a descriptor of ours; those that nobody takes are dropped."""

    def __init__(self, descriptor: int) -> None:
        self._sending = socket.socket(fileno=os.dup(descriptor))

    def __call__(self, report: Report) -> None:
        """Send a report, without ever waiting."""
        datagram = _ENCODER.encode(report)
        if len(datagram) <= DATAGRAM_BYTES_MAX:
            with contextlib.suppress(OSError):
                self._sending.send(datagram, socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Let go of the descriptor; what is sent then is dropped."""
        self._sending.close()


def inherited(environment: Mapping[str, str]) -> int | None:
    """Return the descriptor that a supervisor of ours has given to this process, if one has."""
    try:
        descriptor = int(environment.get(VARIABLE, ""))
        return descriptor if stat.S_ISSOCK(os.fstat(descriptor).st_mode) else None
    except (ValueError, OSError):
        return None
