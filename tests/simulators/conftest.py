"""One tiny day for all tests that only look at it."""

from dataclasses import dataclass

import pytest

from devices.publication import Publication
from simulators.config import preset
from simulators.day import StoreDay


@dataclass(frozen=True)
class RunDay:
    """A day that has been run to its end."""

    day: StoreDay
    publications: list[Publication]


@pytest.fixture(scope="session")
def tiny() -> RunDay:
    day = StoreDay(preset("tiny"))
    return RunDay(day=day, publications=list(day))
