"""Addresses of MQTT brokers: `mqtt://[user@]host[:port]`, or `mqtts://` for TLS.

An address never holds a password: it stands on command lines, which everybody on a machine can read, and in logs.
`ingest.mqtt_security` says where a password comes from.
"""

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from ingest.errors import MqttUrlError

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

    def __str__(self) -> str:
        """Return the address as it is written."""
        user = "" if self.username is None else f"{quote(self.username, safe='')}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{user}{host}:{self.port}"


def parse_mqtt_url(text: str) -> MqttUrl:
    """Parse the address of a broker.

    Raises:
        MqttUrlError: It is not an address of a broker, or holds a password; the message never does.
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
    if parts.password is not None:
        raise MqttUrlError(
            f"{_shown(text)} holds a password, which everybody on this machine could read",
            hint=f"write {scheme.lower()}://user@host and put the password into a file (--mqtt-password-file) or into"
            " TAGTIDE_MQTT_PASSWORD",
        )
    return MqttUrl(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        username=unquote(parts.username) if parts.username else None,
    )


def _shown(text: str) -> str:
    """Return an address for a message: whatever stands before the last `@` may be a password."""
    before, separator, host = text.rpartition("@")
    return f"{before.partition('://')[0]}://...@{host}" if separator else (text or "an empty address")
