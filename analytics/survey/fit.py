"""From levels at known places to a calibration: exponent, offsets and what is left, as maps.

For each antenna, level - physics = offset + a steeper path loss + a field over the floor + the tag's own + the rest.
The field is a Gaussian process (`analytics.location.residual_map`); the levels themselves choose its spread and range.

An antenna that does *not* hear a tag which it should hear says more than any level: a cable that is loose, an antenna
that hangs elsewhere. And were such pairs left out, far tags would seem strong, since only lucky ones are heard. So each
counts as a level drawn from below the one at which tags stop answering, as the fit so far has it (a Tobit model, fitted
by stochastic expectation and maximisation; the draws are the points of an even sequence). Antennas that heard no tag at
all are left as physics says: nobody knows whether they ran.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from analytics.location.places import Floats, Places, map_site, measured_at
from analytics.location.radio import EDGE_DBM, PATH_LOSS_EXPONENT, PLACE_SPREAD_DB, STRAY_CHANCE, mean_rssi_dbm
from analytics.location.residual_map import Measured, ResidualMap, fit_maps
from analytics.survey.file import SurveyError
from devices.site.calibration import FORMAT, VERSION, AntennaSurvey, CalibrationFile, Lattice
from devices.site.model import Site

TAGS_MIN = 8
"""Fewer tags at places are no survey."""
FIELD_TAGS_MIN = 4
"""An antenna that fewer tags speak of gets an offset and no map."""
FIELD_SHARES = (0.02, 0.1, 0.2, 0.3, 0.4)
"""Shares of the variance that maps may have: what tags differ by, and how they lie, is more than half of it."""
OFFSET_PRIOR_TAGS = 2.0
"""As many tags without residual speak against such an offset,"""
TAG_PRIOR_ANTENNAS = 2.0
"""and as many antennas against a tag's being special."""
EXPONENT_CHANGE_MAX = 1.0
EXPONENT_SPREAD = 0.3
"""How far exponents of halls differ: 2.0 to 2.5 furnished, 1.6 in long aisles, 3 among metal."""
ROUNDS = 6
"""Rounds of the fit: what a further one changes is small beside what tags differ."""
FOLDS = 5
"""Parts of the tags that are left out in turn to judge the fit."""
LATTICE_POINTS = 600
LATTICE_M_MIN = 1.0
"""Maps are given at about so many points, and not more densely."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What was measured: R antennas, T tags at places."""

    xy: Floats
    """T by 2: metres."""
    level_dbm: Floats
    """R by T: mean RSSI; NaN where an antenna did not hear a tag."""
    awake: Flags
    """R: antennas that ran."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationReport:
    """A calibration, with what a picture and a table of it need."""

    calibration: CalibrationFile
    """What goes into the file."""
    numbers: dict[tuple[str, int], int]
    """Row of each antenna, by reader and port."""
    xy: Floats
    """T by 2: where tags were that were heard, metres."""
    residual_db: Floats
    """R by T: level - physics; NaN where an antenna did not hear a tag."""
    left_db: Floats
    """R by T: level - calibration."""


def calibrate(site: Site, survey: Survey, made: str) -> CalibrationReport:
    """Fit a calibration.

    Args:
        site: The site; what it was calibrated with before is set aside.
        survey: What was measured.
        made: From what, for people.

    Raises:
        SurveyError: Too few tags were heard.
    """
    bare = replace(site, surveyed=None)
    places = map_site(bare)
    heard = np.asarray(np.isfinite(survey.level_dbm).any(axis=0))
    if np.count_nonzero(heard) < TAGS_MIN:
        raise SurveyError(
            f"{np.count_nonzero(heard)} of {len(heard)} tags were heard at their places, a survey needs {TAGS_MIN}",
            hint="do EPCs, times and the site file's topics match the capture?",
            code="survey_too_small",
        )
    survey = replace(survey, xy=survey.xy[heard], level_dbm=survey.level_dbm[:, heard])
    physics = _Physics.at(places, bare, survey.xy)
    fitted = _fit(survey, physics)
    residual = survey.level_dbm - physics.mean_dbm
    before_m, after_m = _errors(survey, physics, places, bare)
    lattice, points = _lattice(places)
    field = _Physics.at(places, bare, points)
    file = CalibrationFile(
        format=FORMAT,
        version=VERSION,
        site=site.id,
        made=made,
        tags=int(heard.sum()),
        levels=int(np.isfinite(residual).sum()),
        exponent=round(PATH_LOSS_EXPONENT + fitted.steeper, 3),
        exponent_prior=PATH_LOSS_EXPONENT,
        spread_before_db=round(_bare_spread(survey, physics), 2),
        spread_after_db=round(fitted.spread_db, 2),
        error_before_m=round(before_m, 2),
        error_after_m=round(after_m, 2),
        lattice=lattice,
        antenna=_antennas(site, survey, fitted, field, lattice),
    )
    left = residual - fitted.expected(physics)
    named = [(reader.id, antenna.port) for reader in site.readers for antenna in reader.antennas]
    numbers = {name: number for number, name in enumerate(named)}
    return CalibrationReport(calibration=file, numbers=numbers, xy=survey.xy, residual_db=residual, left_db=left)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Physics:
    """The law by itself at some points: R antennas by points."""

    xy: Floats
    mean_dbm: Floats
    far_db: Floats
    """What one more in the exponent takes away, both ways."""

    @classmethod
    def at(cls, places: Places, site: Site, xy: Floats) -> "_Physics":
        there = measured_at(places, site, xy)
        far = 20.0 * np.log10(np.maximum(there.distance_m, 1.0))
        return cls(xy=xy, mean_dbm=mean_rssi_dbm(there), far_db=far)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitted:
    steeper: float
    offset_db: Floats
    """R: of antennas without a map."""
    maps: dict[int, ResidualMap]
    """Of the others; they hold the offset too."""
    spread_db: float
    """Standard deviation of levels about what a survey without them expects."""

    def expected(self, physics: _Physics) -> Floats:
        """Return what is expected above physics, R by points."""
        above = self.offset_db[:, None] - self.steeper * physics.far_db
        for antenna, one in self.maps.items():
            above[antenna] += one.predict(physics.xy, _constant(physics.xy))[0]
        return np.asarray(above)


def _fit(survey: Survey, physics: _Physics) -> _Fitted:
    above = survey.level_dbm - physics.mean_dbm
    heard = np.isfinite(above).sum(axis=1)
    runs = survey.awake & (heard > 0)
    mapped = np.flatnonzero(runs & (heard >= FIELD_TAGS_MIN)).tolist()
    expected, own = np.zeros(above.shape), np.zeros(above.shape[1])
    fitted = _Fitted(steeper=0.0, offset_db=np.zeros(len(above)), maps={}, spread_db=PLACE_SPREAD_DB)
    for _ in range(ROUNDS):
        filled = _with_deaf(above, expected + own, physics.mean_dbm, runs)
        speaks = np.isfinite(filled)
        own = _shrunk(filled - expected, speaks, axis=0, prior=TAG_PRIOR_ANTENNAS)
        own -= own.mean()
        slope = _steeper(filled - own - expected, physics.far_db, speaks)
        steeper = float(np.clip(fitted.steeper + slope, -EXPONENT_CHANGE_MAX, EXPONENT_CHANGE_MAX))
        rest = filled - own + steeper * physics.far_db
        maps = _maps(survey.xy, rest, mapped)
        offset = np.where(runs, _shrunk(rest, speaks, axis=1, prior=OFFSET_PRIOR_TAGS), 0.0)
        offset[mapped] = 0.0
        left_out = [one.left_out for one in maps.values()] or [(filled - own - expected)[speaks]]
        spread = max(1.0, float(np.sqrt(np.mean(np.concatenate(left_out) ** 2))))
        fitted = _Fitted(steeper=steeper, offset_db=offset, maps=maps, spread_db=spread)
        expected = fitted.expected(physics)
    return fitted


def _bare_spread(survey: Survey, physics: _Physics) -> float:
    """Return the standard deviation of levels about bare physics, those that were not heard included."""
    above = survey.level_dbm - physics.mean_dbm
    runs = survey.awake & np.isfinite(above).any(axis=1)
    filled = _with_deaf(above, np.zeros(above.shape), physics.mean_dbm, runs)
    return float(np.sqrt(np.nanmean(filled**2)))


def _with_deaf(above: Floats, expected: Floats, physics_dbm: Floats, runs: Flags) -> Floats:
    """Fill in what an antenna that ran and did not hear a tag may have missed: a draw from below the edge.

    It is drawn about what is expected with the spread that places are taken to have: a spread that were learnt from the
    draws too would feed on itself.

    The draws are the points of an even sequence, not random ones, so that a survey always gives the same calibration.
    """
    deaf = np.isnan(above) & runs[:, None]
    below_edge = _normal_share((EDGE_DBM - physics_dbm - expected)[deaf] / PLACE_SPREAD_DB)
    even = (np.arange(1, below_edge.size + 1) * _GOLDEN) % 1.0
    filled = above.copy()
    filled[deaf] = expected[deaf] + PLACE_SPREAD_DB * _normal_quantile(np.clip(below_edge * even, 0.01, 0.99))
    return filled


_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_normal_share = np.vectorize(NormalDist().cdf, otypes=[np.float64])
_normal_quantile = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])


def _shrunk(values: Floats, speaks: Flags, *, axis: int, prior: float) -> Floats:
    return np.asarray(np.where(speaks, values, 0.0).sum(axis=axis) / (speaks.sum(axis=axis) + prior))


def _steeper(rest: Floats, far_db: Floats, speaks: Flags) -> float:
    """Return by how much the exponent is larger: the slope of what is left over distance, antenna by antenna."""
    count = np.maximum(speaks.sum(axis=1, keepdims=True), 1)
    far = np.where(speaks, far_db - np.where(speaks, far_db, 0.0).sum(axis=1, keepdims=True) / count, 0.0)
    level = np.where(speaks, rest - np.where(speaks, rest, 0.0).sum(axis=1, keepdims=True) / count, 0.0)
    return float(-(far * level).sum() / ((far**2).sum() + (PLACE_SPREAD_DB / EXPONENT_SPREAD) ** 2))


def _maps(xy: Floats, rest: Floats, antennas: list[int]) -> dict[int, ResidualMap]:
    constant = _constant(xy)
    measured = [Measured(places=xy, values=rest[antenna], terms=constant) for antenna in antennas]
    return dict(zip(antennas, fit_maps(measured, pooled=True, shares=FIELD_SHARES), strict=True))


def _constant(xy: Floats) -> Floats:
    return np.ones((len(xy), 1))


def _errors(survey: Survey, physics: _Physics, places: Places, site: Site) -> tuple[float, float]:
    """Return the mean error of tags located by bare physics, and by a survey of the others; in metres."""
    cells, tags = _Physics.at(places, site, places.cell_xy), np.arange(len(survey.xy))
    spread = _bare_spread(survey, physics)
    before, after = [], []
    for fold in range(FOLDS):
        out = tags % FOLDS == fold
        kept = _Physics(xy=physics.xy[~out], mean_dbm=physics.mean_dbm[:, ~out], far_db=physics.far_db[:, ~out])
        fitted = _fit(replace(survey, xy=survey.xy[~out], level_dbm=survey.level_dbm[:, ~out]), kept)
        calibrated = cells.mean_dbm + fitted.expected(cells)
        for tag in tags[out].tolist():
            before.append(_error(survey, tag, cells.mean_dbm, spread, places.cell_xy))
            after.append(_error(survey, tag, calibrated, fitted.spread_db, places.cell_xy))
    return float(np.mean(before)), float(np.mean(after))


def _error(survey: Survey, tag: int, mean_dbm: Floats, spread: float, cell_xy: Floats) -> float:
    level = survey.level_dbm[:, tag]
    heard, deaf = np.isfinite(level), np.isnan(level) & survey.awake
    log = -0.5 * (((level[heard, None] - mean_dbm[heard]) / spread) ** 2).sum(axis=0)
    log += np.log(_normal_share((EDGE_DBM - mean_dbm[deaf]) / spread) + STRAY_CHANCE).sum(axis=0)
    weights = np.exp(log - log.max())
    return float(np.linalg.norm(weights @ cell_xy / weights.sum() - survey.xy[tag]))


def _lattice(places: Places) -> tuple[Lattice, Floats]:
    """Lay points over all cells."""
    low, high = places.cell_xy.min(axis=0), places.cell_xy.max(axis=0)
    size = np.maximum(high - low, LATTICE_M_MIN)
    step = round(max(LATTICE_M_MIN, float(np.sqrt(size[0] * size[1] / LATTICE_POINTS))), 2)
    columns, rows = (int(np.ceil(side / step)) + 1 for side in size)
    lattice = Lattice(x=round(float(low[0]), 2), y=round(float(low[1]), 2), step_m=step, columns=columns, rows=rows)
    xs, ys = lattice.x + step * np.arange(columns), lattice.y + step * np.arange(rows)
    return lattice, np.array([(x, y) for y in ys for x in xs])


def _antennas(
    site: Site, survey: Survey, fitted: _Fitted, field: _Physics, lattice: Lattice
) -> tuple[AntennaSurvey, ...]:
    """Split what is expected at the lattice into offset and map, antenna by antenna."""
    above = fitted.expected(field) + fitted.steeper * field.far_db
    found = []
    places = [(reader.id, antenna) for reader in site.readers for antenna in reader.antennas]
    for number, (reader, antenna) in enumerate(places):
        tags = int(np.isfinite(survey.level_dbm[number]).sum())
        if tags == 0:
            continue
        one = fitted.maps.get(number)
        offset = float(fitted.offset_db[number] if one is None else one.coefficients[0])
        rows = np.round(above[number] - offset, 1).reshape(lattice.rows, lattice.columns) + 0.0
        found.append(
            AntennaSurvey(
                reader=reader,
                port=antenna.port,
                x=antenna.x,
                y=antenna.y,
                z=antenna.z,
                tags=tags,
                offset_db=round(offset, 2),
                range_m=0.0 if one is None else one.range_m,
                field_db=0.0 if one is None else round(one.field_spread, 2),
                residual_db=tuple(tuple(row) for row in rows.tolist()),
            )
        )
    return tuple(found)
