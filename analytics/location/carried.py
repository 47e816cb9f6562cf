"""What readers that are carried about hear: it is on the site, whatever the fixed antennas hear of it.

A handheld's read is evidence of presence and none of place: an item that one has heard is not taken to have left, as
long as the silence after that read is shorter than the one that means departure. Where it is stays as it was believed.
"""

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.step import Arrived
from analytics.steps.derived import microseconds
from devices.site.model import Site

Ints = npt.NDArray[np.int64]


class Carried:
    """When mobile readers last heard each item; those of whom nothing was heard for long are forgotten."""

    def __init__(self, waiting: Sequence[tuple[int, int, str]] = (), heard_s: dict[str, int] | None = None) -> None:
        self.waiting = [(int(time_us), int(event_us), str(epc)) for time_us, event_us, epc in waiting]
        """Reads that wait for the watermark: effective time, event time and EPC; a heap."""
        self.heard_s = dict(heard_s or {})
        """Second of the last read by EPC. At most what readers hear within the silence that means departure."""

    def add(self, arrived: Arrived, site: Site) -> None:
        """Take in the reads of a chunk."""
        mobile = [reader.id for reader in site.readers if reader.mobile]
        batch = arrived.batches.get("reads")
        if not mobile or batch is None or batch.num_rows == 0:
            return
        of_mobile = pc.is_in(batch["reader"], value_set=pa.array(mobile, pa.string()))
        mine = np.asarray(of_mobile.to_numpy(zero_copy_only=False), dtype=np.bool_)
        times = np.asarray(arrived.effective_us["reads"], dtype=np.int64)[mine].tolist()
        events = microseconds(batch["event_time"])[mine].tolist()
        epcs = batch["epc_hex"].filter(pa.array(mine)).to_pylist()
        for entry in zip(times, events, epcs, strict=True):
            heapq.heappush(self.waiting, entry)

    def pass_until(self, mark_s: int, forget_after_s: int) -> None:
        """Let time pass up to and including a second."""
        if not self.waiting and not self.heard_s:
            return
        while self.waiting and self.waiting[0][0] <= mark_s * 1_000_000:
            _, event_us, epc = heapq.heappop(self.waiting)
            self.heard_s[epc] = max(event_us // 1_000_000, self.heard_s.get(epc, 0))
        self.heard_s = {epc: at_s for epc, at_s in self.heard_s.items() if mark_s - at_s < forget_after_s}

    def silent(self, epcs: Sequence[str], patience_s: Ints, mark_s: int) -> npt.NDArray[np.bool_]:
        """Return which items no mobile reader has heard for as long as means departure where they are."""
        ago_s = np.array([mark_s - self.heard_s[epc] if epc in self.heard_s else 2**60 for epc in epcs], dtype=np.int64)
        return np.asarray(ago_s >= patience_s)
