"""A site file loads as its author meant it, or says everything that is wrong with it in one go."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import SiteFileError
from devices.site import ReaderClock, ZoneKind, check_site, check_text, load_site, load_sites, parse_site
from devices.site.model import LocationSettings

PROFILES = ("impinj", "zebra", "tagtide", "weight")
HERE = Path(__file__).parent

DESIGN_EXAMPLE = """
schema = 1
id = "store-042"                     # the Kafka key and the lake's partition
name = "Hamburg, Moenckebergstrasse"
timezone = "Europe/Berlin"
[[zone]]                             # metres, x right, y up
id = "floor.denim"
kind = "sales_floor"
polygon = [[8, 4], [16, 4], [16, 14], [8, 14]]
[[reader]]
id = "r1"
profile = "impinj"                   # which dialect
mqtt_topic = "impinj/r1/events"
[[reader.antenna]]
port = 1
x = 4.5
y = 2.0
z = 3.5
[[shelf]]
id = "denim-3"
zone = "floor.denim"
gtin = "09506000134352"
unit_grams = 410
profile = "weight"
mqtt_topic = "shelves/denim-3/mass"
"""

ZONE = """
[[zone]]
id = "floor"
kind = "sales_floor"
polygon = [[0, 0], [8, 0], [8, 6], [0, 6]]
"""
TOP = 'schema = 1\nid = "s1"\n'


def problems_of(text: str) -> tuple[str, ...]:
    return check_text(text, profiles=PROFILES).problems


def reader(name: str = "r1", topic: str = "t/1", more: str = "", antenna: str = "port = 1\nx = 1\ny = 1") -> str:
    head = f'[[reader]]\nid = "{name}"\nprofile = "impinj"\nmqtt_topic = "{topic}"\n{more}\n'
    return head + f"[[reader.antenna]]\n{antenna}\n"


def test_the_example_of_the_design_loads_word_for_word() -> None:
    site = parse_site(DESIGN_EXAMPLE, profiles=PROFILES)
    assert (site.id, site.name, site.timezone) == ("store-042", "Hamburg, Moenckebergstrasse", "Europe/Berlin")
    assert site.zones[0].polygon == ((8.0, 4.0), (16.0, 4.0), (16.0, 14.0), (8.0, 14.0))
    assert site.zones[0].kind is ZoneKind.SALES_FLOOR
    antenna = site.readers[0].antennas[0]
    assert (antenna.port, antenna.x, antenna.y, antenna.z, antenna.zone) == (1, 4.5, 2.0, 3.5, None)
    assert site.shelves[0].unit_grams == 410.0
    assert [topic for topic, _ in site.sources()] == ["impinj/r1/events", "shelves/denim-3/mass"]
    assert len(site.warnings) == 1  # its antenna stands in a part of the store that the example leaves out
    assert "outside all zones" in site.warnings[0]


def test_every_optional_key_arrives() -> None:
    text = (
        TOP
        + 'sgln = "urn:epc:id:sgln:4012345.00001.0"\nallowed_lateness_s = 5\ndeparted_after_s = 900.5\n'
        + "[geo]\nlatitude_deg = 53.55\nlongitude_deg = 9.99\nbearing_deg = 12\n"
        + "[location]\nmove_sensitivity = 0.3\nfalse_moves_per_item_hour = 0.5\n"
        + ZONE
        + 'name = "Sales floor"\nsgln = "urn:epc:id:sgln:4012345.00001.1"\n'
        + reader(
            more='status_mqtt_topics = ["t/1/will", "t/1/mgmt"]\nclock = "trusted"\nmodel = "R700"',
            antenna='port = 1\nx = 9\ny = 1\nzone = "floor"\nname = "door"\ngain_dbi = 6\ntx_power_dbm = 30\n'
            'azimuth_deg = 90\ndowntilt_deg = 45\nbeamwidth_deg = 60\nsgln = "urn:epc:id:sgln:4012345.00001.2"',
        )
        + '[[shelf]]\nid = "a"\nzone = "floor"\ncapacity_units = 20\nminimum_units = 4\nx = 1\ny = 2\n'
        + '[[sensor]]\nid = "t"\nprofile = "tagtide"\nmqtt_topic = "t/t"\nzone = "floor"\n'
        + '[[feed]]\nid = "erp"\nprofile = "tagtide"\nmqtt_topic = "t/erp"\n'
        + "[[wall]]\nline = [[0, 0], [1, 0]]\n[[wall]]\nstart = [0, 0]\nend = [0, 2]\nloss_db = 6\n"
    )
    site = parse_site(text, profiles=PROFILES)
    assert site.warnings == ()
    assert (site.allowed_lateness_s, site.departed_after_s) == (5.0, 900.5)
    assert site.geo is not None
    assert (site.geo.latitude_deg, site.geo.longitude_deg, site.geo.bearing_deg) == (53.55, 9.99, 12.0)
    assert site.location == LocationSettings(false_moves_per_item_hour=0.5, move_sensitivity=0.3)
    assert site.readers[0].clock is ReaderClock.TRUSTED
    antenna = site.readers[0].antennas[0]
    assert (antenna.gain_dbi, antenna.tx_power_dbm, antenna.azimuth_deg) == (6.0, 30.0, 90.0)
    assert (antenna.downtilt_deg, antenna.beamwidth_deg, antenna.zone, antenna.name) == (45.0, 60.0, "floor", "door")
    assert (site.shelves[0].capacity_units, site.shelves[0].minimum_units) == (20, 4)
    assert [(wall.start, wall.end, wall.loss_db) for wall in site.walls] == [
        ((0.0, 0.0), (1.0, 0.0), None),
        ((0.0, 0.0), (0.0, 2.0), 6.0),
    ]
    assert [topic for topic, _ in site.sources()] == ["t/1", "t/1/will", "t/1/mgmt", "t/t", "t/erp"]


def test_a_file_full_of_mistakes_reports_all_of_them_in_one_run() -> None:
    report = check_site(HERE / "golden" / "mistakes.toml", profiles=PROFILES)
    expected = (HERE / "golden" / "mistakes.expected").read_text().splitlines()
    lines = [f"problem {line}" for line in report.problems] + [f"warning {line}" for line in report.warnings]
    assert lines == expected
    assert report.site is None
    assert len(report.problems) >= 24
    assert all("\n" not in line for line in lines)


def test_problems_reach_the_caller_as_one_error() -> None:
    with pytest.raises(SiteFileError) as caught:
        load_site(HERE / "golden" / "mistakes.toml", profiles=PROFILES)
    assert len(caught.value.problems) >= 24
    assert caught.value.hint is not None
    assert "tagtide site check" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schema = 1\nid = \n", r"not TOML: .*line 2"),
        ('id = "s"\n' + ZONE, r"schema is missing: write schema = 1"),
        ('schema = 9\nid = "s"\n' + ZONE, r"schema 9 is newer .* upgrade Tagtide"),
        ('schema = "1"\nid = "s"\n' + ZONE, r"schema must be a number"),
        (TOP, r"has no zones"),
        (TOP + ZONE + ZONE.replace("[0, 0], [8, 0], [8, 6]", "[0, 9], [8, 9], [8, 6]"), r'zone "floor": duplicate id'),
        (TOP + ZONE.replace("[[zone]]", "[zone]"), r"write \[\[zone\]\] with two brackets"),
        (TOP + ZONE.replace("[8, 6], [0, 6]", "[0, 6], [8, 6]"), r'zone "floor": polygon crosses .* at \('),
        (TOP + ZONE.replace(", [8, 6], [0, 6]", ""), r"2 different corners"),
        (TOP + ZONE.replace("[8, 6], [0, 6]", "[4, 0]"), r"no area"),
        (TOP + ZONE.replace("8, 6", "8, true"), r"point 3 y must be a number, not true"),
        (TOP + ZONE.replace("8, 6", "8, 1e400"), r"point 3 y must be a finite number, not inf"),
        (TOP + ZONE.replace("8, 6", "8, 1" + "0" * 400), r"point 3 y must be a finite number"),
        (TOP + ZONE.replace("sales_floor", "Exit"), r'unknown kind "Exit", did you mean "exit"'),
        (TOP + ZONE + reader() + reader("r2"), r'reader "r1" and reader "r2": duplicate mqtt_topic "t/1"'),
        (TOP + ZONE + reader() + reader(topic="t/2"), r'reader "r1": duplicate id'),
        (TOP + ZONE + reader(topic="a/#"), r"wildcard"),
        (TOP + ZONE + reader(topic="$SYS/x"), r"begins with \$"),
        (TOP + ZONE + reader(topic=""), r'reader "r1": mqtt_topic is empty'),
        (TOP + ZONE + reader().replace("impinj", "impnj"), r'unknown profile "impnj", did you mean "impinj"'),
        (TOP + ZONE + reader(antenna="port = 1.5\nx = 1\ny = 1"), r"port must be a whole number"),
        (TOP + ZONE + reader(antenna='port = 1\nx = "1"\ny = 1'), r'reader "r1" antenna 1: x must be a number'),
        (TOP + ZONE + reader(antenna="x = 1\ny = 1"), r'reader "r1" antenna #1: port is missing'),
        (TOP + ZONE + reader(antenna='port = 1\nx = 1\ny = 1\nzone = "flor"'), r'unknown zone "flor", did you mean'),
        (TOP + ZONE + reader(more='clock = "estimated"'), r'unknown clock "estimated", did you mean "estimate"'),
        (TOP + ZONE + '[[shelf]]\nid = "a"\nzone = "floor"\ngtin = 9506000134352', r'write gtin = "9506000134352"'),
        (TOP + ZONE + '[[shelf]]\nid = "a"\nzone = "floor"\ngtin = "123"', r"3 digits"),
        (TOP + ZONE + '[[shelf]]\nid = "a"\nzone = "floor"\nunit_grams = 0', r"0.001 or more"),
        (TOP + ZONE + '[[shelf]]\nid = "a"\nzone = "floor"\nprofile = "weight"', r"both profile and mqtt_topic"),
        (TOP + ZONE + "[[wall]]\nline = [[1, 1], [1, 1]]", r"wall #1: has no length"),
        (TOP + ZONE.replace('"floor"', '"the floor"'), r'rename it, for example "the_floor"'),
        (TOP + 'timezone = "CET/DST"\n' + ZONE, r'unknown timezone "CET/DST"'),
        (TOP + "[location]\nmove_sensitivity = 2\n" + ZONE, r"location: move_sensitivity .*2.* 1"),
        (TOP + '[location]\nmove_sensitivity = "high"\n' + ZONE, r"location: move_sensitivity must be a number"),
        (TOP + "[location]\nfalse_moves_per_item_hour = 0\n" + ZONE, r"location: false_moves_per_item_hour .*0.01"),
        (TOP + "location = 0.5\n" + ZONE, r"location"),
        (TOP + 'geojson = "gone.geojson"\n' + ZONE, r'geojson "gone.geojson": cannot be read'),
    ],
)
def test_one_mistake_is_one_problem_with_its_place_and_mend(text: str, expected: str) -> None:
    problems = problems_of(text)
    assert len(problems) == 1, problems
    assert re.search(expected, problems[0])


def test_shared_borders_and_slivers_are_no_overlap() -> None:
    beside = ZONE.replace('"floor"', '"back"').replace("[0, 0], [8, 0], [8, 6], [0, 6]", "{}")
    for corners in ("[8, 0], [9, 0], [9, 6], [8, 6]", "[7.999, 0], [9, 0], [9, 6], [7.999, 6]"):
        assert problems_of(TOP + ZONE + beside.replace("{}", corners)) == ()
    (problem,) = problems_of(TOP + ZONE + beside.replace("{}", "[7.9, 0], [9, 0], [9, 6], [7.9, 6]"))
    assert problem.startswith('zone "floor" and zone "back": overlap by 0.60 m2')


@pytest.mark.parametrize(
    ("gtin", "expected"),
    [
        ("96385074", "00000096385074"),
        ("036000291452", "00036000291452"),
        ("4006381333931", "04006381333931"),
        ("09506000134352", "09506000134352"),
    ],
)
def test_every_gtin_length_becomes_14_digits(gtin: str, expected: str) -> None:
    site = parse_site(TOP + ZONE + f'[[shelf]]\nid = "a"\nzone = "floor"\ngtin = "{gtin}"', profiles=PROFILES)
    assert site.shelves[0].gtin == expected


def test_an_antenna_takes_the_zone_at_its_place_or_the_near_one_at_a_door() -> None:
    def zone(x: float) -> tuple[str | None, int]:
        site = parse_site(TOP + ZONE + reader(antenna=f"port = 1\nx = {x}\ny = 3"), profiles=PROFILES)
        return site.readers[0].antennas[0].zone, len(site.warnings)

    assert zone(4) == ("floor", 0)
    assert zone(8) == ("floor", 0)
    assert zone(9.5) == ("floor", 1)
    assert zone(10.5) == (None, 1)


def test_unknown_keys_are_warnings_that_name_the_likely_key() -> None:
    report = check_text(TOP + "zones = 3\n" + ZONE + reader(more='mqtt_topik = "x"'), profiles=PROFILES)
    assert report.problems == ()
    assert [line.split(" It is")[0] for line in report.warnings] == [
        'reader "r1": unknown key "mqtt_topik", did you mean "mqtt_topic"?',
        'site: unknown key "zones", did you mean "zone"?',
    ]


def test_geojson_beside_the_file_gives_outlines(tmp_path: Path) -> None:
    ring = "[[0, 0, 0.5], [8, 0], [8, 6], [0, 6], [0, 0]]"
    feature = '{"type": "Feature", "properties": {"id": "%s"}, "geometry": {"type": "Polygon", "coordinates": [%s]}}'
    features = f"{feature % ('floor', ring)}, {feature % ('attic', ring)}"
    (tmp_path / "plan.geojson").write_text(f'{{"type": "FeatureCollection", "features": [{features}]}}')
    path = tmp_path / "s1.toml"
    path.write_text(TOP + 'geojson = "plan.geojson"\n' + "\n".join(ZONE.splitlines()[:4]))
    site = load_site(path, profiles=PROFILES)
    assert site.zones[0].polygon == ((0.0, 0.0), (8.0, 0.0), (8.0, 6.0), (0.0, 6.0))
    assert any('zone "attic"' in line for line in site.warnings)


@pytest.mark.parametrize("content", ["", "[]", '{"features": [3, {"properties": {"id": "floor"}}]}', "[" * 100_000])
def test_any_geojson_is_a_report(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.geojson").write_text(content)
    path = tmp_path / "s1.toml"
    path.write_text(TOP + 'geojson = "plan.geojson"\n' + ZONE)
    assert not check_site(path, profiles=PROFILES).ok


def test_sites_may_not_share_an_id_or_a_topic(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(TOP + ZONE + reader())
    (tmp_path / "b.toml").write_text(TOP + ZONE + reader())
    (tmp_path / "c.toml").write_text(TOP.replace("s1", "s2") + ZONE + reader(topic="t/2"))
    paths = [tmp_path / name for name in ("a.toml", "b.toml", "c.toml")]
    with pytest.raises(SiteFileError) as caught:
        load_sites(paths, profiles=PROFILES)
    assert len(caught.value.problems) == 2
    assert all(line.startswith(str(paths[1])) for line in caught.value.problems)
    assert [site.id for site in load_sites([paths[0], paths[2]], profiles=PROFILES)] == ["s1", "s2"]


def test_a_file_that_is_not_there_not_text_or_marked_by_windows(tmp_path: Path) -> None:
    assert "cannot be read" in check_site(tmp_path / "none.toml").problems[0]
    assert "cannot be read" in check_site(tmp_path).problems[0]
    (tmp_path / "x.toml").write_bytes(b"id = '\xff'")
    assert "not UTF-8" in check_site(tmp_path / "x.toml").problems[0]
    (tmp_path / "y.toml").write_bytes(b"\xef\xbb\xbf" + DESIGN_EXAMPLE.replace("\n", "\r\n").encode())
    assert load_site(tmp_path / "y.toml", profiles=PROFILES).id == "store-042"


VALUES = st.recursive(
    st.one_of(
        st.sampled_from(['"floor"', '""', "0", "-1", "1.5", "nan", "inf", "true", "1979-05-27", "1" + "0" * 5000]),
        st.text(alphabet="ab$+#/. é", max_size=4).map(lambda text: f'"{text}"'),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
        inner.map(lambda part: f"{{ id = {part} }}"),
    ),
    max_leaves=6,
)
KEYS = ["schema", "id", "timezone", "geo", "location", "geojson", "zone", "reader", "shelf", "wall", "sensor", "feed"]
INNER = ["id", "kind", "polygon", "mqtt_topic", "status_mqtt_topics", "antenna", "port", "x", "line", "gtin", "profile"]


@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES),
    st.sampled_from(KEYS),
    st.dictionaries(st.sampled_from(INNER), VALUES),
)
def test_any_values_are_a_report_and_nothing_else(top: dict[str, str], kind: str, inner: dict[str, str]) -> None:
    top.pop(kind, None)
    lines = [f"{key} = {value}" for key, value in top.items()]
    lines += [f"[[{kind}]]", *(f"{key} = {value}" for key, value in inner.items())]
    report = check_text("\n".join(lines), profiles=PROFILES)
    assert report.ok == (report.site is not None)


@given(st.text())
def test_any_text_is_a_report_and_nothing_else(text: str) -> None:
    report = check_text(text, profiles=PROFILES)
    assert not report.ok
    assert report.problems


def test_brackets_without_end_are_a_report() -> None:
    (problem,) = problems_of("x = " + "[" * 100_000)
    assert problem.startswith("file: is not TOML")
