"""Ours and the baselines are run on the same reads and scored side by side."""

import io
import itertools
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from analytics.evaluation import (
    OURS,
    OURS_IN_HINDSIGHT,
    Report,
    confusion_table,
    evaluate,
    reliability_table,
    score_table,
    sensitivity_table,
)
from analytics.evaluation.ours import FOREVER_US, stays_as_said, stays_in_hindsight
from analytics.evaluation.run import run_jobs
from analytics.schemas import LOCATIONS
from devices.chunk import Chunk
from devices.schemas import READS, TIMESTAMP
from tests.analytics.baselines.reads import intervals, site_of
from tests.analytics.evaluation.scenes import truth

pytestmark = pytest.mark.slow  # the compiled kernels are loaded here

SITE = site_of("a", "b")
START_S = 1_800_000_000


def row(  # noqa: PLR0917 - a table of rows reads better without names
    epc: str, zone: str, start: int, until: int | None, as_of: int, revision: int, confidence: float = 0.9
) -> dict[str, object]:
    return {
        "site": "s",
        "epc_hex": epc,
        "zone": zone,
        "from_time": start * 1_000_000,
        "until_time": None if until is None else until * 1_000_000,
        "confidence": confidence,
        "as_of_time": as_of * 1_000_000,
        "revision": revision,
    }


ROWS = [
    row("A", "a", 10, None, 12, 0, 0.6),
    row("B", "b", 11, None, 13, 0),
    row("A", "a", 10, 50, 60, 1, 0.8),
    row("A", "b", 50, None, 60, 0),
    row("B", "b", 11, 300, 900, 1),
]


def locations(rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=LOCATIONS)


def test_as_said_is_what_a_watcher_was_told_and_when() -> None:
    stays = stays_as_said(locations(ROWS), replace(SITE, allowed_lateness_s=2.0))
    assert intervals(stays) == [
        ("A", "a", 14.0, 62.0),
        ("A", "b", 62.0, FOREVER_US / 1e6),
        ("B", "b", 15.0, 902.0),
    ]
    assert stays.sort_by("from_us")["confidence"].to_pylist() == [0.6, 0.9, 0.9]


def test_in_hindsight_is_what_the_table_says_in_the_end() -> None:
    stays = stays_in_hindsight(locations(ROWS))
    assert intervals(stays) == [
        ("A", "a", 10.0, 50.0),
        ("A", "b", 50.0, FOREVER_US / 1e6),
        ("B", "b", 11.0, 300.0),
    ]
    assert stays.sort_by([("from_us", "ascending"), ("epc_hex", "ascending")])["confidence"][0].as_py() == 0.8


def test_no_rows_are_no_stays() -> None:
    assert stays_as_said(locations([]), SITE).num_rows == 0
    assert stays_in_hindsight(locations([])).num_rows == 0


def day(items: int = 6, seconds: int = 900, every_s: int = 2) -> list[Chunk]:
    """Items under antenna 1 for the first half and under antenna 2, 10 m off, for the second; both hear them."""
    rng = np.random.default_rng(3)
    chunks = []
    for number, second in enumerate(range(0, seconds, every_s)):
        time_us = (START_S + second) * 1_000_000
        near = 1 if second < seconds // 2 else 2
        rows = [
            {
                "epc_hex": f"E{item}",
                "antenna": antenna,
                "rssi_dbm": float(rng.normal(-50 if antenna == near else -76, 3)),
            }
            for item in range(items)
            for antenna in (1, 2)
        ]
        count = len(rows)
        times = pa.array([time_us] * count, TIMESTAMP)
        columns = {
            "site": pa.array(["s"] * count),
            "reader": pa.array(["r"] * count),
            "antenna": pa.array([row["antenna"] for row in rows], pa.int16()),
            "epc_hex": pa.array([row["epc_hex"] for row in rows]),
            "event_time": times,
            "received_time": times,
            "reader_time": times,
            "event_time_source": pa.array(["read"] * count),
            "rssi_dbm": pa.array([row["rssi_dbm"] for row in rows]),
            "edge_id": pa.array(["e"] * count),
            "edge_offset": pa.array([number + 1] * count, pa.int64()),
            "edge_index": pa.array(range(count), pa.int32()),
        }
        arrays = [columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in READS]
        batch = pa.RecordBatch.from_arrays(arrays, schema=READS)
        chunks.append(
            Chunk(site="s", edge_id="e", first_offset=number + 1, last_offset=number + 1, batches={"reads": batch})
        )
    return chunks


def day_truth(items: int = 6, seconds: int = 900) -> pa.Table:
    half = START_S + seconds // 2
    return truth(
        *[(f"E{item}", "a", START_S, half) for item in range(items)],
        *[(f"E{item}", "b", half, START_S + seconds) for item in range(items)],
        ("NEVER", "a", START_S, START_S + seconds),
    )


@pytest.fixture(scope="module")
def report() -> Report:
    ticks = itertools.count()
    strangers = Chunk(site="other", edge_id="e", first_offset=1, last_offset=1, batches={})
    return evaluate(SITE, [strangers, *day()], day_truth(), clock=lambda: float(next(ticks)))


def test_ours_and_every_baseline_are_scored_on_the_same_reads(report: Report) -> None:
    assert [score.name for score in report.scores] == [
        OURS,
        OURS_IN_HINDSIGHT,
        "EdgeX default",
        "EdgeX garment",
        "strongest in 10 s",
        "last read wins",
    ]
    assert (report.items, report.items_read, report.strangers) == (7, 6, 0)
    assert report.reads == 6 * 2 * 450
    assert report.on_site_item_hours == pytest.approx(7 * 900 / 3600)
    assert all(score.moves.true == 6 for score in report.scores)
    assert all(score.duration_s == 1.0 for score in report.scores[2:])


def test_the_scores_of_an_easy_day_are_what_they_have_to_be(report: Report) -> None:
    read_share = 6 / 7
    assert report.score("strongest in 10 s").right_zone_share == pytest.approx(read_share, abs=0.02)
    assert report.score("last read wins").right_zone_share == pytest.approx(read_share / 2, abs=0.02)
    garment = report.score("EdgeX garment")
    assert garment.moves.missed == 0
    assert garment.false_moves_per_item_hour == 0.0
    ours = report.score(OURS)
    assert ours.right_zone_share == pytest.approx(read_share, abs=0.05)
    assert ours.moves.missed == 0
    assert ours.calibration is not None


def test_a_report_goes_to_json_and_to_a_terminal(report: Report) -> None:
    back = json.loads(json.dumps(report.to_json()))
    assert back["scores"][0]["moves"]["missed_share"] == 0.0
    assert len(back["scores"][0]["confusion_item_hours"]) == len(back["zones"])
    console = Console(width=200, file=io.StringIO(), record=True)
    reliability = reliability_table(report, OURS)
    assert reliability is not None
    assert reliability_table(report, "EdgeX default") is None
    for table in (score_table(report), confusion_table(report, OURS), reliability):
        console.print(table)
    text = console.export_text()
    assert "right zone, of on-site time" in text
    assert "not here" in text


def test_other_sensitivities_are_scored_on_the_same_reads() -> None:
    """Two antennas never make a zone as likely as the quietest setting asks for: there it may miss every move."""
    found = evaluate(SITE, day(), day_truth(), baselines={}, sensitivities=(0.0, 0.2, 1.0), clock=lambda: 0.0)
    assert [value for value, _ in found.turned] == [0.0, 0.2, 1.0]
    quietest, quiet, quick = (score for _, score in found.turned)
    assert quiet.moves.missed == quick.moves.missed == 0
    assert all(score.false_moves_per_item_hour == 0.0 for score in (quietest, quiet, quick))
    delays = [score.moves.delay_s_median or 0.0 for score in (quick, found.score(OURS), quiet)]
    assert delays == sorted(delays)
    assert found.score(OURS).duration_s == 0.0
    assert [value for value, _ in json.loads(json.dumps(found.to_json()))["turned"]] == [0.0, 0.2, 1.0]
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(sensitivity_table(found))
    assert "what move_sensitivity trades" in console.export_text()


def test_the_end_of_a_capture_lets_out_what_waited_for_the_watermark() -> None:
    run = run_jobs(SITE, day(seconds=30))
    assert run.reads.num_rows == 6 * 2 * 15
    last_us = run.tables["locations"]["as_of_time"].cast(pa.int64()).to_numpy().max()
    assert last_us >= START_S * 1_000_000
    assert run_jobs(SITE, []).reads.num_rows == 0
