"""What device health finds: one struct for every kind of finding, and how findings are written."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from analytics.schemas import ALERTS
from analytics.steps.derived import Telling, derived_index, device_event_rows, table_of
from devices.observations import DeviceEventKind
from devices.site.model import Site

Sender = tuple[str, str]
"""Source kind and identifier of a device."""


class Cause(msgspec.Struct, frozen=True, array_like=True):
    """The row that gave rise to a finding."""

    event_us: int
    """Its event time."""
    received_us: int
    """When it was received."""
    edge_id: str
    """Which edge log it is in: a site whose disk was replaced goes on with another."""
    edge_offset: int
    """Its place in the edge log."""
    edge_index: int
    """Its place in the publication."""


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """A derived device event that is written when the watermark reaches `due_us`."""

    due_us: int
    """Event time by which it is certain."""
    sender: Sender
    """Device that it is about."""
    event: DeviceEventKind
    """What was found."""
    telling: Telling
    """The same, as part of its key."""
    cause: Cause
    """Row that it is keyed by."""
    event_us: int
    """When it happened."""
    from_us: int
    """First instant concerned."""
    until_us: int | None
    """Last instant concerned; `None` while it lasts."""
    count: int | None
    """How many are missing."""
    detail: dict[str, Any]
    """The rest."""


def write(findings: Sequence[Finding], site: Site) -> dict[str, pa.Table]:
    """Return findings as rows of device events, and alerts for those that a person should look at.

    Args:
        findings: Findings that are due.
        site: The site.
    """
    ordered = sorted(findings, key=_order)
    tables = {}
    if ordered:
        tables["device_events"] = device_event_rows([_device_event(each, site) for each in ordered])
    alerts = [_silent_alert(each, site) for each in ordered if each.event is DeviceEventKind.SILENT]
    if alerts:
        tables["alerts"] = table_of(alerts, ALERTS)
    return tables


def _order(finding: Finding) -> tuple[int, str, int, int, int]:
    cause = finding.cause
    return finding.due_us, cause.edge_id, cause.edge_offset, cause.edge_index, finding.telling


def _device_event(finding: Finding, site: Site) -> dict[str, Any]:
    return {
        "site": site.id,
        "source_kind": finding.sender[0],
        "source": finding.sender[1],
        "event": finding.event.value,
        "event_time": finding.event_us,
        "received_time": finding.cause.received_us,
        "from_time": finding.from_us,
        "until_time": finding.until_us,
        "count": finding.count,
        "detail": json.dumps(finding.detail) if finding.detail else None,
        "edge_id": finding.cause.edge_id,
        "edge_offset": finding.cause.edge_offset,
        "edge_index": derived_index(finding.cause.edge_index, finding.telling),
    }


def _silent_alert(finding: Finding, site: Site) -> dict[str, Any]:
    source_kind, source = finding.sender
    zones = {antenna.zone for reader in site.readers if reader.id == source for antenna in reader.antennas}
    return {
        "site": site.id,
        "alert": "reader_silent",
        "subject_kind": source_kind,
        "subject": source,
        "zone": zones.pop() if len(zones) == 1 else None,
        "severity": "warning",
        "event_time": finding.event_us,
        "detail": json.dumps(finding.detail),
    }
