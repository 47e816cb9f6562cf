"""What to beat: published and obvious rules for locating tags, run on the same reads as ours."""

from collections.abc import Callable
from functools import partial

import pyarrow as pa

from analytics.baselines.edgex import DEFAULT, GARMENT
from analytics.baselines.edgex_stays import edgex_stays
from analytics.baselines.simple import last_read_wins, strongest_in_window
from devices.site.model import Site

BASELINES: dict[str, Callable[[pa.Table, Site], pa.Table]] = {
    "EdgeX default": partial(edgex_stays, parameters=DEFAULT),
    "EdgeX garment": partial(edgex_stays, parameters=GARMENT),
    "strongest in 10 s": strongest_in_window,
    "last read wins": last_read_wins,
}
"""Every baseline by the name that reports give it: a function of corrected reads and their site to stays."""

__all__ = ["BASELINES", "edgex_stays", "last_read_wins", "strongest_in_window"]
