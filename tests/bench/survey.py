"""A survey of a simulated day: items that lay still, far apart, as if somebody had written down where they are.

`python -m tests.bench.survey DAY OUT` writes `survey.csv`, a truth of all other items and the site file, in which
`--swap` exchanges ports 2 and 3 of the first two readers, as if their cables were. docs/calibration.md says what
`tagtide calibrate` and `tagtide evaluate` then print.
"""

import argparse
import csv
import re
from pathlib import Path

import numpy as np

STILL_US = 600_000_000
"""Items that lay still for ten minutes."""
SWAPPED_READERS = 2


def choose(rows: list[dict[str, str]], tags: int, seed: int = 1) -> list[dict[str, str]]:
    """Choose rows of truth: one by chance, then always the one that is farthest from those chosen."""
    good = [row for row in rows if row["zone"] and row["x"] and int(row["until_us"]) - int(row["from_us"]) >= STILL_US]
    order = np.random.default_rng(seed).permutation(len(good))
    good = [good[number] for number in order.tolist()]
    xy = np.array([(float(row["x"]), float(row["y"])) for row in good])
    chosen, apart = [0], np.linalg.norm(xy - xy[0], axis=1)
    while len(chosen) < min(tags, len(good)):
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(xy - xy[chosen[-1]], axis=1))
    return [good[number] for number in chosen]


def swapped(site: str) -> str:
    """Exchange ports 2 and 3 of the first readers of a site file."""
    head, *readers = site.split("[[reader]]")
    for number in range(min(SWAPPED_READERS, len(readers))):
        readers[number] = re.sub(r"port = ([23])\b", _other_port, readers[number])
    return "[[reader]]".join([head, *readers])


def _other_port(found: re.Match[str]) -> str:
    return "port = 3" if found[1] == "2" else "port = 2"


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("day", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tags", type=int, default=60)
    parser.add_argument("--swap", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.day / "truth.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = choose(rows, given.tags)
    with (given.out / "survey.csv").open("w", newline="") as stream:
        survey = csv.writer(stream, lineterminator="\n")
        survey.writerow(("epc", "x", "y", "from", "until"))
        survey.writerows([row[name] for name in ("epc_hex", "x", "y", "from_us", "until_us")] for row in chosen)
    known = {row["epc_hex"] for row in chosen}
    with (given.out / "truth.csv").open("w", newline="") as stream:
        truth = csv.DictWriter(stream, rows[0].keys())
        truth.writeheader()
        truth.writerows(row for row in rows if row["epc_hex"] not in known)
    site = (given.day / "site.toml").read_text(encoding="utf-8")
    (given.out / "site.toml").write_text(swapped(site) if given.swap else site, encoding="utf-8")


if __name__ == "__main__":
    main()
