"""Promise: certificates and passwords are checked before anything is opened, renewed without a restart, never shown."""

import ssl
from pathlib import Path

import pytest

from deploy.mosquitto_acl import AclError
from ingest.errors import MqttSecurityError
from ingest.mqtt_loss import NO_ANSWER, ConnectionLoss, LossCode, loss_by_connack, loss_of
from ingest.mqtt_security import MqttSecurity, check_security
from ingest.mqtt_url import parse_mqtt_url
from tests.certificate_files import certificate_folder
from tests.secure_broker import run

PLAIN, TLS = parse_mqtt_url("mqtt://u@broker"), parse_mqtt_url("mqtts://u@broker")


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_folder(tmp_path_factory)


# --- the password


@pytest.mark.parametrize("text", ["secret", "secret\n", "secret\r\n", "secret\nanother line\n"])
def test_the_first_line_of_a_file_is_the_password(text: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(text)
    security = MqttSecurity(password_path=file, password="from the environment")
    assert security.read_password() == "secret"
    file.write_text("renewed")
    assert security.read_password() == "renewed"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"", "is empty"), (b"\nsecret", "is empty"), (b"secret\xff", "not UTF-8")],
)
def test_a_file_without_a_password_is_told_without_its_content(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MqttSecurityError, match=said) as caught:
        check_security(TLS, MqttSecurity(password_path=file))
    assert caught.value.hint
    assert "secret" not in f"{caught.value}{caught.value.hint}"
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_password_too_long_for_mqtt(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"x" * 65_536)
    with pytest.raises(MqttSecurityError, match="longer than MQTT allows"):
        MqttSecurity(password_path=tmp_path / "password").read_password()


def test_a_password_is_never_shown() -> None:
    assert "secret" not in repr(MqttSecurity(password="secret"))


# --- what fits together


def test_credentials_that_make_no_sense_with_their_address(certs: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("x")
    for url, security, said in [
        (PLAIN, MqttSecurity(ca_path=certs / "ca.crt"), "not encrypted"),
        (TLS, MqttSecurity(key_path=certs / "r1.key"), "without a certificate"),
        (parse_mqtt_url("mqtts://broker"), MqttSecurity(password_path=password), "names no user"),
    ]:
        with pytest.raises(MqttSecurityError, match=said) as caught:
            check_security(url, security)
        assert caught.value.hint


def test_what_works_and_is_not_safe_is_a_warning(certs: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("x")
    password.chmod(0o640)
    pair = MqttSecurity(ca_path=certs / "ca.crt", cert_path=certs / "r1.crt", key_path=certs / "r1.key")
    assert check_security(TLS, pair) == ()
    assert check_security(parse_mqtt_url("mqtt://u@127.0.0.1"), MqttSecurity(password="x")) == ()
    (readable,) = check_security(TLS, MqttSecurity(password_path=password))
    assert f"chmod 600 {password}" in readable
    (in_clear,) = check_security(PLAIN, MqttSecurity(password="x"))
    assert "travels unencrypted" in in_clear


# --- certificates


@pytest.mark.parametrize(
    ("ca", "cert", "key", "said"),
    [
        ("none.crt", None, None, "cannot read the CA file"),
        ("r1.key", None, None, "holds no certificate in PEM"),
        ("ca.crt", "none.crt", "r1.key", "cannot read the certificate"),
        ("ca.crt", "r1.crt", "none.key", "cannot read the private key"),
        ("ca.crt", "r1.crt", None, "no certificate with its private key"),
        ("ca.crt", "r1.key", "r1.key", "no certificate with its private key"),
        ("ca.crt", "r1.crt", "r2.key", "does not belong to the certificate"),
        ("ca.crt", "r1.crt", "encrypted.key", "the private key is encrypted"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    ca: str, cert: str | None, key: str | None, said: str, certs: Path
) -> None:
    encrypted = certs / "encrypted.key"
    if not encrypted.exists():
        run("openssl", "pkey", "-aes256", "-passout", "pass:secret", "-in", certs / "r1.key", "-out", encrypted)
    security = MqttSecurity(
        ca_path=certs / ca,
        cert_path=None if cert is None else certs / cert,
        key_path=None if key is None else certs / key,
    )
    with pytest.raises(MqttSecurityError, match=said) as caught:
        check_security(TLS, security)
    assert caught.value.hint
    assert str(certs) in str(caught.value)


def test_a_context_checks_the_brokers_name_and_trusts_only_the_given_authority(certs: Path) -> None:
    context = MqttSecurity(ca_path=certs / "ca.crt").tls_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1
    assert MqttSecurity().tls_context().check_hostname


# --- what a loss is called


@pytest.mark.parametrize(
    ("error", "connected", "code", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), False, LossCode.UNREACHABLE, "Connection refused"),
        (ConnectionResetError(104, "reset"), True, LossCode.CLOSED, "reset"),
        (ConnectionResetError(104, "reset"), False, LossCode.NOT_MQTT, "mqtts://"),
        (TimeoutError(), False, LossCode.UNREACHABLE, "does not answer in time"),
        (OSError(), True, LossCode.CLOSED, "OSError"),
        (ssl.SSLError(1, "odd"), False, LossCode.REFUSED, "TLS failed"),
        (ssl.SSLEOFError(8, "EOF occurred"), True, LossCode.CLOSED, "EOF occurred"),
        (AclError("a file", hint="mend it"), False, LossCode.OWN_FILES, "a file (mend it)"),
    ],
)
def test_losses(error: Exception, connected: bool, code: LossCode, said: str) -> None:  # noqa: FBT001
    loss = loss_of(error, connected=connected, host="broker")
    assert loss.code is code
    assert said in str(loss)


def test_refusals_of_a_login() -> None:
    assert loss_by_connack(0x86, "Bad user name or password").code is LossCode.LOGIN_REFUSED
    assert loss_by_connack(0x87, "Not authorized").code is LossCode.LOGIN_REFUSED
    busy = loss_by_connack(0x88, "Server unavailable")
    assert busy == ConnectionLoss(code=LossCode.REFUSED, reason="the broker refuses us: Server unavailable")
    assert NO_ANSWER.hint is not None
