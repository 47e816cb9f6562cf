"""`make chaos`: break everything at random and account for every publication.

```
python -m tests.chaos --rounds 220 --seed 1                    both lengths, half of the faults each
python -m tests.chaos --rounds 20 --faults kill-all,kill-pair  only these
```

Exit code 1 when something was lost or duplicated that should not be; the data directory and logs are then kept.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from tests.chaos.faults import Kind
from tests.chaos.rounds import Outcome, Plan, StuckError, run
from tests.chaos.stack import Length
from tests.chaos.table import as_json, markdown
from tests.journal_plugin import missing_tools


def main() -> int:
    """Run the command line and return its exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: everything that was started is ended
    signal.signal(signal.SIGINT, signal.default_int_handler)
    directory = options.data or Path(tempfile.mkdtemp(prefix="tagtide-chaos-"))
    outcomes: list[Outcome] = []
    failures: list[str] = []
    for length in options.lengths:
        _tell(f"{length}: {options.rounds // len(options.lengths)} faults, seed {options.seed}, in {directory}")
        plan = Plan(
            directory=directory / length,
            length=length,
            rounds=options.rounds // len(options.lengths),
            seed=options.seed,
            kinds=options.faults,
            rate_per_s=options.rate,
            journaled=options.journal,
            recovery_every=options.recovery_every,
        )
        try:
            outcome = run(plan, _tell)
        except (StuckError, TimeoutError):
            traceback.print_exc()
            failures.append(f"{length}: did not come to an end")
            continue
        outcomes.append(outcome)
        failures += [f"{length}: {problem}" for problem in outcome.problems]
        _summarise(outcome)
        if options.json:
            options.json.write_text(as_json(outcomes))
    if outcomes:
        _tell("\n" + markdown(outcomes))
    return _end(options, directory, failures)


def _end(options: argparse.Namespace, directory: Path, failures: list[str]) -> int:
    if not failures:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
        return 0
    kinds = ",".join(options.faults)
    lengths = ",".join(options.lengths)
    _tell(
        "\nFAILED:\n  " + "\n  ".join(failures) + f"\nkept: {directory}\n"
        f"again: {sys.executable} -m tests.chaos --rounds {options.rounds} --seed {options.seed} "
        f"--lengths {lengths} --rate {options.rate:g} "
        f"--recovery-every {options.recovery_every} --faults {kinds}{'' if options.journal else ' --no-journal'}"
    )
    return 1


def _summarise(outcome: Outcome) -> None:
    comparison = outcome.comparison
    _tell(
        f"{outcome.plan.length}: {len(outcome.faults)} faults in {outcome.seconds:.0f} s; "
        f"{comparison.acknowledged:,} acknowledged, {len(comparison.lost):,} lost "
        f"({comparison.lost_with_broker:,} around a broker's death), {len(comparison.duplicated):,} duplicated, "
        f"{comparison.repeated:,} repeated of at least once, {comparison.rejected:,} rejects"
    )
    for kind, reason in outcome.left_out.items():
        _tell(f"  left out: {kind}: {reason}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40, help="faults in all, shared by the lengths")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=_kinds, default=list(Kind), help=f"of {', '.join(Kind)}")
    parser.add_argument("--lengths", type=_lengths, default=list(Length), help="embedded,kafka")
    parser.add_argument("--rate", type=float, default=30.0, help="publications a second of each of seven devices")
    parser.add_argument("--recovery-every", type=int, default=6, help="faults that may pile up; 1 for none")
    parser.add_argument("--data", type=Path, help="a directory that is not there yet")
    parser.add_argument("--journal", action=argparse.BooleanOptionalAction, default=missing_tools() is None)
    parser.add_argument("--json", type=Path, help="file for the report")
    parser.add_argument("--keep", action="store_true", help="keep the data directory also when all is well")
    return parser.parse_args()


def _kinds(text: str) -> list[Kind]:
    return [Kind(name) for name in text.split(",")]


def _lengths(text: str) -> list[Length]:
    return [Length(name) for name in text.split(",")]


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
