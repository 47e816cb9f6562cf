"""Is it alive, is it ready: the board judged, as JSON for people and for what watches over processes."""

from collections.abc import Sequence

import msgspec

from deploy.telemetry.board import ComponentState
from deploy.telemetry.report import Check


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check, and whose."""

    component: str
    """Which process."""
    check: str
    """Which check."""
    ok: bool
    """Whether it is as it should be."""
    says: str
    """What is the case."""
    do: str = ""
    """What to do about it."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of `/healthz` or `/readyz`."""

    ok: bool
    """Whether every check is fine."""
    checks: list[Finding]
    """All of them, those that fail first."""


def alive(states: Sequence[ComponentState]) -> Health:
    """Judge whether the main loop of every process goes round within its bound.

    Connections do not count: a store whose broker is away is alive, and starting it again would not bring that back.
    """
    return _health([_progress(state) for state in states])


def ready(states: Sequence[ComponentState]) -> Health:
    """Judge whether every process is there and has what it depends on."""
    findings: list[Finding] = []
    for state in states:
        if state.report is None or not state.is_current:
            findings.append(_absent(state))
            continue
        findings.append(_progress(state))
        findings += [_of(state.component, check) for check in state.report.checks]
    return _health(findings)


def _health(findings: list[Finding]) -> Health:
    return Health(ok=all(finding.ok for finding in findings), checks=sorted(findings, key=lambda finding: finding.ok))


def _progress(state: ComponentState) -> Finding:
    return Finding(
        component=state.component,
        check="progress",
        ok=state.is_alive,
        says=f"its main loop went round {state.unprogressed_s:.1f} s ago; {state.progress_limit_s:g} s are allowed"
        if state.report is not None
        else f"it has not reported yet, for {state.unprogressed_s:.1f} s; {state.progress_limit_s:g} s are allowed",
        do="" if state.is_alive else "look into its log; start it again if it does not go on",
    )


def _absent(state: ComponentState) -> Finding:
    since = "yet" if state.report is None else "any more"
    return Finding(
        component=state.component,
        check="running",
        ok=False,
        says=f"it does not report {since}",
        do="it starts within seconds, after an installation within a minute; otherwise its log says why it ended",
    )


def _of(component: str, check: Check) -> Finding:
    return Finding(component=component, check=check.name, ok=check.ok, says=check.says, do=check.do)
