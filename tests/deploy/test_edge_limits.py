"""Promise: the bounds on a command line are those that the bridge goes by, through `tagtide up` as well."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.commands.edge_limits import DEFAULT_DRAIN_MB_S, arguments_of, drain_bytes_per_s, limits_of
from ingest.forward_report import ForwarderConfig
from ingest.kafka_cluster import KafkaCluster
from ingest.limits import EdgeLogLimits
from tests.deploy.command_line import commands

KNOWN = commands()


def limits_given(command: str, *arguments: str) -> EdgeLogLimits:
    context = KNOWN[command].make_context(command, ["--site", "a.toml", "--data", "D", *arguments])
    options = ("edge_log_gib", "backlog_days", "disk_free_gib", "edge_log_hours")
    return limits_of(*(context.params[option] for option in options))


def test_the_defaults_are_those_of_the_edge_log() -> None:
    config = ForwarderConfig(cluster=KafkaCluster(bootstrap_servers="localhost:9092"))
    assert drain_bytes_per_s(DEFAULT_DRAIN_MB_S) == config.drain_bytes_per_s
    assert drain_bytes_per_s(0) is None
    assert limits_given("up") == limits_given("bridge") == EdgeLogLimits()


@given(
    limits=st.builds(
        EdgeLogLimits,
        stored_bytes_max=st.integers(2**21, 2**50),
        backlog_age_s_max=st.integers(100, 10**9),
        disk_free_bytes_min=st.integers(0, 2**50),
        kept_age_s=st.integers(0, 10**9),
    )
)
def test_a_bridge_that_another_command_starts_gets_the_same_limits(limits: EdgeLogLimits) -> None:
    assert limits_given("bridge", *arguments_of(limits)) == limits
