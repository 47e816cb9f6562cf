"""What the site has taught about its radio goes out as rows: whole versions, numbered on over cuts, dumps and maps."""

from dataclasses import replace

import pytest

from analytics.steps.location import LocationStep
from devices.chunk import Chunk
from tests.analytics.chunk_building import Sayings
from tests.analytics.step_laws import check_step, run_arrival, run_step
from tests.analytics.test_location import OTHER, SGTIN, SITE


def linear() -> Chunk:
    """A reader that counts in a unit of its own, for long enough to notice: 300 s, two reads a second."""
    said = Sayings()
    for number in range(300):
        said.read(1.0 * number, reader="r1", antenna=2, rssi_linear=2.0e7, epc_hex=SGTIN)
        said.read(1.0 * number + 0.5, reader="r1", antenna=1, rssi_linear=2.0e4 + 100.0 * (number % 7), epc_hex=OTHER)
    return said.mark(310).chunk()


LINEAR = linear()


def test_a_reader_in_other_units_is_told_as_a_law() -> None:
    rows = run_step(LocationStep(), SITE, [LINEAR])["radio_laws"].to_pylist()
    assert {row["site"] for row in rows} == {SITE.id}
    versions = sorted({row["version"] for row in rows})
    assert versions == list(range(1, len(versions) + 1))
    antennas = sum(len(reader.antennas) for reader in SITE.readers)
    for version in versions:
        whole = [row for row in rows if row["version"] == version]
        assert len({row["as_of_time"] for row in whole}) == 1
        assert [row["antenna"] for row in whole if row["parameter"] == "level_db"] == [one.id for one in SITE.readers]
        assert len([row for row in whole if row["parameter"] == "offset_db"]) == antennas
    level = {row["antenna"]: row["value"] for row in rows if row["parameter"] == "level_db"}
    assert abs(level["r1"]) > 0.0
    assert level["r2"] == 0.0


@pytest.mark.parametrize("offsets", [[1], [150, 300], [100, 101, 480]])
def test_laws_are_the_same_however_input_is_cut(offsets: list[int]) -> None:
    assert check_step(LocationStep(), SITE, LINEAR, offsets)["radio_laws"].num_rows > 0


def test_numbers_of_laws_go_on_where_the_map_has_changed() -> None:
    step = LocationStep()
    state = step.initial(SITE)
    for arrived in run_arrival(SITE, [LINEAR]):
        state, _ = step.step(state, arrived, SITE)
    assert state.law.version > 0
    same = step.load(step.dump(state), SITE)
    assert (same.law.version, same.law.as_of_us) == (state.law.version, state.law.as_of_us)
    fewer = replace(SITE, zones=SITE.zones[:-1])
    moved = step.load(step.dump(state), fewer)
    assert moved.law.version == state.law.version
    assert not moved.law.level_db.any()
