"""Promise: the endpoint answers what it has, to whom it should, and no client can cost the process anything."""

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from deploy.telemetry import endpoint as module
from deploy.telemetry.address import HttpAddress, HttpAddressError
from deploy.telemetry.endpoint import REQUESTS_MAX, Endpoint, Page

TOKEN = "0123456789abcdef"
PAGES: dict[str, Callable[[str], Page]] = {
    "/metrics": lambda accept: Page(body=f"for {accept}".encode(), content_type="text/plain")
}


@contextlib.contextmanager
def served(token: str | None = None, refused: list[str] | None = None) -> Iterator[Endpoint]:
    tell = [] if refused is None else refused
    server = Endpoint(HttpAddress(host="127.0.0.1", port=0, token=token), PAGES, on_refused=tell.append)
    server.start()
    try:
        yield server
    finally:
        server.close()


def ask(server: Endpoint, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def raw(server: Endpoint, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_pages_by_exact_path() -> None:
    with served() as server:
        assert ask(server, "GET", "/metrics?x=1", {"Accept": "text/x"}) == (200, b"for text/x")
        assert ask(server, "HEAD", "/metrics") == (200, b"")
        for path in (
            "/",
            "/metrics/",
            "/METRICS",
            "/../etc/passwd",
            "/%2e%2e/metrics",
            "http://h/metrics",
        ):
            assert ask(server, "GET", path)[0] == 404, path
        counts = server.answered()
    assert counts == {("/metrics", "200"): 2, ("other", "404"): 6}, "a path that is not ours is no label"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_only_get_and_head(method: str) -> None:
    with served() as server:
        assert ask(server, method, "/metrics")[0] == 405


def test_a_token_is_demanded_of_everything_and_who_lacks_it_is_told_of() -> None:
    refused = list[str]()
    with served(TOKEN, refused) as server:
        assert ask(server, "GET", "/metrics", {"Authorization": f"Bearer {TOKEN}"})[0] == 200
        assert ask(server, "GET", "/metrics", {"Authorization": f"bearer {TOKEN}"})[0] == 200
        wrong = [
            "",
            "Bearer",
            "Bearer ",
            f"Basic {TOKEN}",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            TOKEN,
            "Bearer é",
        ]
        for value in wrong:
            for path in ("/metrics", "/nothing"):
                assert ask(server, "GET", path, {"Authorization": value.encode("latin-1").decode("latin-1")})[0] == 401
        assert ask(server, "GET", "/metrics")[0] == 401
    assert refused == ["127.0.0.1"] * (2 * len(wrong) + 1)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
    ],
    ids=["nothing", "empty lines", "no path", "version", "tls", "long line", "many headers"],
)
def test_what_is_no_request_does_no_harm(request_bytes: bytes) -> None:
    with served() as server:
        with contextlib.suppress(OSError):  # it closes over what it does not read
            assert b"200" not in raw(server, request_bytes).split(b"\r\n")[0]
        assert ask(server, "GET", "/metrics")[0] == 200


@pytest.mark.slow
def test_clients_that_hang_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.05)
    with served() as server, contextlib.ExitStack() as stack:
        for _ in range(REQUESTS_MAX):
            hung = stack.enter_context(socket.create_connection(("127.0.0.1", server.address.port)))
            hung.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        deadline = time.monotonic() + 120
        while True:
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError, http.client.HTTPException):  # closed unanswered while they hang
                assert ask(server, "GET", "/metrics")[0] == 200
                break


@pytest.mark.slow
def test_it_closes_while_clients_hang() -> None:
    with socket.socket() as hung:
        with served() as server:
            hung.connect(("127.0.0.1", server.address.port))
            began = time.monotonic()
        assert time.monotonic() - began < 5


def test_it_starts_again_right_after_it_has_answered() -> None:
    """A connection that the server has closed first holds the port for a minute, but not against a server."""
    with served() as server, socket.create_connection(("127.0.0.1", server.address.port), timeout=60) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        while connection.recv(65536):
            pass
    Endpoint(server.address, PAGES).close()


def test_a_taken_port_is_an_error_that_says_so() -> None:
    with served() as server, pytest.raises(HttpAddressError, match="cannot listen on") as raised:
        Endpoint(server.address, PAGES)
    assert raised.value.code == "http_address_taken"
