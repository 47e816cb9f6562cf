"""Promise: the shipped Mosquitto settings let nobody in who does not belong, and both keep what they acknowledge."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

MOSQUITTO = Path(__file__).parents[2] / "deploy" / "mosquitto"

LISTENING = {
    "listener",
    "allow_anonymous",
    "password_file",
    "acl_file",
    "cafile",
    "certfile",
    "keyfile",
    "tls_version",
    "require_certificate",
    "use_identity_as_username",
    "use_username_as_clientid",
    "max_connections",
}
"""Settings of who may connect, in which the two files differ."""


def settings(name: str) -> list[tuple[str, str]]:
    lines = (line.partition(" ") for line in (MOSQUITTO / name).read_text().splitlines())
    return [(key, value) for key, _, value in lines if key and not key.startswith("#")]


def test_the_local_settings_listen_on_loopback_alone() -> None:
    assert [value for key, value in settings("mosquitto.conf") if key == "listener"] == ["1883 127.0.0.1"]


def test_the_secure_settings_let_nobody_in_without_a_name() -> None:
    found = settings("secure.conf")
    assert ("allow_anonymous", "false") in found
    assert ("acl_file", "/etc/mosquitto/acl") in found
    listeners: dict[str, dict[str, str]] = {}
    for key, value in found:
        if key == "listener":
            listeners[value] = {}
        elif listeners and key in LISTENING:
            listeners[list(listeners)[-1]][key] = value
    assert listeners.keys() == {"8883", "1883 127.0.0.1"}, "a listener without TLS is on loopback"
    for needed in ("require_certificate", "use_identity_as_username", "use_username_as_clientid"):
        assert listeners["8883"][needed] == "true"


def test_both_keep_what_they_acknowledge_alike() -> None:
    """One file has what the other has, except for who may connect and what is logged of that."""

    def keeping(name: str) -> list[tuple[str, str]]:
        return [(key, value) for key, value in settings(name) if key not in LISTENING | {"log_type", "log_dest"}]

    assert keeping("secure.conf") == keeping("mosquitto.conf")
    assert ("max_packet_size", "10485760") in keeping("secure.conf")
    # It would acknowledge what it drops (measured: MQTT 3.1.1 has no other answer).
    assert "message_size_limit" not in dict(keeping("secure.conf"))


needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None and not os.environ.get("CI"), reason="openssl is not on this machine"
)


def certificates(*arguments: str | Path, expect: int = 0) -> str:
    done = subprocess.run(
        [MOSQUITTO / "certificates.sh", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == expect, done.stderr
    return done.stderr


@needs_openssl
@pytest.mark.slow
def test_certificates_are_made_renewed_and_revoked(tmp_path: Path) -> None:
    made = tmp_path / "certs"
    certificates("authority", made)
    assert "there already" in certificates("authority", made, expect=2), "an authority is not replaced by accident"
    certificates("broker", made, "broker.example", "192.0.2.7", "2001:db8::7")
    certificates("client", made, "r1", "denim-3@store-7")
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in made.glob("*.key"))
    assert openssl("verify", "-purpose", "sslserver", "-CAfile", made / "ca.crt", made / "broker.crt").endswith("OK\n")
    names = openssl("x509", "-in", made / "broker.crt", "-noout", "-ext", "subjectAltName")
    for name in ("DNS:broker.example", "IP Address:192.0.2.7", "IP Address:2001:DB8:0:0:0:0:0:7"):
        assert name in names
    assert "CN = denim-3@store-7" in openssl("x509", "-in", made / "denim-3@store-7.crt", "-noout", "-subject")

    before = (made / "r1.crt").read_bytes()
    certificates("revoke", made, "r1")
    certificates("client", made, "r1")
    assert (made / "r1.crt").read_bytes() != before
    check = ("verify", "-purpose", "sslclient", "-crl_check", "-CRLfile", made / "ca.crl", "-CAfile", made / "ca.crt")
    assert openssl(*check, made / "r1.crt").endswith("OK\n"), "the renewed one is trusted"
    (tmp_path / "old.crt").write_bytes(before)
    assert "revoked" in openssl(*check, tmp_path / "old.crt", expect=2)


@needs_openssl
@pytest.mark.parametrize(
    "arguments",
    [["client", "x", "r1"], ["client", "x", "ca"], ["client", "x", "../r1"], ["broker", "x"], ["all", "x"], []],
)
def test_what_cannot_be_made_is_refused(arguments: list[str], tmp_path: Path) -> None:
    said = certificates(*(tmp_path / word if word == "x" else word for word in arguments), expect=2)
    assert said.startswith("certificates.sh: ")
    assert not list(tmp_path.rglob("*.crt"))


def openssl(*arguments: str | Path, expect: int = 0) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expect, done.stderr
    return done.stdout + done.stderr
