"""Where the HTTP endpoint listens, and who may ask it: checked before anything is opened.

It is off unless an address is given. On a loopback address anybody on this machine may ask; anywhere else a token is
demanded, so that no store is ever readable from its network by mistake.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devices.errors import UsageError

TOKEN_VARIABLE = "TAGTIDE_HTTP_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable that may hold the token."""

TOKEN_LENGTH_MIN = 16
"""Characters: 64 bits where they are hexadecimal digits, too many to try out over a network."""

_TOKEN_FILE_BYTES_MAX = 4096


class HttpAddressError(UsageError):
    """An address that the HTTP endpoint cannot have, or a token that is missing or too weak."""

    code = "http_address_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAddress:
    """Where to listen."""

    host: str
    """Name or address of an interface."""
    port: int
    """TCP port; 0 takes a free one."""
    token: str | None = field(default=None, repr=False)
    """What a request must present as a bearer; `None` where anybody may ask."""

    def __str__(self) -> str:
        """Return the base of the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def http_address(
    text: str, token_file: Path | None, environment: Mapping[str, str] = os.environ, *, asking: bool = False
) -> HttpAddress:
    """Read `--http` and the token that goes with it.

    Args:
        text: `HOST:PORT`, `[IPV6]:PORT`, or a port alone for this machine only.
        token_file: File whose first line is the token.
        environment: Where the token is, if there is no file.
        asking: It is the address to ask, not the one to listen on: whether it takes a token is the other's business.

    Raises:
        HttpAddressError: The address is none, or needs a token and there is none fit for it.
    """
    host, _, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if text.startswith(":") or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise HttpAddressError(
            f"--http {text} is not HOST:PORT", hint="for example --http 127.0.0.1:9464, or 9464 for this machine only"
        )
    token = _token(token_file, environment)
    if token is None and not asking and not _is_loopback(host):
        raise HttpAddressError(
            f"--http {text} can be reached from other machines, and no token was given",
            hint=f"--http-token-file FILE or the environment variable {TOKEN_VARIABLE}; "
            f"without one: --http 127.0.0.1:{port}",
            code="http_token_missing",
        )
    return HttpAddress(host=host, port=int(port), token=token)


def _token(file: Path | None, environment: Mapping[str, str]) -> str | None:
    if file is not None:
        token, origin = _first_line(file), f"in {file}"
    elif TOKEN_VARIABLE in environment:
        token, origin = environment[TOKEN_VARIABLE].strip(), f"in {TOKEN_VARIABLE}"
    else:
        return None
    if len(token) < TOKEN_LENGTH_MIN or not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", token):
        raise HttpAddressError(
            f"the token {origin} is not fit: it needs {TOKEN_LENGTH_MIN} characters of A-Z a-z 0-9 . _ ~ + / = -",
            hint="openssl rand -hex 24 makes a good one",
            code="http_token_unfit",
        )
    return token


def _first_line(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_TOKEN_FILE_BYTES_MAX).decode("ascii", "replace").split("\n", 1)[0].strip()
    except OSError as error:
        raise HttpAddressError(
            f"cannot read the token file {file}: {error.strerror}",
            hint="check path and permissions",
            code="http_token_missing",
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
