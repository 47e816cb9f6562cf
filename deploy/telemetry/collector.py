"""The board as Prometheus reads it: a collector that makes metric families of reports at every scrape."""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from deploy.telemetry.board import Board, ComponentState
from deploy.telemetry.catalogue import CATALOGUE, Kind, Metric
from deploy.telemetry.report import Sample, Told

Requests = Callable[[], Mapping[tuple[str, str], int]]
"""Returns how many HTTP requests were answered, by path and status code."""

_FAMILY: dict[Kind, type[CounterMetricFamily] | type[GaugeMetricFamily]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
}


class BoardCollector(Collector):
    """Gives the samples of every current report, and what the board itself knows."""

    def __init__(self, board: Board, requests: Requests = dict) -> None:
        self._board = board
        self._requests = requests

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield a family for every metric that has samples now."""
        states = self._board.states()
        samples = self._own(states)
        for state in states:
            if state.report is not None and state.is_current:
                samples += state.report.samples
        by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            by_name.setdefault(sample.name, []).append(sample)
        for metric in CATALOGUE:
            if metric.name in by_name:
                yield _family(metric, by_name[metric.name])

    def _own(self, states: Sequence[ComponentState]) -> list[Sample]:
        told = Told()
        told.put("tagtide_build_info", 1, version("tagtide"), platform.python_version())
        for state in states:
            told.put("tagtide_component_up", state.is_current and state.is_alive, state.component)
            told.put("tagtide_component_progress_age_seconds", state.unprogressed_s, state.component)
        for component, count in self._board.restarts().items():
            told.put("tagtide_component_restarts_total", count, component)
        for (path, code), count in self._requests().items():
            told.put("tagtide_http_requests_total", count, path, code)
        return told.samples


def _family(metric: Metric, samples: Sequence[Sample]) -> CounterMetricFamily | GaugeMetricFamily:
    family = _FAMILY[metric.kind](metric.name, metric.meaning, labels=metric.labels)
    for sample in samples:
        if len(sample.labels) == len(metric.labels):
            family.add_metric(list(sample.labels), sample.value)
    return family


def exposition(board: Board, accept: str, requests: Requests = dict) -> tuple[str, bytes]:
    """Return content type and text of a scrape.

    Args:
        board: What to expose.
        accept: The scraper's `Accept` header, by which the format is chosen.
        requests: Counts of the endpoint itself.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(board, requests))
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)
