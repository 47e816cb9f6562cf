"""Deliveries that come packed: the truth of what is in what agrees with where everything is."""

import csv
from pathlib import Path

import pytest

from analytics.aggregation.levels import PackingLevel, packing_level
from simulators.cartons import PackingHabits
from simulators.config import preset
from simulators.output import write_day


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes in which a packed delivery comes in and some of it is opened."""
    path = tmp_path_factory.mktemp("cartons")
    packing = PackingHabits(carton_units=6, open_after_s=60.0, pick_share=0.6)
    config = preset("tiny", seed=4, hours=1 / 3, packing=packing, delivered_share=0.4, dead_tag_share=0.0)
    write_day(config, path)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_what_is_in_another_is_where_that_is(folder: Path) -> None:
    stays: dict[str, list[tuple[int, int, str]]] = {}
    for row in rows_of(folder / "truth.csv"):
        stays.setdefault(row["epc_hex"], []).append((int(row["from_us"]), int(row["until_us"]), row["zone"]))
    containments = rows_of(folder / "truth_aggregations.csv")
    assert len(containments) > 30
    for row in containments:
        from_us, until_us = int(row["from_us"]), int(row["until_us"])
        assert from_us < until_us
        for at_us in range(from_us, until_us, 5_000_000):
            zones = {
                zone
                for epc in (row["parent_epc_hex"], row["child_epc_hex"])
                for start, end, zone in stays[epc]
                if start <= at_us < end
            }
            assert len(zones) == 1, (row, at_us, zones)


def test_levels_of_packing_are_in_the_codes(folder: Path) -> None:
    containments = rows_of(folder / "truth_aggregations.csv")
    kinds = {(packing_level(row["parent_epc_hex"]), packing_level(row["child_epc_hex"])) for row in containments}
    carton, pallet = PackingLevel.LOGISTIC_UNIT, PackingLevel.CARRIER
    assert kinds == {(pallet, carton), (pallet, PackingLevel.ITEM), (carton, PackingLevel.ITEM)}


def test_things_are_taken_out(folder: Path) -> None:
    containments = rows_of(folder / "truth_aggregations.csv")
    end_us = max(int(row["until_us"]) for row in containments)
    assert sum(int(row["until_us"]) < end_us for row in containments) > 20


def test_loose_deliveries_have_no_such_truth(tmp_path: Path) -> None:
    write_day(preset("tiny", hours=0.02), tmp_path)
    assert not (tmp_path / "truth_aggregations.csv").exists()
