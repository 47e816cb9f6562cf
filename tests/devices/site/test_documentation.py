"""The reference of the site file is whole: its example has every key and loads without a remark."""

import dataclasses
import re

from devices.registry import PROFILES
from devices.site import (
    Antenna,
    Feed,
    Gate,
    GeoReference,
    LocationSettings,
    Reader,
    Sensor,
    Shelf,
    Site,
    Wall,
    Zone,
    check_text,
)
from tests.shared_data import REPOSITORY

PAGE = (REPOSITORY / "docs" / "site-file.md").read_text(encoding="utf-8")
DERIVED = {
    "warnings",
    "zones",
    "readers",
    "shelves",
    "sensors",
    "feeds",
    "walls",
    "antennas",
    "gates",
    "learnt",
    "surveyed",
}


def test_the_complete_example_loads_without_a_remark() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    report = check_text(example, profiles=("impinj", "zebra", "tagtide", "weight"))
    assert report.problems == ()
    assert report.warnings == ()
    assert report.site is not None
    for kind in (Site, GeoReference, LocationSettings, Zone, Reader, Antenna, Gate, Shelf, Sensor, Feed, Wall):
        for field in dataclasses.fields(kind):
            if field.name not in DERIVED:
                assert re.search(rf"^(# )?{field.name} = |^\[{field.name}\]", example, flags=re.MULTILINE), field.name


def test_every_key_is_explained() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    for kind in (Site, GeoReference, LocationSettings, Zone, Reader, Antenna, Gate, Shelf, Sensor, Feed, Wall):
        for field in dataclasses.fields(kind):
            if field.name not in DERIVED:
                assert re.search(rf"`\[*{field.name}\]*( = [^`]*)?`", prose), field.name


def test_the_dialects_named_are_those_that_exist() -> None:
    (listed,) = re.findall(r'profile = "impinj" +# which dialect: (.*)', PAGE)
    assert set(listed.split()) == set(PROFILES)
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert check_text(example).ok
    assert "unknown profile" in check_text(example.replace('"impinj"', '"impinge"')).problems[0]
