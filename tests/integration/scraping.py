"""Asking a daemon's HTTP endpoint as a scraper and a probe do."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.processes import Tagtide, eventually

Labels = frozenset[tuple[str, str]]


class Endpoint:
    """The endpoint of a running daemon, found by what it logs."""

    def __init__(self, daemon: Tagtide, *, token: str | None = None) -> None:
        self._token = token
        eventually(lambda: "metrics on http" in daemon.told(), "it says where it serves")
        found = re.search(r"metrics on (http://[^/]+)/metrics", daemon.told())
        assert found is not None
        self.url = found[1]

    def get(self, path: str, *, token: str | None = None, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of a page."""
        request = urllib.request.Request(self.url + path, method=method)
        token = token or self._token
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def status(self, path: str) -> int:
        """Return a page's status."""
        return self.get(path)[0]

    def failing(self, path: str = "/readyz") -> dict[str, str]:
        """Return what every check that fails says, by process and check."""
        _, body, _ = self.get(path)
        checks: list[dict[str, Any]] = json.loads(body)["checks"]
        assert all(check["do"] for check in checks if not check["ok"]), "a check that fails says what to do"
        return {f"{check['component']}/{check['check']}": check["says"] for check in checks if not check["ok"]}

    def samples(self) -> dict[str, dict[Labels, float]]:
        """Scrape, and return values by name of the sample and labels."""
        found: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1].decode()):
            for sample in family.samples:
                found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """Return one value; `None` where it is not there."""
        return self.samples().get(name, {}).get(frozenset(labels.items()))


def metric_names(folder: Path) -> set[str]:
    """Return every metric that files of a folder name."""
    texts = [path.read_text("utf-8") for path in folder.rglob("*") if path.suffix in {".yml", ".yaml", ".json"}]
    return {name for text in texts for name in re.findall(r"\btagtide_[a-z0-9_]+", text)}
