"""`python -m tests.fuzz`: feeds the readers of outside bytes with bad input and prints what came of it."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.giants import measured
from tests.fuzz.running import Run, Totals, read_reproducer
from tests.fuzz.targets import TARGETS
from tests.fuzz.watching import MEMORY_MB_MAX

_SHARES = {"site": 0.01, "state": 0.002, "journal": 0.003, "pipeline": 0.001, "kafka": 0.03}
"""Share of all inputs for targets whose inputs take milliseconds; the others share the rest."""


def main() -> int:
    """Run the targets that were asked for; return 1 where one broke the law."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="inputs of all targets together")
    parser.add_argument("--target", default="all", help=f"all, or some of {','.join(TARGETS)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path(tempfile.gettempdir()) / "tagtide-fuzz")
    parser.add_argument("--replay", type=Path, help="feed the inputs of a reproducer file to the target")
    parser.add_argument("--giants", nargs="?", const="", metavar="TEXT", help="feed large inputs whose name has TEXT")
    options = parser.parse_args()
    if options.giants is not None:
        return _run_giants(options.giants)
    names = list(TARGETS) if options.target == "all" else options.target.split(",")
    if unknown := set(names) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}")
    options.failures.mkdir(parents=True, exist_ok=True)
    results = []
    for name in names:
        run = Run(TARGETS[name], in_flight=options.failures / f"{name}.in-flight")
        if options.replay is not None:
            totals = run.feed(read_reproducer(options.replay))
        else:
            totals = run.run(inputs_of(name, names, options.inputs), options.seed, on_progress=_tell)
        _tell(totals, end="\n")
        print(table([totals]), flush=True)
        for failure in totals.failures:
            path = failure.write(options.failures)
            print(f"{failure.what}\nagain with: python -m tests.fuzz --target {name} --replay {path}\n", flush=True)
        results.append(totals)
    if len(results) > 1:
        print(table(results))
    return int(any(totals.failures for totals in results))


def _run_giants(wanted: str) -> int:
    print("| input | bytes | what came of it | processor time | peak memory |\n|---|--:|---|--:|--:|")
    worst = 0.0
    for each in measured(wanted):
        worst = max(worst, each.peak_mb)
        print(
            f"| {each.name} | {each.size:,} | {each.came_of_it} | {each.seconds:.1f} s | {each.peak_mb:.0f} MB |",
            flush=True,
        )
    return int(worst > MEMORY_MB_MAX)


def inputs_of(name: str, names: list[str], inputs: int) -> int:
    """Return how many of the inputs a target gets."""
    others = [each for each in names if each not in _SHARES]
    if not others or len(names) == 1:
        return -(-inputs // len(names))
    if name in _SHARES:
        return -(-round(inputs * _SHARES[name]) // 1)
    return -(-(inputs - sum(round(inputs * _SHARES[each]) for each in names if each in _SHARES)) // len(others))


def table(results: list[Totals]) -> str:
    """Return the totals as a Markdown table."""
    lines = [
        "| target | inputs | MB | rows | rejects | reasons | slowest input | peak memory | seconds | failures |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {each.target} | {each.inputs:,} | {each.input_bytes / 1e6:.0f} | {each.rows:,} | {each.rejects.total():,} |"
        f" {len(each.rejects)} | {each.slowest_s * 1e3:.0f} ms, {each.slowest_bytes:,} B | {each.peak_mb:.0f} MB |"
        f" {each.seconds:.0f} | {len(each.failures)} |"
        for each in results
    ]
    lines.append(
        f"| all | {sum(each.inputs for each in results):,} | | | | | | | | {sum(len(e.failures) for e in results)} |"
    )
    for each in results:
        reasons = ", ".join(f"{code} {count:,}" for code, count in each.rejects.most_common())
        lines.append(f"\n{each.target}: {reasons or 'nothing was rejected'}")
    return "\n".join(lines)


def _tell(totals: Totals, end: str = "") -> None:
    start, stop = ("\r", "") if sys.stderr.isatty() else ("", "\n")
    print(
        f"{start}{totals.target}: {totals.inputs:,} inputs, {totals.rows:,} rows, {totals.rejects.total():,} rejects, "
        f"{len(totals.failures)} failures, {totals.seconds:.0f} s, {totals.peak_mb:.0f} MB",
        end=end or stop,
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
