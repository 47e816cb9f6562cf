"""Simulated gates, from publications to passages: what the product says went through, beside what did.

`python -m tests.bench.dock` simulates days at gates that nothing was learnt from, takes each through decoding, the
arrival and the gate step as the product would on its first day there, and prints the table of docs/accuracy.md.
"""

import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analytics.evaluation.ours import with_end
from analytics.steps.arrival import ArrivalStep
from analytics.steps.gate import READS_MIN, GateStep
from deploy.capture_chunks import capture_chunks
from devices.chunk import Chunk, ClockMark
from devices.site import load_site
from devices.site.model import Site
from simulators.gate.dock_day import DockDay, write_dock_day

SEEDS = (41, 42, 43, 44, 45, 46)
HOURS = 1.0


@dataclass(slots=True)
class Score:
    """What was said of passages."""

    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By what they were and what was said; `nothing` where no row tells of one."""
    sure: dict[int, list[bool]] = field(default_factory=lambda: defaultdict(list))
    """Whether right, by tenths of confidence."""
    delays_s: list[float] = field(default_factory=list)
    """From the last read of a passage to when its row was known."""

    def right(self, direction: str | None = None) -> tuple[int, int]:
        """Return how many passages were said right, of how many that were told."""
        told = {
            pair: count for pair, count in self.said.items() if pair[1] != "nothing" and direction in (None, pair[0])
        }
        return sum(count for (truth, said), count in told.items() if truth == said), sum(told.values())


def run(day: DockDay, folder: Path) -> list[dict[str, Any]]:
    """Return the rows of `passages` that a day's capture gives."""
    site = load_site(folder / "site.toml")
    arrival, gate = ArrivalStep(), GateStep()
    arrival_state, gate_state = arrival.initial(site), gate.initial(site)
    rows: list[dict[str, Any]] = []
    for chunk in [*with_end(site, capture_chunks(folder / "capture.jsonl", [site])), _much_later(site, day)]:
        arrival_state, arrived = arrival.step(arrival_state, chunk, site)
        gate_state, outputs = gate.step(gate_state, arrived, site)
        if "passages" in outputs:
            rows += outputs["passages"].to_pylist()
    return rows


def _much_later(site: Site, day: DockDay) -> Chunk:
    """Return a chunk that lets five minutes pass, so that everything is over."""
    last_us = max(read[0] for read in day.reads)
    mark = ClockMark(edge_offset=2**40, received_us=last_us + 300_000_000)
    return Chunk(site=site.id, edge_id="evaluation", first_offset=2**40, last_offset=2**40, batches={}, clock=(mark,))


def score(day: DockDay, rows: list[dict[str, Any]]) -> Score:
    """Compare rows with the truth: the row of a tag at a gate that overlaps a true passage for longest tells of it."""
    found = Score()
    by_tag: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_tag[row["gate"], row["epc_hex"]].append(row)
        found.delays_s.append((row["as_of_time"] - row["until_time"]).total_seconds())
    reads = Counter((reader, epc) for _, reader, _, epc, _ in day.reads)
    reader_of = {gate.id: gate.inside[0].rpartition(":")[0] for gate in day.site.gates}
    for gate, epc, direction, from_us, until_us, _ in day.passages:
        if reads[reader_of[gate], epc] < READS_MIN:
            continue
        overlaps = [(_overlap_us(row, from_us, until_us), place) for place, row in enumerate(by_tag[gate, epc])]
        best = max(overlaps, default=(-1, 0))
        if best[0] < 0:
            found.said[direction, "nothing"] += 1
            continue
        row = by_tag[gate, epc][best[1]]
        found.said[direction, row["direction"]] += 1
        found.sure[min(9, int(row["confidence"] * 10))].append(row["direction"] == direction)
    return found


def _overlap_us(row: dict[str, Any], from_us: int, until_us: int) -> int:
    begin, end = (round(row[name].timestamp() * 1e6) for name in ("from_time", "until_time"))
    return int(min(end, until_us) - max(begin, from_us))


def main() -> None:
    """Print the table."""
    total = Score()
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            day = write_dock_day(folder, seed=seed, hours=HOURS)
            one = score(day, run(day, folder))
        right, told = one.right()
        print(f"seed {seed}: {told} passages told, {right / told:.1%} right", flush=True)
        total.said += one.said
        total.delays_s += one.delays_s
        for tenth, hits in one.sure.items():
            total.sure[tenth] += hits
    for direction in ("inbound", "outbound", "passed_by", "static", "returned"):
        right, told = total.right(direction)
        wrong = {said: count for (truth, said), count in total.said.items() if truth == direction != said}
        print(f"{direction:10} {told:5} told, {right / max(told, 1):6.1%} right; else {wrong}")
    for tenth, hits in sorted(total.sure.items()):
        print(
            f"confidence {tenth / 10:.1f} to {tenth / 10 + 0.1:.1f}: {len(hits):5} passages, {np.mean(hits):.1%} right"
        )
    print(
        f"known {np.median(total.delays_s):.0f} s after the last read in the median, 95 % within "
        f"{np.quantile(total.delays_s, 0.95):.0f} s"
    )


if __name__ == "__main__":
    main()
