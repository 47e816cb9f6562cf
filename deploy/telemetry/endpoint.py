"""The HTTP endpoint: a few pages by exact path, for a scraper and for whoever looks. It can do nothing but answer.

Bounds, so that no client costs the process anything that matters: GET and HEAD only, 16 KiB of request, 8 requests at
a time, 10 s from connection to answer however slowly a client sends or reads, one answer a connection. Beyond 8 a
connection is closed unanswered. Nothing in a path or a header is ever used as a file name.
"""

import hmac
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from deploy.telemetry.address import HttpAddress, HttpAddressError

REQUESTS_MAX = 8
"""Requests at a time."""
REQUEST_BYTES_MAX = 16 * 2**10
"""Bytes of one request's line and headers."""
ANSWER_WITHIN_S = 10.0
"""A connection is closed after this long, whatever it does."""

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer."""

    body: bytes
    """What it says."""
    content_type: str
    """Its media type."""
    status: HTTPStatus = HTTPStatus.OK
    """Its status."""


Pages = Mapping[str, Callable[[str], Page]]
"""By path, what makes the page, given the request's `Accept` header."""


class Endpoint:
    """Serves pages in threads of its own, from `start` to `close`."""

    def __init__(
        self, address: HttpAddress, pages: Pages, *, on_refused: Callable[[str], None] = lambda _: None
    ) -> None:
        """Bind the address; nothing is answered before `start`.

        Args:
            address: Where to listen, and the token.
            pages: What there is.
            on_refused: Told the address of a client without the right token.

        Raises:
            HttpAddressError: The address cannot be had.
        """
        try:
            self._server = _Server(address, pages, on_refused)
        except OSError as error:
            raise HttpAddressError(
                f"cannot listen on {address}: {error.strerror or error}",
                hint="is the port taken by another instance? give each its own --http HOST:PORT",
                code="http_address_taken",
            ) from error
        self.address = HttpAddress(host=address.host, port=self._server.server_address[1], token=address.token)
        """Where it listens, with the port that it got."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_EVERY_S,), name="http", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def answered(self) -> dict[tuple[str, str], int]:
        """Return how many requests were answered, by path and status code."""
        with self._server.guard:
            return dict(self._server.answered)

    def close(self) -> None:
        """Stop answering and give the address back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a hung client must not keep the process from ending
    block_on_close = False
    request_queue_size = 2 * REQUESTS_MAX

    def __init__(self, address: HttpAddress, pages: Pages, on_refused: Callable[[str], None]) -> None:
        (self.address_family, _, _, _, bound), *_ = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.pages = pages
        self.token = address.token
        self.on_refused = on_refused
        self.guard = threading.Lock()
        self.answered: Counter[tuple[str, str]] = Counter()
        self._open: dict[Any, float] = {}
        super().__init__((str(bound[0]), int(bound[1])), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the base class does.

        What a scraper was answered a moment before a restart holds the address for a minute otherwise.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take a connection where fewer than the most are open."""
        del client_address
        with self.guard:
            if len(self._open) >= REQUESTS_MAX:
                return False
            self._open[request] = time.monotonic()
            return True

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        with self.guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off connections that take too long."""
        limit = time.monotonic() - ANSWER_WITHIN_S
        with self.guard:
            late = [request for request, since in self._open.items() if since < limit]
        for request in late:
            try:
                request.shutdown(socket.SHUT_RDWR)  # its thread wakes up with an error and closes it
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away."""

    def count(self, path: str, status: int) -> None:
        """Count an answer."""
        with self.guard:
            self.answered[path if path in self.pages else "other", str(status)] += 1


class _Limited:
    """The first bytes of a request; behind them it looks as if the client had stopped sending."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = REQUEST_BYTES_MAX

    def readline(self, size: int = -1) -> bytes:
        line = self._stream.readline(self._left if size < 0 else min(size, self._left))
        self._left -= len(line)
        return line

    def close(self) -> None:
        self._stream.close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "tagtide"
    sys_version = ""
    timeout = ANSWER_WITHIN_S

    def setup(self) -> None:
        super().setup()
        self.rfile = _Limited(self.rfile)  # type: ignore[assignment]  # all that reading a request uses

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the base class refuses; it calls a method that it does not find not implemented."""
        del explain
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        text = "only GET and HEAD" if status is HTTPStatus.METHOD_NOT_ALLOWED else (message or status.phrase)
        self.close_connection = True
        self._send(_text(f"{text}\n", status), {"Allow": "GET, HEAD"})

    def _answer(self) -> None:
        if not self._is_let_in():
            self.server.on_refused(str(self.client_address[0]))
            self._send(_text("a bearer token is needed\n", HTTPStatus.UNAUTHORIZED), {"WWW-Authenticate": "Bearer"})
            return
        page = self.server.pages.get(self._path())
        if page is None:
            known = ", ".join(sorted(self.server.pages))
            self._send(_text(f"there is no such page; there are {known}\n", HTTPStatus.NOT_FOUND))
            return
        self._send(page(self.headers.get("Accept", "")))

    def _is_let_in(self) -> bool:
        if self.server.token is None:
            return True
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        given_bytes, wanted = given.strip().encode("utf-8", "replace"), self.server.token.encode("ascii")
        return hmac.compare_digest(given_bytes, wanted) and scheme.lower() == "bearer"

    def _path(self) -> str:
        return getattr(self, "path", "").split("?", 1)[0]  # a request line that cannot be read has none

    def _send(self, page: Page, headers: Mapping[str, str] | None = None) -> None:
        self.server.count(self._path(), page.status)
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: scrapes are counted, not logged."""


def _text(text: str, status: HTTPStatus) -> Page:
    return Page(body=text.encode("utf-8"), content_type="text/plain; charset=utf-8", status=status)
