"""Run simulations: `python -m tests.simulation --seeds 20000`, or one again with `--seed N --trace`."""

import argparse
import sys
import time

from tests.simulation.campaign import Totals, kind_of, run_campaign, world_of
from tests.simulation.faults import Fault
from tests.simulation.judge import BrokenPromiseError


def main() -> int:
    """Run what the command line asks for; return 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one world")
    parser.add_argument("--trace", action="store_true", help="with --seed: print everything that happens")
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="run N worlds (%(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them (%(default)s)")
    options = parser.parse_args()
    if options.seed is not None:
        return _replay(options.seed, trace=options.trace)
    begun = time.monotonic()
    told = 0.0

    def progress(totals: Totals) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > 0.5:
            told = now
            done = totals.worlds.total()
            print(f"\r{done:,} of {options.seeds:,} worlds, {len(totals.failures)} failed ", end="", file=sys.stderr)

    totals = run_campaign(range(options.first, options.first + options.seeds), progress)
    print("\r", end="", file=sys.stderr)
    _print(totals, time.monotonic() - begun)
    return 1 if totals.failures else 0


def _replay(seed: int, *, trace: bool) -> int:
    world = world_of(seed, print if trace else lambda _: None)
    try:
        world.run()
    except BrokenPromiseError as error:
        print(f"seed {seed} ({kind_of(seed)}) broke a promise: {error}")
        return 1
    print(f"seed {seed} ({kind_of(seed)}): everything held; {sum(world.faults.counts.values())} faults")
    return 0


def _print(totals: Totals, seconds: float) -> None:
    worlds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(totals.worlds.items()))
    print(f"{totals.worlds.total():,} worlds in {seconds:.1f} s: {worlds}\n")
    for fault in Fault:
        print(f"{totals.faults[fault]:>10,}  {fault}")
    print(f"{totals.faults.total():>10,}  faults\n")
    print(f"{totals.accepted:>10,}  publications accepted by brokers at QoS 1")
    print(f"{totals.acknowledged:>10,}  acknowledgements taken by brokers, of redelivered ones again")
    print(f"{totals.stored:>10,}  rows durable in edge logs")
    print(f"{totals.broke('nothing is lost'):>10,}  worlds that lost something")
    print(f"{totals.broke('nothing is there twice'):>10,}  worlds that landed something twice")
    print(f"{len(totals.failures):>10,}  worlds that broke any promise")
    for failure in totals.failures[:10]:
        print(f"\nseed {failure.seed} ({failure.kind}): {failure.problem[:300]}\n  {failure.command}")


if __name__ == "__main__":
    sys.exit(main())
