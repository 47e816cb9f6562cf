"""Addresses of MQTT brokers: `mqtt://[user[:password]@]host[:port]`, or `mqtts://` for TLS.

A password may be left out of the address and given in the environment variable `TAGTIDE_MQTT_PASSWORD` instead. It
is never part of what is printed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from ingest.errors import MqttUrlError

PASSWORD_VARIABLE = "TAGTIDE_MQTT_PASSWORD"  # noqa: S105 - the variable's name, not a password
"""Environment variable that holds the broker's password."""

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_HINT = "write it as mqtt://broker.example:1883, or mqtts:// for TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttUrl:
    """Where a broker is, and as whom to log in."""

    host: str
    """Host name or IP address."""
    port: int
    """TCP port."""
    tls: bool = False
    """Whether the connection is encrypted."""
    username: str | None = None
    """User to log in as."""
    password: str | None = field(default=None, repr=False)
    """The user's password."""

    def __str__(self) -> str:
        """Return the address without its password."""
        user = "" if self.username is None else f"{quote(self.username, safe='')}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{user}{host}:{self.port}"


def parse_mqtt_url(text: str, environment: Mapping[str, str] = os.environ) -> MqttUrl:
    """Parse the address of a broker.

    Args:
        text: The address.
        environment: Where the password is looked up if the address names a user without one.

    Raises:
        MqttUrlError: It is not an address of a broker; the message never holds a password.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower() not in _PORTS:
        raise MqttUrlError(f"{_shown(text)} does not begin with mqtt:// or mqtts://", hint=_HINT)
    try:
        parts = urlsplit(f"{scheme.lower()}://{rest}")
        port = parts.port
    except ValueError as cause:
        # Not `from cause`: urllib's message may quote the whole address, password and all.
        reason = "its port is not a number from 1 to 65535" if "ort" in str(cause) else "its host cannot be read"
        raise MqttUrlError(f"{_shown(text)}: {reason}", hint=_HINT) from None
    if not parts.hostname:
        raise MqttUrlError(f"{_shown(text)} names no host", hint=_HINT)
    if port == 0:
        raise MqttUrlError(f"{_shown(text)}: its port is not a number from 1 to 65535", hint=_HINT)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise MqttUrlError(
            f"{_shown(text)} has something behind the port", hint=f"{_HINT}; topics are given separately"
        )
    username = None if parts.username is None else unquote(parts.username)
    if parts.password is not None and not username:
        raise MqttUrlError(f"{_shown(text)} has a password without a user", hint="mqtt://user:password@host:1883")
    password = None if parts.password is None else unquote(parts.password)
    if username is not None and password is None:
        password = environment.get(PASSWORD_VARIABLE)
    return MqttUrl(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        username=username,
        password=password,
    )


def _shown(text: str) -> str:
    """Return an address for a message: whatever stands before the last `@` may be a password."""
    before, separator, host = text.rpartition("@")
    return f"{before.partition('://')[0]}://...@{host}" if separator else (text or "an empty address")
