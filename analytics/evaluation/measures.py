"""The measures by which location estimates are judged, each defined once, as a formula with its denominator.

All are over the items that the truth names, within the window of the frame. "Item-seconds" sum, over all items, the
seconds for which something holds; nothing is sampled. An item that was never read, or that an estimator says nothing
about, is estimated as not here. `docs/evaluation.md` says the same in plain words.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.evaluation.timeline import ABSENT, Floats, Int32s, Int64s, Segments, Timeline

SETTLING_US = 300_000_000
"""What settled presence leaves out after each true arrival and departure: five minutes."""
BINS = 10
"""Equal-width bins of confidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Truth and estimate laid over each other, cut where either changes."""

    cut: Segments
    """The pieces."""
    truth: Int32s
    """True zone code of each piece."""
    estimate: Int32s
    """Estimated zone code of each piece."""
    confidence: Floats
    """Confidence of each piece, not-a-number where none is stated."""


def confusion_s(overlay: Overlay, codes: int) -> Floats:
    """Return item-seconds by true zone (rows) and estimated zone (columns), by zone code.

    `C[t, e] = sum of item-seconds with true zone t and estimated zone e`.
    """
    cell = overlay.truth.astype(np.int64) * codes + overlay.estimate
    seconds = np.bincount(cell, weights=overlay.cut.duration_us, minlength=codes * codes) / 1e6
    return seconds.reshape(codes, codes)


def right_zone_share(confusion: Floats) -> float | None:
    """Return the share of on-site item-seconds in the right zone.

    `sum over zones z of C[z, z] / sum over zones z and all estimates e of C[z, e]`. The denominator is all item-seconds
    on site by the truth, also those of items that were never read. `None` where nothing was ever on site.
    """
    return ratio(float(np.trace(confusion[1:, 1:])), float(confusion[1:].sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Precision and recall of "here"."""

    precision: float | None
    """Item-seconds estimated here and truly here / item-seconds estimated here. `None` where nothing was estimated
    here."""
    recall: float | None
    """Item-seconds estimated here and truly here / item-seconds truly here. `None` where nothing was."""


def presence(overlay: Overlay, counted: npt.NDArray[np.bool_] | None = None) -> Presence:
    """Return how well "here" is told from "not here", whatever the zone.

    Args:
        overlay: Truth and estimate.
        counted: Which pieces count; all of them where absent.
    """
    weight = overlay.cut.duration_us if counted is None else overlay.cut.duration_us * counted
    truly, said = overlay.truth != ABSENT, overlay.estimate != ABSENT
    both = float(weight[truly & said].sum())
    return Presence(precision=ratio(both, float(weight[said].sum())), recall=ratio(both, float(weight[truly].sum())))


def settling_keys(truth: Timeline) -> tuple[Int64s, Int64s]:
    """Return where settling begins and where it ends, as keys.

    An item settles for `SETTLING_US` after each of its true arrivals and departures. The start of the window counts
    as an arrival of what is on site then, since an estimator has seen nothing before it.
    """
    frame = truth.frame
    here = truth.zone != ABSENT
    starts_item = truth.key % frame.span_us == 0
    changes = np.where(starts_item, here, here != np.concatenate([[False], here[:-1]]))
    begins = truth.key[changes]
    last = (begins // frame.span_us + 1) * frame.span_us
    ends = begins + SETTLING_US
    return begins, ends[ends < last]


def settled(truth: Timeline, cut: Segments) -> npt.NDArray[np.bool_]:
    """Return which pieces lie outside of every settling time; they are cut at `settling_keys`."""
    begins, _ = settling_keys(truth)
    span_us = truth.frame.span_us
    latest = np.searchsorted(begins, cut.key, side="right") - 1
    if not len(begins):
        return np.ones(len(cut.key), dtype=np.bool_)
    since_us = cut.key - begins[np.maximum(latest, 0)]
    of_item = (latest >= 0) & (begins[np.maximum(latest, 0)] // span_us == cut.key // span_us)
    found: npt.NDArray[np.bool_] = ~(of_item & (since_us < SETTLING_US))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Estimates of nearly the same confidence."""

    confidence_low: float
    """Least confidence of the bin."""
    confidence_high: float
    """Confidence at which the next bin begins; the last bin holds 1."""
    item_hours: float
    """Item-hours estimated with such a confidence."""
    confidence_mean: float | None
    """Their mean confidence, by item-seconds; `None` for an empty bin."""
    right_share: float | None
    """Share of them in the right zone; `None` for an empty bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Whether a confidence of 0.9 is right nine times in ten."""

    error: float
    """Expected calibration error: `sum over bins b of (item-seconds of b / all item-seconds with a confidence) *
    |right share of b - mean confidence of b|`."""
    bins: tuple[CalibrationBin, ...]
    """The reliability table."""


def calibration(overlay: Overlay) -> Calibration | None:
    """Compare stated confidence with how often it was right, over item-seconds estimated here with a confidence.

    An estimate is right for as long as the item is truly in the estimated zone; off site, it is wrong. The denominator
    is all item-seconds for which the estimate is some zone and states a confidence. `None` where there are none.
    """
    stated = (overlay.estimate != ABSENT) & ~np.isnan(overlay.confidence)
    weight = overlay.cut.duration_us[stated] / 1e6
    if not weight.sum():
        return None
    confidence = overlay.confidence[stated]
    right = overlay.truth[stated] == overlay.estimate[stated]
    number = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    seconds = np.bincount(number, weights=weight, minlength=BINS)
    said = np.bincount(number, weights=weight * confidence, minlength=BINS)
    was = np.bincount(number, weights=weight * right, minlength=BINS)
    rows = tuple(
        CalibrationBin(
            confidence_low=b / BINS,
            confidence_high=(b + 1) / BINS,
            item_hours=float(seconds[b]) / 3600,
            confidence_mean=ratio(float(said[b]), float(seconds[b])),
            right_share=ratio(float(was[b]), float(seconds[b])),
        )
        for b in range(BINS)
    )
    return Calibration(error=float(np.abs(was - said).sum() / seconds.sum()), bins=rows)


def ratio(part: float, whole: float) -> float | None:
    """Return a share, `None` where there is nothing to share."""
    return part / whole if whole else None
