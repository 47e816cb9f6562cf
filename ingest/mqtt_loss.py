"""Why there is no connection to a broker, in a stable word, a sentence, and what to do. No I/O.

What Python's TLS and MQTT say is for their authors ("certificate verify failed: Hostname mismatch, certificate is not
valid for ..." is the clearest of it). Here it becomes one of a few codes, fit for a metric's label.

A broker that refuses our certificate says so in TLS 1.3 only after our side has taken the connection to be open. So
these arrive with the first read, and are the same as those of the handshake.
"""

import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

from devices.errors import TagtideError


class LossCode(StrEnum):
    """Kinds of loss."""

    CLOSED = "closed"
    """An open connection has ended."""
    UNREACHABLE = "unreachable"
    """Nobody answers at the address, or not in time."""
    NOT_MQTT = "not_mqtt"
    """Somebody answers, but does not speak MQTT, or TLS where we do."""
    BROKER_CERTIFICATE = "broker_certificate"
    """We do not trust the broker's certificate: unknown authority, other host name, expired."""
    CLIENT_CERTIFICATE = "client_certificate"
    """The broker wants a certificate of ours, or does not trust the one it got."""
    LOGIN_REFUSED = "login_refused"
    """The broker does not know the user, or the password is not his, or he may not connect."""
    OWN_FILES = "own_files"
    """A certificate, key or password file of ours cannot be used."""
    REFUSED = "refused"
    """The broker refuses for another reason."""


NEEDS_A_PERSON = frozenset(
    {LossCode.BROKER_CERTIFICATE, LossCode.CLIENT_CERTIFICATE, LossCode.LOGIN_REFUSED, LossCode.OWN_FILES}
)
"""Kinds that trying again does not mend, though it is tried: somebody may mend them on the other side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLoss:
    """Why a connection has ended, or an attempt at one has failed."""

    code: LossCode
    """The kind of loss."""
    reason: str
    """What happened, for people."""
    hint: str | None = None
    """What to do about it, where that is known."""

    def __str__(self) -> str:
        """Return reason and hint in one line."""
        return self.reason if self.hint is None else f"{self.reason} ({self.hint})"


NO_ANSWER = ConnectionLoss(
    code=LossCode.NOT_MQTT,
    reason="it closed the connection without an answer",
    hint="is it mqtt:// or mqtts://?",
)
"""What a listener with TLS does to somebody without, among others."""


def loss_of(error: Exception, *, connected: bool, host: str) -> ConnectionLoss:
    """Explain an error of our own files, of TLS or of the network.

    Args:
        error: What was raised.
        connected: Whether the broker had accepted the connection.
        host: The host name or address that was connected to.
    """
    if isinstance(error, TagtideError):
        return ConnectionLoss(code=LossCode.OWN_FILES, reason=str(error), hint=error.hint)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, host)
    if isinstance(error, ssl.SSLError) and not connected:
        return _tls_failure(error)
    if isinstance(error, ConnectionResetError) and not connected:
        return NO_ANSWER
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, socket.gaierror):
        reason = f"there is no host {host}: {reason}"
    elif isinstance(error, TimeoutError):
        reason = "it does not answer in time"
    return ConnectionLoss(code=LossCode.CLOSED if connected else LossCode.UNREACHABLE, reason=reason)


def loss_by_connack(code: int, name: str) -> ConnectionLoss:
    """Explain a refusal in the broker's answer to CONNECT.

    Args:
        code: The reason, as MQTT 5 numbers it.
        name: The reason's name.
    """
    if code in _LOGIN_CODES:
        return ConnectionLoss(
            code=LossCode.LOGIN_REFUSED,
            reason=f"the broker refuses us: {name}",
            hint="check the user in the address, and the password in --mqtt-password-file or TAGTIDE_MQTT_PASSWORD; "
            "a broker that wants certificates needs --mqtt-cert",
        )
    return ConnectionLoss(code=LossCode.REFUSED, reason=f"the broker refuses us: {name}")


_LOGIN_CODES = {0x86, 0x87}  # bad user name or password; not authorized
_EXPIRED, _NOT_YET_VALID, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64  # X509_V_ERR_* of OpenSSL


def _untrusted(error: ssl.SSLCertVerificationError, host: str) -> ConnectionLoss:
    if error.verify_code in {_OTHER_HOST, _OTHER_ADDRESS}:
        reason, hint = (
            f"the broker's certificate is not for {host}",
            "connect by a name that the certificate has, or have it made again with this one as subjectAltName",
        )
    elif error.verify_code == _EXPIRED:
        reason, hint = "the broker's certificate, or its authority's, has expired", "renew it; check this clock too"
    elif error.verify_code == _NOT_YET_VALID:
        reason, hint = "the broker's certificate is not valid yet", "check the clock of this machine"
    else:
        reason, hint = (
            f"the broker's certificate is not signed by an authority that we trust: {error.verify_message}",
            "give the authority's certificate: --mqtt-ca",
        )
    return ConnectionLoss(code=LossCode.BROKER_CERTIFICATE, reason=reason, hint=hint)


def _tls_failure(error: ssl.SSLError) -> ConnectionLoss:
    reason = getattr(error, "reason", None) or ""  # an attribute that only OpenSSL's own errors have
    said = reason.replace("_", " ").lower()
    if "CERTIFICATE_REQUIRED" in reason:
        return ConnectionLoss(
            code=LossCode.CLIENT_CERTIFICATE,
            reason="the broker wants a certificate of ours",
            hint="give --mqtt-cert and --mqtt-key",
        )
    if reason in _ALERTS_ABOUT_OUR_CERTIFICATE:
        return ConnectionLoss(
            code=LossCode.CLIENT_CERTIFICATE,
            reason=f"the broker does not accept our certificate: {said.removeprefix('tlsv1 ').removeprefix('sslv3 ')}",
            hint="it must be signed by the authority in the broker's cafile, be valid now, and not be revoked",
        )
    if reason in {
        "WRONG_VERSION_NUMBER",
        "UNEXPECTED_EOF_WHILE_READING",
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
    }:
        return ConnectionLoss(
            code=LossCode.NOT_MQTT, reason=f"no TLS is spoken there: {said}", hint="is it mqtt:// or mqtts://?"
        )
    return ConnectionLoss(code=LossCode.REFUSED, reason=f"TLS failed: {said or error}")


_ALERTS_ABOUT_OUR_CERTIFICATE = {
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_DECRYPT_ERROR",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",  # TLS 1.2: how a broker says that it wanted one
}
