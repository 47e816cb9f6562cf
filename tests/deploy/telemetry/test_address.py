"""Promise: nothing is served to other machines without a token, and a token is worth the name."""

from pathlib import Path

import pytest

from deploy.telemetry.address import HttpAddressError, http_address

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464),
        ("9464", "127.0.0.1", 9464),
        ("localhost:0", "localhost", 0),
        ("[::1]:9464", "::1", 9464),
        ("127.8.9.10:1", "127.8.9.10", 1),
    ],
)
def test_an_address_of_this_machine_needs_no_token(text: str, host: str, port: int) -> None:
    address = http_address(text, None, {})
    assert (address.host, address.port, address.token) == (host, port, None)


@pytest.mark.parametrize("text", ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "store-7.example:9464", "127.1:9464"])
def test_any_other_address_demands_one(text: str) -> None:
    with pytest.raises(HttpAddressError, match="no token was given") as raised:
        http_address(text, None, {})
    assert raised.value.code == "http_token_missing"
    assert "--http-token-file" in (raised.value.hint or "")
    assert http_address(text, None, {"TAGTIDE_HTTP_TOKEN": TOKEN}).token == TOKEN
    assert http_address(text, None, {}, asking=True).token is None, "who asks is told by the other side"


@pytest.mark.parametrize("text", ["", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "h:70000", "h:-1", "h:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(HttpAddressError, match="is not HOST:PORT"):
        http_address(text, None, {"TAGTIDE_HTTP_TOKEN": TOKEN})


@pytest.mark.parametrize("token", ["", "short", "0123456789abcde", "0123456789abcdef ghi", "0123456789abcdéf"])
def test_a_weak_token_is_refused_and_not_repeated(token: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{token}\nsecond line", "utf-8")
    for given, environment in ((file, {}), (None, {"TAGTIDE_HTTP_TOKEN": token})):
        with pytest.raises(HttpAddressError) as raised:
            http_address("127.0.0.1:1", given, environment)
        assert raised.value.code == "http_token_unfit"
        assert not token or token not in str(raised.value)


def test_a_token_file_comes_first_and_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"  {TOKEN}  \nremark\n")
    assert http_address("1", file, {"TAGTIDE_HTTP_TOKEN": "another-one-that-is-long"}).token == TOKEN
    with pytest.raises(HttpAddressError, match="cannot read the token file"):
        http_address("1", tmp_path / "none", {})


def test_a_token_does_not_show_in_a_repr() -> None:
    assert TOKEN not in repr(http_address("0.0.0.0:1", None, {"TAGTIDE_HTTP_TOKEN": TOKEN}))
