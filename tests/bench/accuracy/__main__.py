"""`make bench-accuracy`: `python -m tests.bench.accuracy [--set judging|tuning] [--scenario NAME ...] [--quick]`.

One table a scenario: ours, the baselines, and the ideal observer, who knows the simulator's laws and none of its draws;
then how found moves trade for false ones as each one's settings are turned. Days are simulated once and kept.
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console

from devices.errors import UsageError
from simulators.scenarios import SCENARIOS, Scenario, ScenarioSet
from tests.bench.accuracy.compare import Comparison, compare
from tests.bench.accuracy.plot import tradeoff_svg
from tests.bench.accuracy.tables import score_table, summary_table, tradeoff_table
from tests.bench.stores import DEFAULT_FOLDER

ITEMS = 150
"""Items that the observer follows, unless told otherwise: it takes a fifth of a second each."""
QUICK_ITEMS = 40
SUMMARY_WIDTH = 200
QUICK_HOURS = 0.25


def main() -> None:
    """Run the scenarios that were asked for."""
    options = _options()
    console = Console(width=150)
    done: list[Comparison] = []
    for scenario in _chosen(ScenarioSet(options.set), options.scenario):
        began = time.perf_counter()
        found = compare(
            scenario,
            items=QUICK_ITEMS if options.quick else options.items,
            sweep=not options.quick and not options.no_sweep,
            folder=options.folder,
            seed=options.seed,
            hours=min(QUICK_HOURS, scenario.config.hours) if options.quick else options.hours,
            tell=lambda what, label=scenario.label: _tell(f"{label}: {what}"),  # type: ignore[misc]
        )
        _tell("")
        done.append(found)
        console.print(score_table(found))
        if len(found.points) > 1:
            console.print(tradeoff_table(found))
        if options.svg:
            options.svg.mkdir(parents=True, exist_ok=True)
            (options.svg / f"{scenario.label.replace('/', '-')}.svg").write_text(tradeoff_svg(found), encoding="utf-8")
        if options.json:
            with options.json.open("ab") as stream:
                stream.write(msgspec.json.encode(found) + b"\n")
        console.print(f"[dim]{time.perf_counter() - began:.0f} s[/dim]\n")
    if len(done) > 1:
        Console(width=SUMMARY_WIDTH).print(summary_table(done))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accuracy", description=__doc__)
    parser.add_argument("--set", choices=[one.value for one in ScenarioSet], default=ScenarioSet.JUDGING.value)
    parser.add_argument("--scenario", nargs="*", default=[], metavar="NAME", help="of the set; all where absent")
    parser.add_argument("--quick", action="store_true", help="15 minutes of store time, few items, no sweep")
    parser.add_argument("--items", type=int, default=ITEMS, help="items that the observer follows; 0 for none")
    parser.add_argument("--no-sweep", action="store_true", help="the baselines at their usual settings only")
    parser.add_argument("--seed", type=int, help="another seed than the scenario's (for tuning only)")
    parser.add_argument("--hours", type=float, help="another length than the scenario's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append one JSON object a scenario")
    parser.add_argument("--svg", type=Path, metavar="DIR", help="draw the trade-off of each scenario")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where days are kept")
    return parser.parse_args()


def _chosen(set_: ScenarioSet, names: list[str]) -> list[Scenario]:
    known = SCENARIOS[set_]
    for name in names:
        if name not in known:
            raise UsageError(f'no scenario "{name}" in {set_}', hint=f"use one of {', '.join(known)}")
    return [known[name] for name in names or known]


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}")
        sys.stderr.flush()


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        raise SystemExit(f"{error} ({error.hint})") from None
