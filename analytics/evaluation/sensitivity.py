"""The location step at several settings of `move_sensitivity`, over the same arrivals: what turning it would do."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from analytics.evaluation.waits import all_waited, with_wait
from analytics.step import Arrived
from analytics.steps.location import LocationStep
from devices.site.model import Site

SENSITIVITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""What is tried."""


class Turned:
    """Location steps that differ in their sensitivity to moves only."""

    def __init__(self, site: Site, sensitivities: Iterable[float]) -> None:
        self._step = LocationStep()
        self._sites = {
            value: replace(site, location=replace(site.location, move_sensitivity=value)) for value in sensitivities
        }
        self._states = {value: self._step.initial(turned) for value, turned in self._sites.items()}
        self._rows: dict[float, list[pa.Table]] = {value: [] for value in self._sites}

    def take(self, arrived: Arrived) -> None:
        """Take one chunk in."""
        for value, site in self._sites.items():
            self._states[value], outputs = self._step.step(self._states[value], arrived, site)
            if "locations" in outputs:
                self._rows[value].append(with_wait(outputs["locations"], arrived))

    def locations(self) -> Mapping[float, pa.Table]:
        """Return the rows of `locations` by sensitivity, in the order in which they came out."""
        return {value: all_waited(rows) for value, rows in self._rows.items()}
