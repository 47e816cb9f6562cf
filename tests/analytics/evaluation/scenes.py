"""Small scenes for tests of measures: stays in seconds, and a slow oracle that looks at every second."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import pyarrow as pa

from analytics.evaluation import Frame, Score, Timeline, score
from analytics.stays import STAYS
from analytics.truth import truth_of
from tests.analytics.baselines.reads import site_of

SITE = site_of("a", "b", "c")

Stay = tuple[str, str, int, int]
"""EPC, zone, from and until in seconds."""


def truth(*stays: Stay) -> pa.Table:
    return truth_of([(epc, zone, start * 1_000_000, end * 1_000_000) for epc, zone, start, end in stays])


def estimates(*stays: Stay, confidence: Sequence[float | None] | None = None) -> pa.Table:
    return pa.table(
        {
            "epc_hex": [stay[0] for stay in stays],
            "zone": [stay[1] for stay in stays],
            "from_us": [stay[2] * 1_000_000 for stay in stays],
            "until_us": [stay[3] * 1_000_000 for stay in stays],
            "confidence": pa.array(confidence or [None] * len(stays), pa.float64()),
        },
        schema=STAYS,
    )


def scored(true: pa.Table, said: pa.Table) -> Score:
    return score("scene", Timeline.of(Frame.of(SITE, true), true), said)


@dataclass
class Oracle:
    """Every measure of a scene, by looking at every second of every item. Times are whole seconds."""

    true: Sequence[Stay]
    said: Sequence[Stay]
    confidence: Sequence[float | None]

    def __post_init__(self) -> None:
        self.items = sorted({stay[0] for stay in self.true})
        self.start = min(stay[2] for stay in self.true)
        self.end = max(stay[3] for stay in self.true)

        self.true_at = {item: self._by_second(item, self.true, [None] * len(self.true)) for item in self.items}
        self.said_at = {item: self._by_second(item, self.said, self.confidence) for item in self.items}

    def _by_second(
        self, item: str, stays: Sequence[Stay], confidence: Sequence[float | None]
    ) -> list[tuple[str, float | None]]:
        seconds: list[tuple[str, float | None]] = [("", None)] * (self.end - self.start)
        for stay, sure in zip(stays, confidence, strict=True):
            for second in range(max(stay[2], self.start), min(stay[3], self.end)):
                if stay[0] == item:
                    seconds[second - self.start] = stay[1], sure
        return seconds

    def seconds(self) -> list[tuple[str, int, str, str, float | None]]:
        """Item, second since the start, true zone, estimated zone and its confidence."""
        return [
            (item, second, true, said, sure)
            for item in self.items
            for second, ((true, _), (said, sure)) in enumerate(zip(self.true_at[item], self.said_at[item], strict=True))
        ]

    def right_zone_share(self) -> float | None:
        on_site = [(true, said) for _, _, true, said, _ in self.seconds() if true]
        return sum(true == said for true, said in on_site) / len(on_site) if on_site else None

    def presence(self, *, settled: bool) -> tuple[float | None, float | None]:
        settling = {item: self._settling(item) if settled else set() for item in self.items}
        rows = [row for row in self.seconds() if row[1] not in settling[row[0]]]
        both = sum(bool(true and said) for _, _, true, said, _ in rows)
        said_here = sum(bool(said) for *_, said, _ in rows)
        truly_here = sum(bool(true) for _, _, true, _, _ in rows)
        return (both / said_here if said_here else None, both / truly_here if truly_here else None)

    def _settling(self, item: str) -> set[int]:
        here = [False, *(bool(zone) for zone, _ in self.true_at[item])]
        changes = [second for second, (before, now) in enumerate(pairwise(here)) if before != now]
        return {second for change in changes for second in range(change, change + 300)}

    def calibration_error(self) -> float | None:
        rows = [(sure, true == said) for _, _, true, said, sure in self.seconds() if said and sure is not None]
        if not rows:
            return None
        error = 0.0
        for number in range(10):
            inside = [(sure, right) for sure, right in rows if min(int(sure * 10), 9) == number]
            error += abs(sum(right for _, right in inside) - sum(sure for sure, _ in inside))
        return error / len(rows)

    def entries(self, at: dict[str, list[tuple[str, float | None]]]) -> list[tuple[str, str, int, int, bool]]:
        """Item, zone, entry, end, and whether it is a move."""
        found = []
        for item in self.items:
            last_zone = ""
            for zone, run in groupby(enumerate(zone for zone, _ in at[item]), key=lambda pair: pair[1]):
                seconds = [second for second, _ in run]
                if zone:
                    found.append((item, zone, seconds[0], seconds[-1] + 1, bool(last_zone) and last_zone != zone))
                    last_zone = zone
        return found

    def moves(self) -> tuple[int, int, int, int, list[int]]:
        """Reported, false, true, missed, delays of those found."""
        happened, reported = self.entries(self.true_at), self.entries(self.said_at)
        match_of: dict[int, int] = {}
        false = 0
        for item, zone, at, _, is_move in sorted(reported, key=lambda entry: entry[2]):
            fits = [
                number
                for number, (other, into, start, until, _) in enumerate(happened)
                if number not in match_of
                and (other, into) == (item, zone)
                and start - 5 <= at <= max(until, start + 60)
            ]
            if fits:
                match_of[min(fits, key=lambda number: happened[number][2])] = at
            elif is_move:
                false += 1
        asked = [number for number, entry in enumerate(happened) if entry[4] and entry[3] - entry[2] >= 10]
        delays = sorted(max(0, match_of[number] - happened[number][2]) for number in asked if number in match_of)
        return sum(entry[4] for entry in reported), false, len(asked), len(asked) - len(delays), delays
