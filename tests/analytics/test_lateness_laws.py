"""What lateness, repeats, order and wrong clocks must not change, from publications to locations. docs/time.md has the
defaults: 2 s of lateness, 0.5 s of a clock behind, repeats of the last ten minutes."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest

from analytics.location.arrivals import LATE_LIMIT_S
from analytics.pipeline import SitePipeline
from devices.bulk import TopicDirectory, decode_publications
from devices.publication import CLOCK_TOPIC, LoggedPublication, Publication
from devices.site.model import Antenna, Reader, Site, Zone, ZoneKind

START_S = 1_795_348_800.0
SECONDS = 150
ITEMS = 8
LATENESS_S = 2.0

SITE = Site(
    id="s",
    zones=(
        Zone(id="left", kind=ZoneKind.SALES_FLOOR, polygon=((0, 0), (5, 0), (5, 5), (0, 5))),
        Zone(id="right", kind=ZoneKind.SALES_FLOOR, polygon=((5, 0), (10, 0), (10, 5), (5, 5))),
    ),
    readers=tuple(
        Reader(id=name, profile="tagtide", mqtt_topic=name, antennas=(Antenna(port=1, x=x, y=2, zone=zone),))
        for name, x, zone in (("r1", 2, "left"), ("r2", 8, "right"))
    ),
    allowed_lateness_s=LATENESS_S,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report of a reader: its reads, by its own clock, and when it is received. Seconds after the start."""

    reader: str
    at_s: float
    reads: tuple[tuple[str, float], ...]
    received_s: float
    clock_error_s: float = 0.0


def a_while(seed: int) -> list[Report]:
    """Items in two zones, some of which move; each reader reports once a second, without delay."""
    rng = random.Random(seed)
    places = {f"3034257BF7194E40{number:08X}": rng.choice(("r1", "r2")) for number in range(ITEMS)}
    reports = []
    for second in range(SECONDS):
        if second % 40 == 20:
            moving = rng.choice(sorted(places))
            places[moving] = "r1" if places[moving] == "r2" else "r2"
        for step, reader in enumerate(("r1", "r2")):
            at_s = second + 0.4 * step
            reads = tuple((epc, round(rng.gauss(-55, 3), 1)) for epc, place in places.items() if place == reader)
            reports.append(Report(reader=reader, at_s=at_s, reads=reads, received_s=at_s))
    return reports


def run(reports: Sequence[Report]) -> dict[str, pa.Table]:
    """Take reports through decoding and all jobs, in the order in which they are received, and let the time run out."""
    publications = [_publication(each) for each in sorted(reports, key=lambda each: each.received_s)]
    end_s = max(each.received_s for each in reports)
    publications += [
        Publication(topic=CLOCK_TOPIC, payload=b"", received_us=_us(end_s + step)) for step in range(1, 200, 10)
    ]
    logged = [
        LoggedPublication(edge_offset=offset, publication=publication)
        for offset, publication in enumerate(publications, 1)
    ]
    pipeline = SitePipeline(SITE)
    tables: dict[str, list[pa.Table]] = {}
    for begin in range(0, len(logged), 50):
        part = logged[begin : begin + 50]
        for chunk in decode_publications(part, edge_id="e", directory=TopicDirectory.of([SITE])):
            for name, table in pipeline.process(chunk).items():
                tables.setdefault(name, []).append(table)
    return {name: pa.concat_tables(parts) for name, parts in tables.items()}


def _publication(report: Report) -> Publication:
    reads = [{"epc": epc, "antenna": 1, "rssi_dbm": rssi} for epc, rssi in report.reads]
    document = {"type": "reads", "time_us": _us(report.at_s + report.clock_error_s), "reads": reads}
    payload = json.dumps(document).encode()
    return Publication(topic=report.reader, payload=payload, received_us=_us(report.received_s))


def _us(seconds: float) -> int:
    return round((START_S + seconds) * 1e6)


def delayed(reports: Sequence[Report], delay_s: Callable[[Report], float]) -> list[Report]:
    return [replace(each, received_s=each.at_s + delay_s(each)) for each in reports]


def locations(tables: dict[str, pa.Table]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = tables["locations"].to_pylist()
    return rows


def reads(tables: dict[str, pa.Table]) -> list[tuple[object, ...]]:
    rows = tables["reads"].set_column(
        tables["reads"].schema.get_field_index("event_time"),
        "event_time",
        tables["reads"]["event_time"].cast(pa.int64()),
    )
    columns = ("reader", "epc_hex", "event_time", "rssi_dbm", "late")
    return sorted(zip(*(rows[name].to_pylist() for name in columns), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
class TestNothingChanges:
    def test_for_reports_that_come_out_of_order_within_the_lateness(self, seed: int) -> None:
        """Half of them are delayed, by up to the lateness less a millisecond; a reader's first one is not."""
        reports, rng = a_while(seed), random.Random(seed)
        late = delayed(
            reports, lambda each: rng.choice([0, rng.uniform(0, LATENESS_S - 0.001)]) if each.at_s > 1 else 0
        )
        order = [each.at_s for each in sorted(late, key=lambda each: each.received_s)]
        assert order != sorted(order), "they do come out of order"
        straight, shuffled = run(reports), run(late)
        assert reads(shuffled) == reads(straight)
        assert locations(shuffled) == locations(straight)
        assert len(locations(straight)) > ITEMS, "items were found, and moved"

    def test_for_reports_that_come_again_minutes_later(self, seed: int) -> None:
        reports, rng = a_while(seed), random.Random(seed)
        again = [replace(each, received_s=each.received_s + rng.uniform(0, 300)) for each in reports]
        once, twice = run(reports), run([*reports, *again])
        assert reads(twice) == reads(once)
        assert locations(twice) == locations(once)
        repeats = [row for row in twice["device_events"].to_pylist() if row["event"] == "repeat"]
        assert sum(row["count"] for row in repeats) == twice["reads"].num_rows, "each of them is counted"

    @pytest.mark.parametrize("error_s", [-3.0, 3.0, 3600.0])
    def test_for_a_reader_whose_clock_is_wrong(self, seed: int, error_s: float) -> None:
        """Behind by up to a minute, or ahead by however much, from the first report on."""
        reports = a_while(seed)
        wrong = [replace(each, clock_error_s=error_s) if each.reader == "r2" else each for each in reports]
        right, corrected = run(reports), run(wrong)
        assert reads(corrected) == reads(right)
        assert locations(corrected) == locations(right)
        clocks = [row for row in corrected["device_events"].to_pylist() if row["event"] == "clock"]
        assert [json.loads(row["detail"])["offset_s"] for row in clocks] == [-error_s]

    def test_for_what_comes_later_than_the_lateness_but_it_is_landed_and_flagged(self, seed: int) -> None:
        """One reader is cut off for 40 s, and what it kept of the first 25 comes all at once while the other is live.

        Reads that are less than `LATE_LIMIT_S` late do count for locations, at the instant at which they came.
        """
        reports = a_while(seed)
        reports = [each for each in reports if each.reader == "r2" or not 85 <= each.at_s < 100]
        is_kept = [each.reader == "r1" and 60 <= each.at_s < 85 for each in reports]
        on_time = [each for each, kept in zip(reports, is_kept, strict=True) if not kept]
        held = [replace(each, received_s=105.0) for each, kept in zip(reports, is_kept, strict=True) if kept]
        assert all(103 - each.at_s > LATE_LIMIT_S for each in held)
        without, with_them = run(on_time), run([*on_time, *held])
        assert locations(with_them) == locations(without)
        late = [row for row in reads(with_them) if row[-1]]
        assert len(late) == sum(len(each.reads) for each in held)
        assert reads(without) == [row for row in reads(with_them) if not row[-1]]
        times = {_us(each.at_s) for each in held if each.reads}
        assert {row[2] for row in late} == times, "with their true times"


def test_the_defaults_are_those_that_are_documented() -> None:
    from analytics.steps import clocks, repeats

    assert Site(id="x").allowed_lateness_s == LATENESS_S
    assert LATE_LIMIT_S == 15
    assert (clocks.DEAD_BAND_US, clocks.FIRST_LAG_US, clocks.HISTORY_LAG_US) == (500_000, 60_000_000, 86_400_000_000)
    assert repeats.MEMORY_US == 600_000_000
