"""The outcome as a table for people and as JSON."""

import dataclasses
import json
from collections.abc import Sequence

from tests.chaos.comparison import Share
from tests.chaos.faults import EXPLAINED, Kind
from tests.chaos.rounds import Outcome

_HEAD = (
    "| fault | times | acknowledged meanwhile | rejects | lost | duplicated | at least once: repeated |\n"
    "|---|---:|---:|---:|---:|---:|---:|"
)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table of one or several runs together."""
    together: dict[Kind | None, Share] = {}
    for outcome in outcomes:
        for kind, share in outcome.comparison.shares.items():
            total = together.setdefault(kind, Share())
            for field in dataclasses.fields(Share):
                setattr(total, field.name, getattr(total, field.name) + getattr(share, field.name))
    lines = [_HEAD]
    lines += [_line(EXPLAINED[kind], together[kind]) for kind in Kind if kind in together]
    if together.get(None, Share()).acknowledged:
        lines.append(_line("before the first fault", together[None]))
    total = Share()
    for share in together.values():
        for field in dataclasses.fields(Share):
            setattr(total, field.name, getattr(total, field.name) + getattr(share, field.name))
    lines.append(_line("**all**", total))
    return "\n".join(lines)


def _line(name: str, share: Share) -> str:
    faults = f"{share.faults:,}" if share.faults else ""
    counts = (share.acknowledged, share.rejected, share.lost, share.duplicated, share.repeated)
    return f"| {name} | {faults} | {' | '.join(f'{count:,}' for count in counts)} |"


def report(outcome: Outcome) -> dict[str, object]:
    """Return a run as a JSON document."""
    comparison = outcome.comparison
    return {
        "length": outcome.plan.length,
        "seed": outcome.plan.seed,
        "faults": [dataclasses.asdict(fault) for fault in outcome.faults],
        "left_out": outcome.left_out,
        "seconds": round(outcome.seconds, 1),
        "acknowledged": comparison.acknowledged,
        "rejected": comparison.rejected,
        "repeated_at_least_once": comparison.repeated,
        "lost": [
            _named(entry.publication.device, entry.publication.number, entry.acknowledged_us)
            for entry in comparison.lost
        ],
        "lost_with_broker": comparison.lost_with_broker,
        "broker_journal": outcome.plan.journaled,
        "duplicated": [
            _named(entry.publication.device, entry.publication.number, entry.acknowledged_us)
            for entry in comparison.duplicated
        ],
        "strange": comparison.strange[:100],
        "by_fault": {
            str(kind): dataclasses.asdict(share) for kind, share in comparison.shares.items() if kind is not None
        },
        "sessions_lost_told": outcome.sessions_lost_told,
        "daemons_ended_by_themselves": outcome.ends,
        "problems": outcome.problems,
    }


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return runs as JSON text."""
    return json.dumps([report(outcome) for outcome in outcomes], indent=1)


def _named(device: str, number: int, acknowledged_us: int | None) -> dict[str, object]:
    return {"device": device, "number": number, "acknowledged_us": acknowledged_us}
