"""Promise: rules, dashboard and docs/operations.md name what exists, and every alert says what to do about it."""

import json
import re
from pathlib import Path

import pytest

from deploy.telemetry.catalogue import BY_NAME, CATALOGUE, Kind
from ingest.errors import BrokerJournalError
from ingest.mqtt_loss import NEEDS_A_PERSON
from ingest.window import HoldReason
from tests.shared_data import REPOSITORY

MONITORING = REPOSITORY / "deploy" / "monitoring"
RULES = (MONITORING / "rules.yml").read_text("utf-8")
PAGE = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def expressions() -> list[str]:
    """Return every PromQL expression of the rules and of the dashboard."""
    rules = re.findall(r"^ +expr: (?:>-\n)?((?:.|\n)+?)\n +(?:for|labels):", RULES, re.MULTILINE)
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
    return rules + [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression reads: every name that is no function, keyword, label or string."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring) *\([^)]*\)', " ", expression)
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w)(?! *\()", bare)
    return {word for word in words if word not in {"and", "or", "unless", "by", "on", "sum", "max", "min", "increase"}}


def test_the_reader_of_expressions() -> None:
    assert metrics_of('sum by (a) (increase(x_total{b="c"}[5m])) > 3 and on (d) time() - y < 1e9') >= {"x_total", "y"}
    assert "a" not in metrics_of("sum by (a) (x)")


def test_every_expression_reads_metrics_that_are_exported() -> None:
    found = expressions()
    assert len(found) > len(ALERTS) > 20
    for expression in found:
        names = metrics_of(expression) - {"up", "e9"}
        assert names <= BY_NAME.keys(), expression
        assert all(BY_NAME[name].kind is Kind.COUNTER for name in re.findall(r"(?:rate|increase)\((\w+)", expression))


def test_labels_in_expressions_are_the_metrics_own() -> None:
    for expression in expressions():
        for name, labels in re.findall(r"(tagtide_\w+)\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+) *(?:=~|!~|!=|=)", labels)) - {"job", "instance"}
            assert used <= set(BY_NAME[name].labels), expression


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_its_runbook(alert: str) -> None:
    assert f"runbook: docs/operations.md#{alert.lower()}\n" in RULES
    (paragraph,) = re.findall(rf"^### {alert}\n((?:(?!^###).*\n?)+)", PAGE, re.MULTILINE)
    assert re.findall(r"\*\*(\w+)\*\*", paragraph) == ["Means", "Likely", "Do", "Verify"]


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    runbook = PAGE.split("\n## Runbook\n")[1]
    assert re.findall(r"^### (\w+)$", runbook, re.MULTILINE) == ALERTS
    assert len(set(ALERTS)) == len(ALERTS)


def test_the_table_of_metrics_is_the_catalogue() -> None:
    rows = re.findall(r"^\| `(tagtide_\w+)` \| (\w+) \|([^|]*)\| (.*) \|$", PAGE, re.MULTILINE)
    documented = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), meaning) for name, kind, labels, meaning in rows]
    assert documented == [(each.name, each.kind.value, each.labels, each.meaning) for each in CATALOGUE]


def test_names_follow_prometheus() -> None:
    for metric in CATALOGUE:
        assert re.fullmatch(r"tagtide(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert not re.search(r"_(ms|us|minutes|hours|kb|mb|kib|mib|percent)(_|$)", metric.name)


def test_what_logs_warn_of_is_documented() -> None:
    told = {f"bridge_holding_{reason}" for reason in HoldReason} | {f"mqtt_{code}" for code in NEEDS_A_PERSON}
    told.add(BrokerJournalError.code)
    for package in ("ingest", "analytics", "deploy"):
        for path in (REPOSITORY / package).rglob("*.py"):
            told |= codes_of(path)
    documented = set[str]()
    for cell in re.findall(r"^\| (`[^|]+) \| (?:error|warning) \|", PAGE, re.MULTILINE):
        documented |= set(re.findall(r"`(\w+)`", cell))
    assert documented == told


def codes_of(path: Path) -> set[str]:
    """Return the codes of the warnings and errors that a file tells as events."""
    text = path.read_text("utf-8")
    level = r"EventLevel\.(?:WARNING|ERROR)"
    return {
        *re.findall(level + r',\s*"([a-z_]+)"', text),
        *re.findall(level + r', code="([a-z_]+)"', text),
        *re.findall(level + r' if .* else [^,]*,\s*"([a-z_]+)"', text),
        *re.findall(r'"([a-z_]+)" if \w+ else "[a-z_]+", text\)', text),
        *re.findall(r'"[a-z_]+" if \w+ else "([a-z_]+)", text\)', text),
        *re.findall(r'_warn(?:ing)?\("([a-z_]+)"', text),
        *re.findall(r'_tell_once\("([a-z_]+)"(?!.*EventLevel\.INFO)', text),
        *re.findall(r'\.tell\("([a-z_]+)".*level=' + level, text),
    }
