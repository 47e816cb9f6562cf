"""A broker's address is understood or explained, and a password is never shown."""

import pytest

from ingest.errors import MqttUrlError
from ingest.mqtt_url import PASSWORD_VARIABLE, MqttUrl, parse_mqtt_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://localhost", MqttUrl(host="localhost", port=1883)),
        ("mqtts://broker.example", MqttUrl(host="broker.example", port=8883, tls=True)),
        (" MQTT://10.0.0.7:1884/ ", MqttUrl(host="10.0.0.7", port=1884)),
        ("mqtt://[::1]:1885", MqttUrl(host="::1", port=1885)),
        ("mqtt://u%40x:p%3A%2F@h", MqttUrl(host="h", port=1883, username="u@x", password="p:/")),
    ],
)
def test_addresses(text: str, expected: MqttUrl) -> None:
    assert parse_mqtt_url(text, {}) == expected


def test_the_password_may_come_from_the_environment() -> None:
    environment = {PASSWORD_VARIABLE: "secret"}
    assert parse_mqtt_url("mqtt://u@h", environment).password == "secret"
    assert parse_mqtt_url("mqtt://u:own@h", environment).password == "own"
    assert parse_mqtt_url("mqtt://h", environment).password is None


def test_a_password_is_never_shown() -> None:
    url = parse_mqtt_url("mqtts://u:secret@h:1", {})
    assert "secret" not in repr(url) + str(url)
    assert str(url) == "mqtts://u@h:1"
    assert str(parse_mqtt_url("mqtt://[::1]", {})) == "mqtt://[::1]:1883"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:1883",
        "http://u:secret@h",
        "mqtt://",
        "mqtt://u:secret@h:port",
        "mqtt://u:secret@h:99999",
        "mqtt://h:0",
        "mqtt://u:secret@h/topic",
        "mqtt://u:secret@h?x=1",
        "mqtt://:secret@h",
        "mqtt://u:sec[ret@h",
    ],
)
def test_what_cannot_work_is_explained(text: str) -> None:
    with pytest.raises(MqttUrlError) as caught:
        parse_mqtt_url(text, {})
    assert caught.value.hint is not None
    assert "mqtt://" in caught.value.hint
    assert "secret" not in str(caught.value) + caught.value.hint
    assert caught.value.__cause__ is None
