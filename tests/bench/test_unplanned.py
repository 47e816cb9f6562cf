"""The bench of stores without a plan exchanges EPCs, and loses or doubles none."""

from tests.bench.unplanned import exchange


def test_epcs_are_exchanged_among_a_share_of_the_items() -> None:
    epcs = [f"{number:024X}" for number in range(200)]
    assert exchange(epcs, 0.0) == {}
    for share, count in ((0.5, 100), (1.0, 200)):
        names = exchange(epcs + epcs[:50], share)
        assert len(names) == count
        assert set(names) == set(names.values()) <= set(epcs)
        assert sum(old != new for old, new in names.items()) > 0.9 * count
    assert exchange(epcs, 0.5) == exchange(epcs, 0.5)
