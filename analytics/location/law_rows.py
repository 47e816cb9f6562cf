"""Rows of `radio_laws`: what a site has taught about its radio, to be seen in SQL."""

from typing import Any

import numpy as np

from analytics.location.learning import Lessons
from analytics.location.places import Places
from analytics.location.radio import RadioLaw


def law_rows(site: str, places: Places, law: RadioLaw, lessons: Lessons) -> list[dict[str, Any]]:
    """Return the rows of a law that has been put in force: each reader's level and each antenna's offset.

    Args:
        site: Site identifier.
        places: The site.
        law: The law.
        lessons: What it was learnt from. Items are weighted: those of looks long past count for less.
    """
    common = {
        "site": site,
        "unit": "dB",
        "prior_value": 0.0,
        "spread": None,
        "version": law.version,
        "as_of_time": law.as_of_us,
    }
    levels = [
        common | {"antenna": reader, "parameter": "level_db", "value": level, "items": None}
        for reader, level in zip(places.reader_ids, law.level_db.tolist(), strict=True)
    ]
    offsets = [
        common | {"antenna": label, "parameter": "offset_db", "value": offset, "items": items}
        for label, offset, items in zip(
            places.antenna_labels,
            law.offset_db.tolist(),
            np.rint(lessons.items).astype(np.int64).tolist(),
            strict=False,
        )
    ]
    share = common | {
        "antenna": None,
        "parameter": "outside_share",
        "value": law.outside.share,
        "unit": "1",
        "items": None,
    }
    return [*levels, *offsets, share]
