"""Reports for tests."""

from deploy.telemetry.report import Check, Report, Sample


def report(
    component: str = "bridge",
    *,
    pid: int = 7,
    at_s: float = 100.0,
    progressed_s: float | None = None,
    checks: list[Check] | None = None,
) -> Report:
    """Return a report of a process whose main loop may take 60 s for a round."""
    return Report(
        component=component,
        pid=pid,
        at_s=at_s,
        progressed_s=at_s if progressed_s is None else progressed_s,
        progress_limit_s=60.0,
        samples=[
            Sample("tagtide_bridge_publications_received_total", 3.0),
            Sample("tagtide_bridge_state", 1.0, ("receiving",)),
        ],
        checks=checks or [],
    )
