"""What the measurements of a broker mean for a bridge: rules, no I/O."""

from deploy.doctor.findings import Finding, ok, problem, unknown, warning
from deploy.doctor.mqtt_probe import Kept, Restarted

_SHIPPED = "deploy/mosquitto/mosquitto.conf has settings that keep it"
_IN_FLIGHT_WANTED = 1000  # what the bridge stores in one commit


def of_round_trip(came_back: bool, topic: str) -> Finding:  # noqa: FBT001 - the one thing measured
    """Judge whether the probe's own topic can be used."""
    if came_back:
        return ok("mqtt.round_trip", "a publication at QoS 1 comes back")
    return problem(
        "mqtt.round_trip",
        f"what is published on {topic} does not come back, so nothing else could be measured",
        "let this user read and write tagtide/doctor/# in the broker's access rules, or give --probe-topic a topic"
        " that it may use",
    )


def of_absence(kept: Kept) -> list[Finding]:
    """Judge what a broker kept at QoS 1 while the bridge was away."""
    findings = []
    if kept.session_present:
        findings.append(ok("mqtt.session", "the session was there again after a disconnect"))
    else:
        findings.append(
            problem(
                "mqtt.session",
                "the broker forgot the session while its client was away",
                "let persistent sessions live for a month: Mosquitto persistent_client_expiration 1m; elsewhere the"
                " session expiry or a limit on sessions",
            )
        )
    findings.append(_of_queue("mqtt.kept_while_away", "while the bridge was away", kept))
    return findings


def of_unacknowledged(kept: Kept) -> list[Finding]:
    """Judge what a broker kept while the bridge was connected and could not acknowledge."""
    findings = [_of_queue("mqtt.kept_unacknowledged", "while the bridge acknowledged nothing", kept)]
    if kept.in_flight < _IN_FLIGHT_WANTED:
        findings.append(
            warning(
                "mqtt.in_flight",
                f"{kept.in_flight:,} publications on their way without PUBACK",
                f"allow {_IN_FLIGHT_WANTED}: Mosquitto max_inflight_messages {_IN_FLIGHT_WANTED}; the bridge stores so"
                " many in one commit, and fewer bound its throughput",
            )
        )
    else:
        findings.append(ok("mqtt.in_flight", f"{kept.in_flight:,} publications on their way without PUBACK"))
    return findings


def of_qos0(kept: Kept) -> Finding:
    """Judge what a broker kept of publications at QoS 0, which promise nothing."""
    if kept.lost <= 0:
        return ok("mqtt.qos0_while_away", f"all {kept.acknowledged:,} publications at QoS 0 were kept")
    return warning(
        "mqtt.qos0_while_away",
        f"of {kept.acknowledged:,} publications at QoS 0 while the bridge was away, {kept.lost:,} were lost",
        "let devices publish at QoS 1; for those that cannot, Mosquitto has queue_qos0_messages true",
    )


def of_size(carried: bool, payload_bytes: int) -> Finding:  # noqa: FBT001 - the one thing measured
    """Judge whether a reader's largest report comes through."""
    if carried:
        return ok("mqtt.size", f"a publication of {payload_bytes:,} bytes comes through")
    return problem(
        "mqtt.size",
        f"a publication of {payload_bytes:,} bytes does not come through",
        "raise the broker's limit: Mosquitto max_packet_size 10485760 and no smaller message_size_limit",
    )


def of_restart(restarted: Restarted, settle_s: float) -> list[Finding]:
    """Judge what outlived the broker's restart."""
    early, late = restarted.settled, restarted.last_moment
    if early.lost > 0 or not early.session_present:
        gone = "" if early.session_present else " and the session is gone"
        return [
            problem(
                "mqtt.restart",
                f"{early.lost:,} of {early.acknowledged:,} publications acknowledged {settle_s:g} s before the restart"
                f" were lost{gone}",
                f"Mosquitto: persistence true, autosave_interval 1, a persistence_location that it may write to"
                f" ({_SHIPPED})",
            )
        ]
    findings = [
        ok("mqtt.restart", f"all {early.acknowledged:,} publications of {settle_s:g} s before the restart were kept")
    ]
    if late.lost > 0:
        findings.append(
            warning(
                "mqtt.restart_last_moment",
                f"{late.lost:,} of {late.acknowledged:,} publications acknowledged in the last moment before it were"
                " lost",
                "the broker saves at intervals: what it acknowledged since the last save is lost with it while the"
                " bridge is away; docs/reliability.md has what that costs and how to close it",
            )
        )
    else:
        findings.append(
            ok("mqtt.restart_last_moment", f"all {late.acknowledged:,} publications of the last moment were kept")
        )
    return findings


def restart_not_measured() -> Finding:
    """Say why nothing is known about a restart."""
    return unknown(
        "mqtt.restart",
        "whether acknowledged publications outlive a crash of the broker was not measured",
        "give the command that kills and restarts it: --restart-broker 'systemctl kill -s KILL mosquitto'",
    )


def _of_queue(check: str, when: str, kept: Kept) -> Finding:
    if kept.lost > 0:
        return problem(
            check,
            f"{kept.received:,} of {kept.acknowledged:,} acknowledged publications were kept {when}; {kept.lost:,}"
            " were dropped",
            "raise the queue: Mosquitto max_queued_messages 1048576, max_queued_bytes 268435456"
            f" ({_SHIPPED}); elsewhere the session queue's limits",
        )
    return ok(check, f"all {kept.acknowledged:,} acknowledged publications were kept {when}")
