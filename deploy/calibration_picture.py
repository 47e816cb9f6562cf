"""A picture of a calibration: for each antenna the floor plan, its map in colours, and each tag that it heard.

Colours fade to grey where nothing was measured: a map is worth something as far from a tag that the antenna heard as
its field is of one piece. Beyond, it draws what tags that were *not* heard leave open.
"""

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from devices.site.calibration import AntennaSurvey, Lattice
from devices.site.model import Site

if TYPE_CHECKING:
    from analytics.survey.fit import CalibrationReport

Corner = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]

COLUMNS = 4
"""Antennas side by side."""
PLAN_PX = 260.0
"""Width of one antenna's plan."""
MARGIN_PX = 14.0
TITLE_PX = 34.0
FULL_DB = 15.0
"""What is off by this much has the full colour."""
GREY = 218
"""Where nothing was measured: each of red, green and blue."""


def draw(site: Site, report: "CalibrationReport") -> str:
    """Return the picture as SVG: red is heard stronger than physics says, blue weaker, grey unknown, a dot is a tag."""
    corners = np.array([point for zone in site.zones for point in zone.polygon])
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = PLAN_PX / float(high[0] - low[0])
    tall = float(high[1] - low[1]) * scale + TITLE_PX + MARGIN_PX
    antennas = report.calibration.antenna
    rows = -(-len(antennas) // COLUMNS)
    width, height = COLUMNS * (PLAN_PX + MARGIN_PX) + MARGIN_PX, rows * tall + TITLE_PX + MARGIN_PX
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        ),
        (
            f'<text x="{MARGIN_PX}" y="22" font-size="15">{escape(site.id)}: RSSI above physics, red +{FULL_DB:.0f}, '
            f"blue -{FULL_DB:.0f} dB, grey: not measured; dots are tags that the antenna heard</text>"
        ),
    ]
    for place, one in enumerate(antennas):
        left = MARGIN_PX + place % COLUMNS * (PLAN_PX + MARGIN_PX)
        top = TITLE_PX + place // COLUMNS * tall
        offset = f'<g transform="translate({left:.1f} {top + TITLE_PX:.1f})">'
        title = f"{one.reader}:{one.port}  {one.offset_db:+.1f} dB, {one.tags} tags"
        parts += [f'<text x="{left:.1f}" y="{top + TITLE_PX - 8:.1f}">{escape(title)}</text>', offset]
        number = report.numbers[one.reader, one.port]
        heard = report.xy[np.isfinite(report.residual_db[number])]
        parts += _map(one, heard, report.calibration.lattice, low, high, scale)
        parts += _plan(site, low, high, scale)
        parts += _tags(report, number, low, high, scale)
        x, y = (one.x - low[0]) * scale, (high[1] - one.y) * scale
        parts += [f'<path d="M{x - 5:.1f} {y + 4:.1f} h10 l-5 -9 z" fill="black"/>', "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def colour(db: float, support: float = 1.0) -> str:
    """Return the colour of a residual: white for none, red above, blue below, the greyer the less it is supported."""
    faded = 255 * (1.0 - min(abs(db) / FULL_DB, 1.0))
    full = (255.0, faded, faded) if db > 0 else (faded, faded, 255.0)
    return f"rgb({','.join(str(round(support * part + (1.0 - support) * GREY)) for part in full)})"


def support(points: Points, heard: Points, range_m: float) -> Points:
    """Return how much of a map at some points is of one piece with what was measured, 0 to 1.

    It is the correlation of the field (Matern, smoothness 3/2) with the nearest tag that the antenna heard.

    Args:
        points: n by 2, metres.
        heard: Where the antenna heard tags, metres.
        range_m: Range of the map; 0 where there is none, and then nothing is supported.
    """
    if range_m <= 0.0 or not len(heard):
        return np.zeros(len(points))
    nearest_m = np.linalg.norm(points[:, None, :] - heard[None, :, :], axis=2).min(axis=1)
    scaled = np.sqrt(3.0) * nearest_m / range_m
    return np.asarray((1.0 + scaled) * np.exp(-scaled))


def _map(one: AntennaSurvey, heard: Points, lattice: Lattice, low: Corner, high: Corner, scale: float) -> list[str]:  # noqa: PLR0917 - a plan's corners and scale go together
    side = lattice.step_m * scale
    xs, ys = (
        lattice.x + lattice.step_m * np.arange(lattice.columns),
        lattice.y + lattice.step_m * np.arange(lattice.rows),
    )
    points = np.array([(x, y) for y in ys for x in xs])
    supported = support(points, heard, one.range_m).reshape(lattice.rows, lattice.columns)
    found = []
    for row, values in enumerate(one.residual_db):
        for column, value in enumerate(values):
            x = (lattice.x + (column - 0.5) * lattice.step_m - low[0]) * scale
            y = (high[1] - lattice.y - (row + 0.5) * lattice.step_m) * scale
            fill = colour(value + one.offset_db, float(supported[row, column]))
            found.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{side + 0.3:.1f}" height="{side + 0.3:.1f}" fill="{fill}"/>'
            )
    return found


def _plan(site: Site, low: Corner, high: Corner, scale: float) -> list[str]:
    found = []
    for zone in site.zones:
        points = " ".join(f"{(x - low[0]) * scale:.1f},{(high[1] - y) * scale:.1f}" for x, y in zone.polygon)
        found.append(f'<polygon points="{points}" fill="none" stroke="#666" stroke-width="0.7"/>')
    return found


def _tags(report: "CalibrationReport", antenna: int, low: Corner, high: Corner, scale: float) -> list[str]:
    found = []
    for (x, y), db in zip(report.xy.tolist(), report.residual_db[antenna].tolist(), strict=True):
        if np.isfinite(db):
            at = f'cx="{(x - low[0]) * scale:.1f}" cy="{(high[1] - y) * scale:.1f}"'
            found.append(f'<circle {at} r="3.5" fill="{colour(db)}" stroke="black" stroke-width="0.6"/>')
    return found
