"""A real grid: one tag on each of 121 cells under four antennas. Fingerprints beside the survey's maps.

`python -m tests.bench.grid` prints the table of docs/accuracy.md. The recordings are not ours: TAGTIDE_DATA names the
folder that holds `data/grid-cells-round1.zip`. Each cell is located from a survey of the 120 others.

What was measured of a cell is a few numbers for each antenna, `FEATURES`; both methods may have any of them. The
carrier hops over 50 channels, and in some of them reflections extinguish the tag: an antenna hears it in neighbouring
channels and then not at all. The mean of what was heard leaves these out, the level over all channels does not.
"""

import csv
import io
import itertools
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analytics.location.residual_map import Floats, Measured, fit_maps
from tests.shared_data import REPOSITORY

TAG = "E2801170000002150E68ED20"
"""The tag that stands on the cells; others are fixed."""
CORNERS = np.array([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0)])
"""Where the antennas hang, in cells."""
CHANNELS = 50
FIRST_CHANNEL_MHZ, CHANNEL_MHZ = 902.75, 0.5
EXTINGUISHED_DBM = -71.0
"""Level of a channel in which an antenna does not hear the tag: a little above the weakest reads, -72.5 dBm."""
FEATURES = ("mean", "level", "power", "median", "strongest", "channels", "reads")
WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights of a second and third feature beside the first that fingerprints are tried with."""
NEIGHBOURS = 4


def read_cells(archive: Path) -> tuple[Floats, dict[str, Floats]]:
    """Return the cells, n by 2, and their features, n by antennas."""
    found = dict(_reads(archive))
    cells = sorted(found)
    rows = [_features(*found[cell]) for cell in cells]
    return np.array(cells, dtype=np.float64), {name: np.array([row[name] for row in rows]) for name in FEATURES}


def fingerprint_errors(cells: Floats, features: Mapping[str, Floats]) -> tuple[str, Floats]:
    """Return the best fingerprint of all that are tried, best on the very cells that judge it, and its errors."""
    apart = {
        name: ((values[:, None] - values[None]) ** 2).sum(axis=2) / values.var() for name, values in features.items()
    }
    tried: list[tuple[float, str, Floats]] = []
    for count in (1, 2, 3):
        for names in itertools.permutations(apart, count):
            for weights in itertools.product(WEIGHTS, repeat=count - 1):
                together = sum(
                    (w * apart[name] for name, w in zip(names, (1.0, *weights), strict=True)), np.zeros((1, 1))
                )
                for power in (0.0, 1.0, 2.0):
                    errors = _nearest(cells, np.sqrt(together), power)
                    parts = ", ".join(f"{w:g} {name}" for name, w in zip(names, (1.0, *weights), strict=True))
                    tried.append((float(errors.mean()), f"{parts}; 1/distance^{power:g}", errors))
    _, name, errors = min(tried, key=lambda each: each[0])
    return name, errors


def _nearest(cells: Floats, apart: Floats, power: float) -> Floats:
    apart = apart + np.diag(np.full(len(cells), np.inf))
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
    weights = 1.0 / (np.take_along_axis(apart, near, axis=1) + 1e-6) ** power
    places = (weights[:, :, None] * cells[near]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(places - cells, axis=1))


def survey_errors(cells: Floats, values: Floats, left_out: npt.NDArray[np.int64]) -> Floats:
    """Return the errors of cells located from maps of the others, antenna by antenna, posterior mean.

    What differs from place to place differs for all antennas alike in part: how the tag lies, what it stands on. Its
    correlation between antennas is that of what each map is off by at places left out, among the others.
    """
    axis = np.arange(cells.min(), cells.max() + 0.01, 0.5)
    tried = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    errors = []
    for cell in left_out.tolist():
        others = np.arange(len(cells)) != cell
        maps = fit_maps(
            [
                Measured(places=cells[others], values=values[others, at], terms=_terms(cells[others], at))
                for at in range(len(CORNERS))
            ],
            pooled=False,
        )
        predicted = [one.predict(tried, _terms(tried, at)) for at, one in enumerate(maps)]
        alike = np.linalg.inv(np.corrcoef([one.left_out / one.left_out_spread for one in maps]))
        off = np.array([(values[cell, at] - mean) / spread for at, (mean, spread) in enumerate(predicted)])
        log = -0.5 * np.einsum("ig,ij,jg->g", off, alike, off) - sum(np.log(spread) for _, spread in predicted)
        weights = np.exp(log - log.max())
        errors.append(float(np.linalg.norm(weights @ tried / weights.sum() - cells[cell])))
    return np.array(errors)


def _terms(places: Floats, antenna: int) -> Floats:
    """A constant and the logarithm of distance, from a cell above the corner."""
    distance = np.hypot(np.linalg.norm(places - CORNERS[antenna], axis=1), 1.0)
    return np.column_stack([np.ones(len(places)), np.log10(distance)])


def _reads(archive: Path) -> Iterator[tuple[tuple[int, int], tuple[Floats, Floats, Floats]]]:
    """Yield each cell with its reads: antenna from 0, dBm, channel."""
    with zipfile.ZipFile(archive) as folder:
        for name in folder.namelist():
            if place := re.search(r"x(\d+)y(\d+)\.csv$", name):
                text = io.StringIO(folder.read(name).decode("utf-8-sig"))
                rows = [row for row in csv.reader(text) if len(row) > 5 and row[1] == TAG]
                antenna, rssi_dbm, mhz = np.array([row[3:6] for row in rows], dtype=np.float64).T
                channel = np.round((mhz - FIRST_CHANNEL_MHZ) / CHANNEL_MHZ)
                yield (int(place[1]), int(place[2])), (antenna - 1, rssi_dbm, channel)


def _features(antenna: Floats, rssi_dbm: Floats, channel: Floats) -> dict[str, list[float]]:
    rows: dict[str, list[float]] = {name: [] for name in FEATURES}
    for at in range(len(CORNERS)):
        levels, channels = rssi_dbm[antenna == at], channel[antenna == at]
        heard = np.unique(channels)
        over_all = np.full(CHANNELS, EXTINGUISHED_DBM)
        over_all[heard.astype(np.int64)] = [levels[channels == one].mean() for one in heard]
        rows["mean"].append(float(levels.mean()) if len(levels) else EXTINGUISHED_DBM - 1.0)
        rows["level"].append(float(over_all.mean()))
        rows["power"].append(float(10.0 * np.log10((10.0 ** (over_all / 10.0)).mean())))
        rows["median"].append(float(np.median(over_all)))
        rows["strongest"].append(float(np.sort(over_all)[-5:].mean()))
        rows["channels"].append(float(np.sqrt(len(heard))))
        rows["reads"].append(float(np.sqrt(len(levels))))
    return rows


def main() -> None:
    """Print the table."""
    archive = Path(os.environ.get("TAGTIDE_DATA", REPOSITORY.parent / "shared")) / "data" / "grid-cells-round1.zip"
    if not archive.is_file():
        sys.exit(f"{archive} is not there: set TAGTIDE_DATA to the folder that holds data/grid-cells-round1.zip")
    cells, features = read_cells(archive)
    everything = np.arange(len(cells))
    print(f"{len(cells)} cells, each located from the others; errors in cells")
    plain = _nearest(cells, np.linalg.norm(features["mean"][:, None] - features["mean"][None], axis=2), 1.0)
    name, best = fingerprint_errors(cells, features)
    rows = {
        "fingerprint, mean RSSI": plain,
        f"best fingerprint: {name}": best,
        "survey, mean RSSI": survey_errors(cells, features["mean"], everything),
        "survey, level over all channels": survey_errors(cells, features["level"], everything),
    }
    for label, errors in rows.items():
        median, p90 = np.quantile(errors, (0.5, 0.9))
        print(f"{label:68}  mean {errors.mean():.2f}  median {median:.2f}  p90 {p90:.2f}")
    apart = rows["survey, level over all channels"] - best
    error = apart.std() / np.sqrt(len(apart))
    print(f"survey less best fingerprint, cell by cell: {apart.mean():+.2f} +- {error:.2f}")


if __name__ == "__main__":
    main()
