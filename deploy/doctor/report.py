"""The doctor's report: for people a line or three a finding, worst first; for scripts JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from deploy.doctor.findings import Finding, Verdict

_ORDER = (Verdict.PROBLEM, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK)
_STYLES = {Verdict.PROBLEM: "bold red", Verdict.WARNING: "yellow", Verdict.UNKNOWN: "cyan", Verdict.OK: "green"}
_WIDTH = max(len(verdict) for verdict in Verdict)


def print_report(findings: Sequence[Finding], console: Console) -> None:
    """Print findings for a person, worst first, and a sum."""
    for finding in worst_first(findings):
        console.print(
            Text.assemble((f"{finding.verdict:<{_WIDTH}}", _STYLES[finding.verdict]), f"  {finding.check}: "),
            Text(finding.found),
            sep="",
            soft_wrap=True,
        )
        if finding.advice:
            console.print(Text.assemble(" " * (_WIDTH + 2), ("do: ", "bold"), finding.advice), soft_wrap=True)
    console.print(Text(summary(findings), style="bold"), soft_wrap=True)


def json_report(findings: Sequence[Finding]) -> str:
    """Return the findings as a JSON document, worst first."""
    listed = [asdict(finding) for finding in worst_first(findings)]
    return json.dumps({"healthy": healthy(findings), "findings": listed}, indent=1) + "\n"


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Sort by verdict, keeping the order of the examination within each."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.verdict))


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing was found that loses data."""
    return not any(finding.verdict is Verdict.PROBLEM for finding in findings)


def summary(findings: Sequence[Finding]) -> str:
    """Return the sum in one line."""
    counts = Counter(finding.verdict for finding in findings)
    parts = [f"{counts[verdict]} {verdict}" for verdict in _ORDER if counts[verdict]]
    verdict = "nothing found that loses data" if healthy(findings) else "not to be trusted with data yet"
    return f"{verdict}: {', '.join(parts)}"
