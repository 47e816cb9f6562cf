"""Network links that can be cut, stalled and reset: TCP proxies on this machine, all in one thread, no rights needed.

A link carries what either side sends, keeps what a dead side had sent, and passes its end on, as a network does:

* `cut`: every connection is reset, and none can be made until `heal`;
* `stall`: nothing passes and nobody is told until `heal`, as when a cable is pulled;
* `reset`: every connection is reset once.
"""

import contextlib
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field

from tests.chaos.harness_thread import HarnessThread

_READ_BYTES = 64 * 2**10
_BUFFER_BYTES = 256 * 2**10  # then the sender feels that nobody reads, as it would in a network
_TURN_S = 0.2
_HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Side:
    """One socket of a connection, and what waits to be written to it."""

    sock: socket.socket
    waiting: bytearray = field(default_factory=bytearray)
    ended: bool = False  # it sends no more
    shut: bool = False  # it was told that the other side sends no more, or takes no more itself


class Link:
    """A listening port that leads to another one."""

    def __init__(self, name: str, target_port: int) -> None:
        """Listen on a free port.

        Args:
            name: For reports.
            target_port: Where connections go.
        """
        self.name = name
        """What it connects."""
        self.target_port = target_port
        """Port that it leads to."""
        self._server = socket.create_server((_HOST, 0), backlog=64)
        self._server.setblocking(False)
        self.port = int(self._server.getsockname()[1])
        """Port that clients use."""
        self._pairs: list[tuple[_Side, _Side]] = []
        self._is_cut = False
        self._is_stalled = False
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._thread = HarnessThread(f"link {name}", self._run)
        self._thread.start()

    def cut(self) -> None:
        """Reset every connection and let none be made."""
        with self._guard:
            self._is_cut = True
            self._reset_all()

    def stall(self) -> None:
        """Let nothing pass."""
        with self._guard:
            self._is_stalled = True

    def reset(self) -> None:
        """Reset every connection once."""
        with self._guard:
            self._reset_all()

    def heal(self) -> None:
        """Carry again."""
        with self._guard:
            self._is_cut = self._is_stalled = False

    def check(self) -> None:
        """Raise what its thread has died of, if it has."""
        self._thread.check()

    def close(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        with self._guard:
            self._reset_all()
        self._server.close()

    def _run(self) -> None:
        while not self._over.is_set():
            # Another thread may reset a socket between these two: poll then reports it, select would raise.
            with selectors.PollSelector() as selector:
                with self._guard:
                    self._register(selector)
                events = selector.select(_TURN_S if not self._is_stalled else 0.02)
                with self._guard:
                    for key, mask in events:
                        self._handle(key.data, mask)
                    self._sweep()

    def _register(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._server, selectors.EVENT_READ, None)
        if self._is_stalled:
            return
        for pair in self._pairs:
            for side, other in (pair, pair[::-1]):
                reads = not side.ended and len(other.waiting) < _BUFFER_BYTES
                events = selectors.EVENT_READ * reads | selectors.EVENT_WRITE * bool(side.waiting)
                if events:
                    selector.register(side.sock, events, (side, other))

    def _handle(self, sides: tuple[_Side, _Side] | None, mask: int) -> None:
        if sides is None:
            self._accept()
            return
        side, other = sides
        if side.sock.fileno() < 0 or self._is_stalled:
            return
        if mask & selectors.EVENT_READ:
            self._read(side, other)
        if mask & selectors.EVENT_WRITE and side.waiting:
            self._write(side)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            near, _ = self._server.accept()
            if self._is_cut:
                _reset(near)
                return
            try:
                far = socket.create_connection((_HOST, self.target_port), timeout=1.0)
            except OSError:
                _reset(near)
                return
            for sock in (near, far):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((_Side(near), _Side(far)))

    @staticmethod
    def _read(side: _Side, other: _Side) -> None:
        try:
            data = side.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data and not other.shut:
            other.waiting += data
            Link._write(other)
        side.ended = side.ended or not data

    @staticmethod
    def _write(side: _Side) -> None:
        try:
            del side.waiting[: side.sock.send(side.waiting)]
        except BlockingIOError:
            return
        except OSError:
            side.waiting.clear()
            side.shut = True  # it takes no more; what it had sent is still read

    def _sweep(self) -> None:
        """Pass ends on, and forget connections that have ended on both sides."""
        for pair in list(self._pairs):
            for side, other in (pair, pair[::-1]):
                if other.ended and not side.waiting and not side.shut:
                    side.shut = True
                    with contextlib.suppress(OSError):
                        side.sock.shutdown(socket.SHUT_WR)
            if all(side.ended for side in pair) and not any(side.waiting for side in pair):
                self._pairs.remove(pair)
                for side in pair:
                    side.sock.close()

    def _reset_all(self) -> None:
        for pair in self._pairs:
            for side in pair:
                _reset(side.sock)
        self._pairs.clear()


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.close()
