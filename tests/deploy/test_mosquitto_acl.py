"""Promise: a broker's access list lets each device publish on its own topics, and the bridge read; nothing else."""

from pathlib import Path

import pytest

from deploy.mosquitto_acl import AclError, mosquitto_acl
from devices.site.model import Feed, Reader, Sensor, Shelf, Site
from tests.deploy.command_line import tagtide
from tests.deploy.scene import SITE_TOML


def site(identity: str = "store-7", **devices: object) -> Site:
    return Site(id=identity, **devices)  # type: ignore[arg-type]


R1 = Reader(id="r1", profile="impinj", mqtt_topic="impinj/r1/events", status_mqtt_topics=("impinj/r1/status",))


def test_each_device_may_publish_on_its_topics_and_the_bridge_may_read() -> None:
    store = site(
        readers=(R1,),
        shelves=(
            Shelf(id="denim-3", zone="floor", profile="weight", mqtt_topic="shelves/denim 3/mass"),
            Shelf(id="no-scale", zone="floor"),
        ),
        sensors=(Sensor(id="t1", profile="tagtide", mqtt_topic="sensors/t1"),),
        feeds=(Feed(id="till", profile="tagtide", mqtt_topic="business/till"),),
    )
    assert rules(mosquitto_acl([store], bridge_user="tagtide")) == {
        "tagtide": ["read #", "read $SYS/#", "readwrite tagtide/doctor/#"],
        "r1": ["write impinj/r1/events", "write impinj/r1/status"],
        "denim-3": ["write shelves/denim 3/mass"],
        "t1": ["write sensors/t1"],
        "till": ["write business/till"],
    }


def test_sites_that_share_a_broker_and_have_like_names() -> None:
    other = Reader(id="r1", profile="impinj", mqtt_topic="other/r1")
    stores = [site("a", readers=(R1,)), site("b", readers=(other,))]
    with pytest.raises(AclError, match="both reader r1 of site a and reader r1 of site b") as caught:
        mosquitto_acl(stores, bridge_user="tagtide")
    assert "--site-in-user" in (caught.value.hint or "")
    assert rules(mosquitto_acl(stores, bridge_user="tagtide", site_in_user=True)).keys() == {
        "tagtide",
        "r1@a",
        "r1@b",
    }


def test_two_kinds_of_devices_of_one_name_would_be_one_user() -> None:
    sensor = Sensor(id="r1", profile="tagtide", mqtt_topic="sensors/r1")
    with pytest.raises(AclError, match="both reader r1") as caught:
        mosquitto_acl([site(readers=(R1,), sensors=(sensor,))], bridge_user="tagtide", site_in_user=True)
    assert "differently" in (caught.value.hint or "")


def test_no_device_is_the_bridge() -> None:
    """It would read everything."""
    with pytest.raises(AclError, match="called like the bridge's user"):
        mosquitto_acl([site(readers=(R1,))], bridge_user="r1")


@pytest.mark.parametrize("topic", ["a\nuser tagtide", "a\rb", " a", "a "])
def test_a_topic_cannot_smuggle_in_a_rule(topic: str) -> None:
    with pytest.raises(AclError, match="cannot hold"):
        mosquitto_acl([site(readers=(Reader(id="r", profile="impinj", mqtt_topic=topic),))], bridge_user="tagtide")


def test_the_command_prints_the_list(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE_TOML)
    ended = tagtide("site", "acl", file, "--bridge-user", "edge")
    assert (ended.code, ended.err) == (0, "")
    assert rules(ended.out) == {
        "edge": ["read #", "read $SYS/#", "readwrite tagtide/doctor/#"],
        "r1": ["write store-7/r1"],
    }


def rules(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    user = ""
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            user = rest
            found[user] = []
        elif word == "topic":
            found[user].append(rest)
        else:
            assert not line or line.startswith("#")
    return found
