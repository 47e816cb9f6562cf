"""Promise: a link carries, keeps what a dead side had sent, and can be cut, stalled, reset and healed."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.links import Link

pytestmark = pytest.mark.slow

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        yield listening


@pytest.fixture
def link(server: socket.socket) -> Iterator[Link]:
    made = Link("test", server.getsockname()[1])
    yield made
    made.close()


def connected(link: Link, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    near = socket.create_connection(("127.0.0.1", link.port), timeout=60)
    far, _ = server.accept()
    far.settimeout(60)
    return near, far


def test_it_carries_both_ways_and_passes_an_end_on(link: Link, server: socket.socket) -> None:
    near, far = connected(link, server)
    with near, far:
        near.sendall(b"hello")
        assert far.recv(100) == b"hello"
        far.sendall(b"x" * 1_000_000)
        far.close()
        assert sum(iter(lambda: len(near.recv(65536)), 0)) == 1_000_000


def test_what_a_side_sent_before_it_was_reset_arrives(link: Link, server: socket.socket) -> None:
    near, far = connected(link, server)
    with near, far:
        near.sendall(b"never read")
        far.sendall(b"last words")
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        far.close()
        assert near.recv(100) == b"last words"


def test_a_cut_link_resets_and_refuses_until_it_is_healed(link: Link, server: socket.socket) -> None:
    near, far = connected(link, server)
    with near, far:
        link.cut()
        with pytest.raises(ConnectionResetError):
            near.recv(1)
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", link.port), 60) as refused:
        assert refused.recv(1) == b""
    link.heal()
    near, far = connected(link, server)
    near.close()
    far.close()


def test_a_stalled_link_holds_everything_until_it_is_healed(link: Link, server: socket.socket) -> None:
    near, far = connected(link, server)
    with near, far:
        link.stall()
        near.sendall(b"later")
        far.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            assert far.recv(100) == b"", "nothing may pass"
        link.heal()
        far.settimeout(60)
        assert far.recv(100) == b"later"


def test_it_outlives_resets_at_any_instant(link: Link, server: socket.socket) -> None:
    over = threading.Event()

    def echo(far: socket.socket) -> None:
        with contextlib.suppress(OSError), far:
            while data := far.recv(100):
                far.sendall(data)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the test is over, and the server with it
            while True:
                threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()

    def ask() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", link.port), timeout=1) as near:
                near.settimeout(1)
                near.sendall(b"ping")
                while not over.is_set() and (data := near.recv(100)):
                    near.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    asking = [threading.Thread(target=ask, daemon=True) for _ in range(6)]
    for thread in asking:
        thread.start()
    for _ in range(500):
        link.reset()
        time.sleep(0.002)
    over.set()
    link.reset()
    for thread in asking:
        thread.join()
    with socket.create_connection(("127.0.0.1", link.port), timeout=60) as near:
        near.sendall(b"still there")
        assert near.recv(100) == b"still there"
