"""A broker's address is understood or explained, and a password is never shown."""

import pytest

from ingest.errors import MqttUrlError
from ingest.mqtt_url import MqttUrl, parse_mqtt_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://localhost", MqttUrl(host="localhost", port=1883)),
        ("mqtts://broker.example", MqttUrl(host="broker.example", port=8883, tls=True)),
        (" MQTT://10.0.0.7:1884/ ", MqttUrl(host="10.0.0.7", port=1884)),
        ("mqtt://[::1]:1885", MqttUrl(host="::1", port=1885)),
        ("mqtts://u%40x@h", MqttUrl(host="h", port=8883, tls=True, username="u@x")),
        ("mqtt://@h", MqttUrl(host="h", port=1883)),
    ],
)
def test_addresses(text: str, expected: MqttUrl) -> None:
    assert parse_mqtt_url(text) == expected


def test_an_address_is_shown_as_it_is_written() -> None:
    assert str(parse_mqtt_url("mqtts://u@h:1")) == "mqtts://u@h:1"
    assert str(parse_mqtt_url("mqtt://[::1]")) == "mqtt://[::1]:1883"


@pytest.mark.parametrize("text", ["mqtt://u:secret@h", "mqtts://u:secret@h:8883", "mqtt://:secret@h"])
def test_a_password_in_an_address_is_refused_with_where_to_put_it(text: str) -> None:
    """Command lines are read by everybody on the machine (`ps`), and addresses stand in logs."""
    with pytest.raises(MqttUrlError, match="holds a password") as caught:
        parse_mqtt_url(text)
    assert caught.value.hint is not None
    assert "--mqtt-password-file" in caught.value.hint
    assert "TAGTIDE_MQTT_PASSWORD" in caught.value.hint
    assert "secret" not in str(caught.value) + caught.value.hint


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
        "mqtt://u:sec[ret@h",
    ],
)
def test_what_cannot_work_is_explained(text: str) -> None:
    with pytest.raises(MqttUrlError) as caught:
        parse_mqtt_url(text)
    assert caught.value.hint is not None
    assert "mqtt://" in caught.value.hint
    assert "secret" not in str(caught.value) + caught.value.hint
    assert caught.value.__cause__ is None
