"""A simulated day as a whole: the same seed gives the same bytes, and the truth is complete."""

from simulators.config import preset
from simulators.day import StoreDay


def test_the_same_seed_gives_the_same_publications_byte_for_byte() -> None:
    assert list(StoreDay(preset("tiny"))) == list(StoreDay(preset("tiny")))
