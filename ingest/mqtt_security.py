"""How we prove to an MQTT broker who we are, and how it proves that to us: certificates, and where a password is.

One value for everything that connects: bridge, recording, publishing, doctor. Secrets are named here, not kept: a
password file and a private key are read when a connection is tried, so that a file that was renewed is used by the
next attempt without a restart. Only a password from the environment is held, and never shown.

What can be checked without the broker is checked by `check_security` before anything is opened or created.
"""

import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ingest.errors import MqttSecurityError
from ingest.mqtt_url import MqttUrl

PASSWORD_VARIABLE = "TAGTIDE_MQTT_PASSWORD"  # noqa: S105 - the variable's name, not a password
"""Environment variable that holds the broker's password."""

_PASSWORD_BYTES_MAX = 65_535  # what MQTT can carry: its length is two bytes
_LOOPBACK = {"localhost", "::1"}
_PASSWORD_HINT = f"put it into a file that only we can read and give --mqtt-password-file, or set {PASSWORD_VARIABLE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSecurity:
    """Certificates and password for a broker; without any of them, what the address alone gives."""

    ca_path: Path | None = None
    """Certificates that sign the broker's, in PEM; the system's where not given."""
    cert_path: Path | None = None
    """Our own certificate, in PEM, with what signs it behind it."""
    key_path: Path | None = None
    """The private key of our certificate, in PEM, not encrypted; in `cert_path` where not given."""
    password_path: Path | None = None
    """File whose first line is the password of the user that the address names."""
    password: str | None = field(default=None, repr=False)
    """The password itself, from the environment; `password_path` goes before it."""

    def read_password(self) -> str | None:
        """Return the password as it is now.

        Raises:
            MqttSecurityError: The file cannot be read, or its first line is no password.
        """
        if self.password_path is None:
            return self.password
        try:
            with self.password_path.open("rb") as file:
                line = file.readline(_PASSWORD_BYTES_MAX + 3).rstrip(b"\r\n")
        except OSError as cause:
            raise MqttSecurityError(
                f"cannot read the password file {self.password_path}: {cause.strerror}", hint="check path and owner"
            ) from cause
        if not line or len(line) > _PASSWORD_BYTES_MAX:
            what = "is empty" if not line else f"is longer than MQTT allows ({_PASSWORD_BYTES_MAX} bytes)"
            raise MqttSecurityError(
                f"the first line of the password file {self.password_path} {what}", hint="write the password there"
            )
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            # Not `from`: the error quotes the password.
            raise MqttSecurityError(
                f"the password file {self.password_path} is not UTF-8", hint="write it as UTF-8"
            ) from None

    def tls_context(self) -> ssl.SSLContext:
        """Return a context that verifies the broker's certificate and host name, from TLS 1.2 on.

        Raises:
            MqttSecurityError: A file cannot be used.
        """
        context = ssl.create_default_context()
        if self.ca_path is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _Socket
        self.load_files(context)
        return context

    def load_files(self, context: ssl.SSLContext) -> None:
        """Put what the files hold now into a context: a renewed certificate takes the place of the one before.

        An authority that is not in its file any more is still trusted by this context: that takes a new one.

        Raises:
            MqttSecurityError: A file cannot be used.
        """
        if self.ca_path is not None:
            try:
                context.load_verify_locations(self.ca_path)
            except (OSError, ValueError) as cause:  # SSLError is an OSError
                raise _unusable("CA file", self.ca_path, cause) from cause
        if self.cert_path is not None:
            try:
                context.load_cert_chain(self.cert_path, self.key_path, password=_refuse_encrypted)
            except MqttSecurityError as error:
                raise MqttSecurityError(f"{error}: {self.key_path or self.cert_path}", hint=error.hint) from None
            except (OSError, ValueError) as cause:
                raise self._unusable_pair(self.cert_path, cause) from cause

    def _unusable_pair(self, cert_path: Path, cause: OSError | ValueError) -> MqttSecurityError:
        key_path = self.key_path or cert_path
        if getattr(cause, "reason", None) == "KEY_VALUES_MISMATCH":
            return MqttSecurityError(
                f"the private key {key_path} does not belong to the certificate {cert_path}",
                hint="give the key that the certificate was made from",
            )
        for what, path in (("certificate", cert_path), ("private key", key_path)):
            try:
                path.open("rb").close()
            except OSError as unreadable:
                return _unusable(what, path, unreadable)
        shown = str(cert_path) if key_path == cert_path else f"{cert_path} with {key_path}"
        return MqttSecurityError(
            f"{shown} is no certificate with its private key in PEM",
            hint="a certificate begins with -----BEGIN CERTIFICATE-----; its key is given with --mqtt-key",
        )


class _Socket(ssl.SSLSocket):
    """Closed when its handshake fails: paho forgets it, and a daemon tries for days."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of SSLSocket
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def check_security(url: MqttUrl, security: MqttSecurity) -> tuple[str, ...]:
    """Check that an address and its credentials fit and that their files can be used, before anything is opened.

    Returns:
        Warnings: what works and is not safe.

    Raises:
        MqttSecurityError: They cannot work.
    """
    files = (security.ca_path, security.cert_path, security.key_path)
    if not url.tls and any(path is not None for path in files):
        raise MqttSecurityError(
            f"certificates have no meaning for {url}, which is not encrypted", hint="write the address as mqtts://"
        )
    if security.key_path is not None and security.cert_path is None:
        raise MqttSecurityError("a private key without a certificate", hint="give --mqtt-cert beside --mqtt-key")
    if security.password_path is not None and url.username is None:
        raise MqttSecurityError(
            f"a password file, but {url} names no user", hint="name the user in the address: mqtts://user@host"
        )
    if url.username is not None:
        security.read_password()
    if url.tls:
        security.tls_context()
    return tuple(_warnings(url, security))


def readable_by_others(path: Path) -> bool:
    """Whether a file's mode lets its group or everybody read it."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def secret_file_warning(path: Path) -> str:
    """Return what to tell about a secret that others can read."""
    return f"{path} holds a secret and can be read by others on this machine: chmod 600 {path}"


def _warnings(url: MqttUrl, security: MqttSecurity) -> Iterator[str]:
    key_path = security.key_path or security.cert_path
    for path in (security.password_path, key_path):
        if path is not None and readable_by_others(path):
            yield secret_file_warning(path)
    has_password = security.password is not None or security.password_path is not None
    if url.username is not None and has_password and not url.tls and not _is_loopback(url.host):
        yield f"the password for {url} travels unencrypted: use mqtts:// (docs/security.md)"


def _is_loopback(host: str) -> bool:
    return host in _LOOPBACK or host.startswith("127.")


def _unusable(what: str, path: Path, cause: OSError | ValueError) -> MqttSecurityError:
    if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError):
        return MqttSecurityError(f"cannot read the {what} {path}: {cause.strerror}", hint="check path and owner")
    return MqttSecurityError(
        f"the {what} {path} holds no certificate in PEM", hint="it begins with -----BEGIN CERTIFICATE-----"
    )


def _refuse_encrypted() -> NoReturn:
    """Called by OpenSSL for an encrypted key; without it, it would ask at a terminal that a daemon does not have."""
    raise MqttSecurityError(
        "the private key is encrypted, and a daemon has nobody to ask for its passphrase",
        hint="openssl pkey -in KEY -out NEWKEY && chmod 600 NEWKEY",
    )
