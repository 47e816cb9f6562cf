"""Real counting passes: recall of each, the total after k passes, and the panel on which each tag hangs.

`python -m tests.bench.panels` prints the tables of docs/accuracy.md. The reads are not ours: TAGTIDE_DATA names the
folder that holds `data/panel-count/` (Hasler et al., IEEE RFID 2019). Five passes of a handheld along a wall of 27
panels with 915 tags; 292 further tags that were heard are in no mapping: strays.
"""

import csv
import itertools
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analytics.counting.neighbours import Floats, Ints, place_scores
from analytics.counting.recapture import Total, total_of_passes, total_of_reads
from analytics.counting.strays import belonging
from tests.shared_data import REPOSITORY

FOLDS = 10
"""Parts that tags are dealt into; a part's panels are unknown while it is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panels:
    """The data. Tags are numbered from 0; a stray's panel is -1."""

    tag: Ints
    """Tag of each read."""
    pass_number: Ints
    """Pass of each read, from 1."""
    time_s: Floats
    """Seconds from the start of the pass."""
    rssi_dbm: Floats
    """RSSI of each read."""
    panel_of_tag: Ints
    """Number of each tag's panel, from 0."""
    xy_cm: Floats
    """Place of each panel."""

    @property
    def passes(self) -> int:
        """Number of passes."""
        return int(self.pass_number.max())

    @property
    def mapped(self) -> int:
        """Tags that hang on a panel."""
        return int((self.panel_of_tag >= 0).sum())

    def reads_in(self, passes: tuple[int, ...]) -> Ints:
        """Return how often each tag was read, tags by the given passes."""
        counts = np.zeros((len(self.panel_of_tag), len(passes)), dtype=np.int64)
        for place, number in enumerate(passes):
            counts[:, place] = np.bincount(self.tag[self.pass_number == number], minlength=len(self.panel_of_tag))
        return counts


def read_panels(folder: Path) -> Panels:
    """Read the three files."""
    with (folder / "panels_ground_truth.csv").open(newline="") as stream:
        places = {row["panel"]: (float(row["x"]), float(row["y"])) for row in csv.DictReader(stream)}
    with (folder / "panels_epc_mapping.csv").open(newline="") as stream:
        panel_of = {row["epc"]: list(places).index(row["panel"]) for row in csv.DictReader(stream)}
    with (folder / "reads.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    number = {epc: at for at, epc in enumerate(sorted({row["epc"] for row in rows} | set(panel_of), key=int))}
    pass_number = np.array([int(row["experiment_nr"]) for row in rows])
    time_s = np.array([int(row["milliseconds"]) for row in rows]) / 1000.0
    starts = {one: time_s[pass_number == one].min() for one in np.unique(pass_number).tolist()}
    return Panels(
        tag=np.array([number[row["epc"]] for row in rows]),
        pass_number=pass_number,
        time_s=time_s - np.array([starts[one] for one in pass_number.tolist()]),
        rssi_dbm=np.array([float(row["rssi"]) for row in rows]),
        panel_of_tag=np.array([panel_of.get(epc, -1) for epc in number]),
        xy_cm=np.array(list(places.values())),
    )


# --- how many ------------------------------------------------------------------------------------------------------


def belonging_after(panels: Panels, passes: tuple[int, ...]) -> Floats:
    """Return the probability that each tag is no stray, by these passes alone; 0 for tags that they did not hear."""
    reads = panels.reads_in(passes)
    heard = np.flatnonzero(reads.sum(axis=1))
    peak = np.full(len(reads), -np.inf)
    among = np.isin(panels.pass_number, passes)
    np.maximum.at(peak, panels.tag[among], panels.rssi_dbm[among])
    found = np.zeros(len(reads))
    found[heard] = belonging(peak[heard].tolist(), (reads[heard].sum(axis=1) / len(passes)).tolist())
    return found


def total_after(panels: Panels, passes: tuple[int, ...], weight: Floats) -> Total:
    """Estimate the total from some passes, each tag counted with its weight."""
    reads = panels.reads_in(passes)
    if len(passes) == 1:
        heard = np.flatnonzero(reads[:, 0])
        return total_of_reads(reads[heard, 0].tolist(), weight[heard].tolist())
    histories: Counter[tuple[bool, ...]] = Counter()
    for heard_in, share in zip((reads > 0).tolist(), weight.tolist(), strict=True):
        if any(heard_in):
            histories[tuple(heard_in)] += share
    return total_of_passes(histories)


def print_counts(panels: Panels) -> None:
    """Print recall, what each pass adds, and estimates after each."""
    mapped = (panels.panel_of_tag >= 0).astype(float)
    print(f"{'pass':4} {'heard':>6} {'recall':>7} {'new':>4} {'foreseen':>8}   after it, of the {panels.mapped} tags")
    foreseen = float("nan")
    for k in range(1, panels.passes + 1):
        heard = panels.reads_in((k,))[:, 0] > 0
        before = panels.reads_in(tuple(range(1, k))).sum(axis=1) > 0 if k > 1 else np.zeros(len(heard), dtype=bool)
        total = total_after(panels, tuple(range(1, k + 1)), mapped)
        mine, new = int((heard & (mapped > 0)).sum()), int((heard & ~before & (mapped > 0)).sum())
        print(
            f"{k:4} {mine:6} {mine / panels.mapped:7.1%} {new:4} {foreseen:8.1f}   {total.seen:4.0f} seen, "
            f"{total.units:6.1f} ({total.low:.0f} to {total.high:.0f}) there"
        )
        foreseen = total.further
    print("\nstrays told apart by loudness and number of reads alone, no mapping")
    for k in range(1, panels.passes + 1):
        passes = tuple(range(1, k + 1))
        weight = belonging_after(panels, passes)
        heard = panels.reads_in(passes).sum(axis=1) > 0
        total = total_after(panels, passes, weight)
        kept = weight[(mapped > 0) & heard].mean()
        strays = weight[(mapped == 0) & heard]
        print(
            f"{k:4} passes: {kept:.1%} of the panels' tags kept, {strays.sum():.0f} of {len(strays)} strays; "
            f"{total.units:6.1f} ({total.low:.0f} to {total.high:.0f}) there"
        )
    print("\nof all choices of k passes, those whose 90 % interval holds the total (mapped tags)")
    for k in range(1, panels.passes):
        found = [total_after(panels, some, mapped) for some in itertools.combinations(range(1, panels.passes + 1), k)]
        held = sum(one.low <= panels.mapped <= one.high for one in found)
        error = np.mean([abs(one.units - panels.mapped) for one in found])
        width = np.mean([one.high - one.low for one in found])
        print(f"{k:4} passes: {held:2} of {len(found):2}, mean error {error:.1f} tags, mean width {width:.1f}")


# --- which panel ---------------------------------------------------------------------------------------------------


def panels_by_neighbours(panels: Panels, folds: int, *, hidden_share: float | None = None) -> Ints:
    """Return each mapped tag's panel, found while the panels of its part of the tags were unknown.

    Args:
        panels: The data.
        folds: Parts that tags are dealt into.
        hidden_share: Share of the tags of each panel that are unknown instead; what is left are references.
    """
    mapped = np.flatnonzero(panels.panel_of_tag >= 0)
    count, found = len(panels.xy_cm), np.full(len(panels.panel_of_tag), -1)
    rng = np.random.default_rng(1)
    part = np.empty(len(mapped), dtype=np.int64)
    part[rng.permutation(len(mapped))] = np.arange(len(mapped)) % folds
    for fold in range(folds):
        hidden = mapped[part == fold] if hidden_share is None else mapped[part != fold]
        known = panels.panel_of_tag.copy()
        known[hidden] = -1
        scores = place_scores(
            panels.tag, panels.pass_number, panels.time_s, panels.rssi_dbm, place_of_item=known, places=count
        )
        found[hidden] = scores[hidden].argmax(axis=1)
    return found


def panels_by_peak(panels: Panels) -> Ints:
    """Return the baseline: the panel of the other tag whose strongest reads are nearest in time, over the passes."""
    tags = np.flatnonzero(panels.panel_of_tag >= 0)
    peak_s = np.full((len(panels.panel_of_tag), panels.passes), np.nan)
    for number in range(1, panels.passes + 1):
        chosen = np.flatnonzero(panels.pass_number == number)
        loudest = chosen[np.argsort(panels.rssi_dbm[chosen], kind="stable")]
        peak_s[panels.tag[loudest], number - 1] = panels.time_s[loudest]
    found = np.full(len(panels.panel_of_tag), -1)
    for tag in tags.tolist():
        gaps = np.minimum(np.abs(peak_s[tags] - peak_s[tag]), 10.0)
        gap = np.where(np.isnan(gaps), 10.0, gaps).mean(axis=1)
        gap[tags == tag] = np.inf
        found[tag] = panels.panel_of_tag[tags[int(gap.argmin())]]
    return found


def panels_by_last_loud(panels: Panels) -> Ints:
    """Return the other baseline: the panel of the tag read just before a tag's strongest read."""
    found = np.full(len(panels.panel_of_tag), -1)
    order = np.lexsort((panels.time_s, panels.pass_number))
    mapped = panels.panel_of_tag[panels.tag[order]] >= 0
    order = order[mapped]
    tag = panels.tag[order]
    loudest = np.full(len(panels.panel_of_tag), -1)
    for at in np.argsort(panels.rssi_dbm[order], kind="stable").tolist():
        loudest[tag[at]] = at
    for one in np.flatnonzero(panels.panel_of_tag >= 0).tolist():
        other = next((at for at in range(loudest[one] - 1, -1, -1) if tag[at] != one), None)
        found[one] = -1 if other is None else panels.panel_of_tag[tag[other]]
    return found


def judge(panels: Panels, found: Ints) -> tuple[float, float, float]:
    """Return the share of mapped tags on the right panel, at the right place, and the mean error in cm."""
    tags = np.flatnonzero((panels.panel_of_tag >= 0) & (found >= 0))
    error = np.linalg.norm(panels.xy_cm[found[tags]] - panels.xy_cm[panels.panel_of_tag[tags]], axis=1)
    right = found[tags] == panels.panel_of_tag[tags]
    return float(right.sum() / panels.mapped), float((error == 0).sum() / panels.mapped), float(error.mean())


def print_panels(panels: Panels) -> None:
    """Print who finds how many panels."""
    ways = {
        f"neighbours, {FOLDS} parts of the tags in turn unknown": panels_by_neighbours(panels, FOLDS),
        "neighbours, half of the tags known": panels_by_neighbours(panels, 2),
        "neighbours, one tag in ten known": panels_by_neighbours(panels, FOLDS, hidden_share=0.9),
        "baseline: nearest peak times, every other tag known": panels_by_peak(panels),
        "baseline: read just before the loudest, every other known": panels_by_last_loud(panels),
    }
    print("\npanel of each tag            right panel, right place (some panels share one), mean error")
    for name, found in ways.items():
        right, place, error = judge(panels, found)
        print(f"{name:58} {right:6.1%} {place:6.1%} {error:6.1f} cm")


def main() -> None:
    """Print everything."""
    folder = Path(os.environ.get("TAGTIDE_DATA", REPOSITORY.parent / "shared")) / "data" / "panel-count"
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: set TAGTIDE_DATA to the folder that holds data/panel-count")
    panels = read_panels(folder)
    print_counts(panels)
    print_panels(panels)


if __name__ == "__main__":
    main()
