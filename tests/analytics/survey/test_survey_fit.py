"""A survey finds what was done to a site's radio: an antenna that hears badly, one that hangs elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.location.places import Floats, map_site, measured_at
from analytics.location.radio import EDGE_DBM, mean_rssi_dbm
from analytics.survey.file import SurveyError
from analytics.survey.fit import Survey, calibrate
from devices.site.calibration import calibration_text, parse_calibration
from devices.site.model import Antenna, Reader, Site, Zone, ZoneKind

SPOTS = ((3.0, 3.0), (9.0, 3.0), (3.0, 9.0), (9.0, 9.0))
SITE = Site(
    id="s",
    zones=(Zone(id="floor", kind=ZoneKind.SALES_FLOOR, polygon=((0, 0), (12, 0), (12, 12), (0, 12))),),
    readers=(
        Reader(
            id="r",
            profile="tagtide",
            mqtt_topic="r",
            antennas=tuple(Antenna(port=port, x=x, y=y, zone="floor") for port, (x, y) in enumerate(SPOTS, 1)),
        ),
    ),
)


def surveyed(true_site: Site, *, offsets_db: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0), tags: int = 60) -> Survey:
    """What tags at known places would show: 6 dB from place to place, and nothing below the edge."""
    rng = np.random.default_rng(1)
    xy = rng.uniform(0.5, 11.5, (tags, 2))
    mean = mean_rssi_dbm(measured_at(map_site(true_site), true_site, xy)) + np.array(offsets_db)[:, None]
    level = mean + 6.0 * rng.standard_normal(mean.shape)
    return Survey(xy=xy, level_dbm=np.where(level > EDGE_DBM, level, np.nan), awake=np.ones(4, dtype=np.bool_))


def test_an_antenna_that_hears_badly_is_told_from_the_others() -> None:
    """Where it is heard at all. Of 8 dB at least half is found: most of its tags are not heard any more."""
    bare = mean_rssi_dbm(map_site(SITE))
    near = bare > EDGE_DBM

    def found_db(offset_db: float) -> Floats:
        report = calibrate(SITE, surveyed(SITE, offsets_db=(0.0, offset_db, 0.0, 0.0)), "a test")
        change = mean_rssi_dbm(map_site(replace(SITE, surveyed=report.calibration))) - bare
        return np.array([change[antenna, near[antenna]].mean() for antenna in range(4)])

    change = found_db(-8.0) - found_db(0.0)
    assert change[1] < -4.0
    assert change[1] - change[[0, 2, 3]].mean() < -4.0


def test_an_antenna_that_hangs_elsewhere_is_found_out() -> None:
    """The site file has antennas 1 and 4 the wrong way round; the map puts that right where tags were."""
    true_antennas = tuple(
        replace(antenna, x=SPOTS[at][0], y=SPOTS[at][1])
        for antenna, at in zip(SITE.readers[0].antennas, (3, 1, 2, 0), strict=True)
    )
    true_site = replace(SITE, readers=(replace(SITE.readers[0], antennas=true_antennas),))
    report = calibrate(SITE, surveyed(true_site, tags=120), "a test")
    truth = mean_rssi_dbm(map_site(true_site))
    off_before = np.abs(mean_rssi_dbm(map_site(SITE)) - truth)[[0, 3]].mean()
    calibrated = replace(SITE, surveyed=report.calibration)
    off_after = np.abs(mean_rssi_dbm(map_site(calibrated)) - truth)[[0, 3]].mean()
    assert off_after < 0.7 * off_before
    assert report.calibration.error_after_m < report.calibration.error_before_m


def test_a_calibration_is_the_same_every_time_and_its_file_reads_back() -> None:
    survey = surveyed(SITE)
    first, again = (calibrate(SITE, survey, "a test").calibration for _ in range(2))
    assert first == again
    assert parse_calibration(calibration_text(first)) == first


def test_what_was_calibrated_before_is_set_aside() -> None:
    survey = surveyed(SITE, offsets_db=(0.0, -8.0, 0.0, 0.0))
    first = calibrate(SITE, survey, "a test").calibration
    assert calibrate(replace(SITE, surveyed=first), survey, "a test").calibration == first


def test_too_few_tags_are_no_survey() -> None:
    survey = surveyed(SITE, tags=60)
    deaf = replace(survey, level_dbm=np.where(np.arange(60) < 5, survey.level_dbm, np.nan))
    with pytest.raises(SurveyError) as caught:
        calibrate(SITE, deaf, "a test")
    assert caught.value.code == "survey_too_small"


def test_a_moved_antenna_is_as_if_it_had_not_been_surveyed() -> None:
    report = calibrate(SITE, surveyed(SITE, offsets_db=(0.0, -8.0, 0.0, 0.0)), "a test")
    antennas = tuple(replace(one, x=one.x + (port == 1)) for port, one in enumerate(SITE.readers[0].antennas))
    moved = replace(SITE, readers=(replace(SITE.readers[0], antennas=antennas),), surveyed=report.calibration)
    residual = map_site(moved).residual_db
    assert (residual[1] == 0.0).all()
    assert (residual[0] != 0.0).any()
