"""What really happened: where every item was, from when until when.

A row holds from its time until the item's next row, or to the end of the day. While an item is carried, a row covers
at most two metres of the way and gives its middle; zone changes are exact to the microsecond.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

OFF_SITE = -1
"""Zone number of an item that is not on site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One row of the truth about one item."""

    zone: int
    """Zone number, or `OFF_SITE`."""
    x: float
    """Metres."""
    y: float
    """Metres."""
    from_us: int
    """First instant."""
    until_us: int
    """First instant after it."""


class TruthLog:
    """The whereabouts of every item, appended in order of time.

    It takes 18 bytes a row: a day of 1,500 items has some 100,000 rows.
    """

    def __init__(self, item_count: int, start_us: int) -> None:
        self.item_count = item_count
        """Number of items, whether or not they have arrived."""
        self._times = [array("q", [start_us]) for _ in range(item_count)]
        self._zones = [array("h", [OFF_SITE]) for _ in range(item_count)]
        self._xs = [array("f", [0.0]) for _ in range(item_count)]
        self._ys = [array("f", [0.0]) for _ in range(item_count)]

    def record(self, item: int, at_us: int, zone: int, x: float, y: float) -> None:
        """Note that from now on an item is here."""
        times, zones = self._times[item], self._zones[item]
        assert at_us >= times[-1], "truth is written in order of time"
        if zone == zones[-1] == OFF_SITE:
            return
        if at_us == times[-1]:
            zones[-1], self._xs[item][-1], self._ys[item][-1] = zone, x, y
            return
        times.append(at_us)
        zones.append(zone)
        self._xs[item].append(x)
        self._ys[item].append(y)

    def zone_at(self, item: int, at_us: int) -> int:
        """Return the zone number of an item at a time that the simulation has reached."""
        return self._zones[item][max(0, bisect_right(self._times[item], at_us) - 1)]

    def stays(self, item: int, until_us: int) -> Iterator[Stay]:
        """Yield the rows of an item without gap or overlap, the last one ending at `until_us`."""
        times = self._times[item]
        for row, from_us in enumerate(times):
            end_us = min(times[row + 1] if row + 1 < len(times) else until_us, until_us)
            if end_us <= from_us:
                continue
            yield Stay(
                zone=self._zones[item][row],
                x=self._xs[item][row],
                y=self._ys[item][row],
                from_us=from_us,
                until_us=end_us,
            )

    @property
    def rows(self) -> int:
        """Rows of all items together."""
        return sum(len(times) for times in self._times)
