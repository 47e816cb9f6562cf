"""Promise: what a runner says it took in, dropped and landed is what it did, under a bounded number of labels."""

from pathlib import Path

import pyarrow as pa

from analytics.landing_report import OTHER, REASONS_MAX, SITES_MAX, LandingReport
from analytics.schemas import TABLES
from devices.chunk import Chunk
from tests.analytics.chunk_building import Sayings, us
from tests.analytics.test_runner import all_landed, open_runner


def tables(chunk: Chunk) -> dict[str, pa.Table]:
    return {name: pa.Table.from_batches([batch]) for name, batch in chunk.batches.items()}


def reject(reason: str) -> dict[str, object]:
    return {"topic": "t", "bytes": b"?", "reason_code": reason, "reason": "no"}


def test_a_run_counts_what_it_took_in_dropped_and_landed(tmp_path: Path) -> None:
    said = Sayings(site="s")
    for second in range(5):
        said.read(second, second, antenna=1)
    for second in range(3):
        said.read(6 + second, second, antenna=1)  # as before: repeats
    said.say("rejects", 9, [reject("no"), reject("no"), reject("never")]).mark(20)
    chunk = said.chunk()
    runner, _ = open_runner(tmp_path, chunk)
    runner.run(lambda: False, until=all_landed(chunk))
    runner.close()
    landing = runner.stats.landing
    assert (landing.decoded, landing.rejects) == ({"reads": 8, "rejects": 3}, {"no": 2, "never": 1})
    assert landing.repeats["reads"] == 3
    assert runner.stats.rows["reads"] == 5
    assert landing.received_us == {"s": us(20)}, "a clock mark moves it too"
    assert landing.event_us == {"s": us(4)}
    assert runner.stats.checkpoints > 0
    assert runner.stats.uncheckpointed_since_s is None
    assert runner.stats.position == b"%d" % chunk.last_offset


def test_losses_are_counted_by_site_and_kind() -> None:
    said = Sayings(site="s")
    said.device_event(1, "gap", count=7).device_event(2, "gap", count=3).device_event(3, "overflow")
    said.device_event(4, "heartbeat", count=99)
    chunk, landing = said.chunk(), LandingReport()
    landing.land([chunk], tables(chunk))
    assert landing.device_events == {"gap": 2, "overflow": 1, "heartbeat": 1}
    assert landing.loss_rows == {("s", "gap"): 2, ("s", "overflow"): 1}
    assert landing.lost == {("s", "gap"): 10, ("s", "overflow"): 1}, "one that does not say how many counts as one"


def test_late_rows_are_counted_by_stream() -> None:
    rows = pa.Table.from_pylist([], schema=TABLES["reads"])
    chunk = Sayings(site="s").read(1, 1).read(2, 2).chunk()
    reads = tables(chunk)["reads"]
    reads = reads.set_column(reads.schema.get_field_index("late"), "late", pa.array([True, False]))
    landing = LandingReport()
    landing.land([chunk], {"reads": pa.concat_tables([rows, reads.cast(TABLES["reads"])])})
    assert landing.late == {"reads": 1}


def test_labels_are_bounded_whatever_comes() -> None:
    landing = LandingReport()
    for number in range(REASONS_MAX + 5):
        chunk = Sayings(site=f"s{number}").say("rejects", 1, [reject(f"r{'x' * (number % 60)}_{number}")]).chunk()
        landing.land([chunk], tables(chunk))
    chunk = Sayings(site="s").say("rejects", 1, [reject("Not A Code\n"), reject("é")]).chunk()
    landing.land([chunk], tables(chunk))
    assert len(landing.rejects) == REASONS_MAX + 1
    assert landing.rejects[OTHER] == 7
    for number in range(SITES_MAX + 5):
        marked = Sayings(site=f"s{number}").mark(number).chunk()
        landing.land([marked], {})
    assert len(landing.received_us) == SITES_MAX + 1
