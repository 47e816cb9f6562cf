"""Promise: what a stack counts is what happened, and its health says what is so - real processes, real brokers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local_kafka import LocalKafka
from deploy.local_mqtt import LocalBroker
from deploy.telemetry.catalogue import BY_NAME
from tests.brokers import publish
from tests.deploy.scene import SITE_TOML
from tests.integration.processes import Tagtide, eventually, run
from tests.integration.scraping import Endpoint, metric_names
from tests.shared_data import REPOSITORY

pytestmark = pytest.mark.integration

READ = b'{"type": "read", "epc": "30%022X", "antenna": 1, "seq": %d}'
ANY_PORT = "127.0.0.1:0"


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE_TOML)
    return path


@contextmanager
def up(tmp_path: Path, site_file: Path, broker: LocalBroker, *more: str) -> Iterator[tuple[Tagtide, Endpoint]]:
    data = tmp_path / "data"
    arguments: list[str | Path] = ["--site", site_file, "--data", data, "--mqtt", broker.url, "--http", ANY_PORT, *more]
    with Tagtide("up", *arguments, log=tmp_path / "up.log") as stack:
        yield stack, Endpoint(stack)


def test_counters_are_what_was_published_and_readiness_follows_the_broker(
    tmp_path: Path, site_file: Path, mosquitto: LocalBroker
) -> None:
    """One run of a stack from start to SIGTERM, since a start takes seconds."""
    with up(tmp_path, site_file, mosquitto) as (stack, endpoint):
        eventually(lambda: endpoint.status("/readyz") == 200, "it is ready")
        good = [("store-7/r1", READ % (number, number)) for number in range(40)]
        repeats = good[:5]
        bad = [("store-7/r1", b"{"), ("store-7/r1", b"\xff\xfe"), ("nobody/knows", b"x")]
        publish(mosquitto, [*good, *repeats, *bad])
        sent = len(good) + len(repeats) + len(bad)
        eventually(lambda: endpoint.value("tagtide_jobs_rows_landed_total", table="rejects") == len(bad), "all landed")

        # The bridge tells once a second, as the jobs do, but not in the same instant.
        for name in ("received", "stored", "acknowledged"):
            metric = f"tagtide_bridge_publications_{name}_total"
            eventually(lambda metric=metric: (endpoint.value(metric) or 0) >= sent, metric)  # type: ignore[misc]
            assert endpoint.value(metric) == sent
        size = sum(len(payload) for _, payload in [*good, *repeats, *bad])
        assert endpoint.value("tagtide_bridge_received_bytes_total") == size
        assert endpoint.value("tagtide_jobs_rows_decoded_total", stream="reads") == len(good) + len(repeats)
        assert endpoint.value("tagtide_jobs_repeats_dropped_total", stream="reads") == len(repeats)
        assert endpoint.value("tagtide_jobs_rows_landed_total", table="reads") == len(good)
        rejects = {dict(labels)["reason"]: n for labels, n in endpoint.samples()["tagtide_jobs_rejects_total"].items()}
        assert sum(rejects.values()) == len(bad)
        assert rejects["topic_unknown"] == 1
        eventually(lambda: endpoint.value("tagtide_consumer_lag_publications", consumer="jobs") == 0, "nothing waits")
        last_seen = endpoint.value("tagtide_reader_last_seen_timestamp_seconds", site="store-7", reader="r1")
        assert last_seen is not None

        mosquitto.kill()
        eventually(lambda: endpoint.status("/readyz") == 503, "the broker's absence is noticed")
        eventually(
            lambda: "Connection refused" in endpoint.failing().get("bridge/broker_connected", ""), "and explained"
        )
        assert endpoint.failing().keys() == {"bridge/broker_connected"}
        assert endpoint.status("/healthz") == 200, "a bridge without a broker is alive"
        assert endpoint.value("tagtide_broker_connected") == 0
        address = endpoint.url.removeprefix("http://")
        assert "FAIL bridge broker_connected: not connected to" in run("health", "--http", address, expect=1)
        assert "FAIL" not in run("health", "--http", address, "--alive")
        mosquitto.start()
        eventually(lambda: endpoint.status("/readyz") == 200, "it is ready again")
        assert endpoint.value("tagtide_broker_reconnects_total") == 1
        assert (endpoint.value("tagtide_broker_losses_total", kind="unreachable") or 0) >= 1

        _endpoint_is_bounded(endpoint)
        _exports_what_rules_and_dashboards_name(endpoint)
        assert "tagtide-secret" not in stack.told()


def _endpoint_is_bounded(endpoint: Endpoint) -> None:
    assert endpoint.get("/metrics", method="POST")[0] == 405
    assert endpoint.get("/metrics", method="HEAD")[1] == b""
    assert endpoint.status("/../../etc/passwd") == 404
    host, port = endpoint.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))):  # a client that says nothing hinders nobody
        assert endpoint.status("/healthz") == 200


def _exports_what_rules_and_dashboards_name(endpoint: Endpoint) -> None:
    """What only a stack with Kafka exports is compared in that one's test."""
    exported = endpoint.samples().keys()
    assert exported <= BY_NAME.keys()
    assert set(endpoint.samples()["tagtide_telemetry_failures_total"].values()) == {0}
    named = metric_names(REPOSITORY / "deploy" / "monitoring") & BY_NAME.keys()
    assert named - exported == {name for name in named if name.startswith(("tagtide_forwarder_", "tagtide_kafka_"))}


def test_a_stack_with_kafka_reports_its_forwarder_and_jobs(
    tmp_path: Path, site_file: Path, mosquitto: LocalBroker, kafka: LocalKafka
) -> None:
    kafka_options = ("--kafka", kafka.bootstrap_servers, "--log-format", "json")
    with up(tmp_path, site_file, mosquitto, *kafka_options) as (_, endpoint):
        eventually(lambda: endpoint.value("tagtide_bridge_state", state="receiving") == 1, "the bridge receives")
        publish(mosquitto, [*(("store-7/r1", READ % (number, number)) for number in range(20)), ("nobody/knows", b"x")])
        eventually(lambda: (endpoint.value("tagtide_forwarder_rows_sent_total", stream="reads") or 0) >= 20, "sent")
        eventually(lambda: (endpoint.value("tagtide_jobs_rows_landed_total", table="reads") or 0) >= 20, "landed")
        eventually(lambda: endpoint.value("tagtide_jobs_rows_landed_total", table="rejects") == 1, "all of it")
        eventually(lambda: endpoint.status("/readyz") == 200, "it is ready")
        assert endpoint.value("tagtide_forwarder_rows_sent_total", stream="reads") == 20
        assert endpoint.value("tagtide_forwarder_connected") == 1
        exported = endpoint.samples().keys()
        named = metric_names(REPOSITORY / "deploy" / "monitoring") & BY_NAME.keys()
        assert named - exported <= {"tagtide_forwarder_failures_total"}, "there only once something failed"


def test_an_address_that_others_reach_demands_a_token(
    tmp_path: Path, site_file: Path, mosquitto: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("bridge", "--site", site_file, "--data", tmp_path / "data", "--mqtt", mosquitto.url)
    told = run(*arguments, "--http", "0.0.0.0:0", expect=2)
    assert "error (http_token_missing)" in told
    monkeypatch.setenv("TAGTIDE_HTTP_TOKEN", "tagtide-secret-0123456789")
    with Tagtide(*arguments, "--http", "0.0.0.0:0", log=tmp_path / "bridge.log") as bridge:
        endpoint = Endpoint(bridge, token="tagtide-secret-0123456789")
        endpoint.url = endpoint.url.replace("0.0.0.0", "127.0.0.1")
        eventually(lambda: endpoint.status("/readyz") == 200, "the right token is let in")
        for path in ("/metrics", "/healthz", "/readyz", "/nothing"):
            status, body, headers = endpoint.get(path, token="tagtide-secret-012345678X")
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert b"tagtide_" not in body
        eventually(lambda: "http_unauthorized" in bridge.told(), "who tried is logged")
    assert "tagtide-secret" not in bridge.told()
