"""The planned store: a site file without problems, zones that touch, goods that exist."""

from itertools import pairwise

import pytest

from devices.epc.keys import check_digit
from devices.errors import UsageError
from devices.observations import SourceKind
from devices.site.file import check_text
from devices.site.geometry import SiteGeometry
from devices.site.model import ZoneKind
from simulators.catalogue import CATALOGUE
from simulators.plan import StorePlan, build_plan
from simulators.shape import PlanShape
from simulators.site_toml import site_toml

SIZES = [(7, 7, 30), (10, 12, 60), (13, 20, 1500), (13, 24, 800), (13, 48, 800), (24, 60, 3000)]


def planned(zones: int, antennas: int, items: int) -> StorePlan:
    return build_plan(
        site_id="store-1", name='Store "1"', zones=zones, antennas=antennas, items=items, timezone="Europe/Berlin"
    )


def test_gtins_are_distinct_and_have_valid_check_digits() -> None:
    gtins = [product.gtin for product in CATALOGUE]
    assert len(set(gtins)) == len(gtins)
    assert all(len(gtin) == 14 and check_digit(gtin[:-1]) == gtin[-1] for gtin in gtins)


@pytest.mark.parametrize(("zones", "antennas", "items"), SIZES)
def test_the_site_file_reads_back_as_planned_without_a_remark(zones: int, antennas: int, items: int) -> None:
    plan = planned(zones, antennas, items)
    report = check_text(site_toml(plan.site, comment="planned"))
    assert report.problems == ()
    assert report.warnings == ()
    assert report.site == plan.site
    assert len(plan.site.zones) == zones
    assert len(plan.antennas) == antennas


@pytest.mark.parametrize(("zones", "antennas", "items"), SIZES)
def test_zones_cover_the_floor_and_every_zone_can_be_reached(zones: int, antennas: int, items: int) -> None:
    layout = planned(zones, antennas, items).layout
    assert sum(rectangle.area for rectangle in layout.rectangles) == pytest.approx(layout.width * layout.depth)
    for start in range(zones):
        for goal in range(zones):
            way = layout.route(start, goal)
            assert way[0] == start
            assert way[-1] == goal
            assert all((a, b) in layout.passages for a, b in pairwise(way))


def test_antennas_and_shelves_stand_in_the_zone_they_name() -> None:
    site = planned(13, 24, 800).site
    geometry = SiteGeometry(site)
    for reader in site.readers:
        assert all(geometry.zone_at(antenna.x, antenna.y) == antenna.zone for antenna in reader.antennas)
    for shelf in site.shelves:
        assert shelf.x is not None
        assert shelf.y is not None
        assert geometry.zone_at(shelf.x, shelf.y) == shelf.zone


def test_the_demo_store_has_every_kind_of_zone_reader_and_device() -> None:
    site = planned(13, 20, 1500).site
    assert {zone.kind for zone in site.zones} == set(ZoneKind)
    assert {reader.profile for reader in site.readers} == {"impinj", "zebra", "tagtide"}
    assert {shelf.profile for shelf in site.shelves} == {"weight", "tagtide", None}
    assert {source.kind for _, source in site.sources()} == set(SourceKind) - {SourceKind.BRIDGE}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_shelves_of_tagged_goods_is_weighed(share: float) -> None:
    plan = build_plan(
        site_id="s",
        name="s",
        zones=13,
        antennas=24,
        items=1500,
        timezone="UTC",
        shape=PlanShape(scale_share=share),
    )
    weighed = [
        shelf.mqtt_topic is not None
        for shelf, product in zip(plan.site.shelves, plan.shelf_products, strict=True)
        if plan.products[product].tagged
    ]
    assert sum(weighed) / len(weighed) == pytest.approx(share, abs=0.1)


def test_every_antenna_has_a_zone_of_its_own_at_least() -> None:
    with pytest.raises(UsageError, match="12 antennas cannot cover 13 zones"):
        planned(13, 12, 100)
    with pytest.raises(UsageError, match="7 zones or more"):
        planned(6, 12, 100)
