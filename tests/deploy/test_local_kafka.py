"""Starting and stopping a local Kafka, and what it says where that cannot work."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # public, untyped

from deploy import kafka_libs, local_kafka
from deploy.kafka_libs import LocalKafkaError, fetch_libs, java_command
from deploy.local_kafka import LocalKafka


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with an empty PATH and an empty cache; returns the PATH's one directory."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("TAGTIDE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java_command.cache_clear()
    yield programs
    java_command.cache_clear()


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.usefixtures("bare_machine")
def test_without_java_it_says_what_to_install() -> None:
    with pytest.raises(LocalKafkaError) as caught:
        java_command()
    assert caught.value.code == "java_missing"
    assert "apt-get install" in str(caught.value.hint)


def test_an_old_java_is_refused(bare_machine: Path) -> None:
    _program(bare_machine / "java", "echo 'openjdk version \"11.0.2\"' >&2")
    with pytest.raises(LocalKafkaError, match="release 11, Kafka 4 needs 17") as caught:
        java_command()
    assert caught.value.code == "java_too_old"


@pytest.mark.usefixtures("bare_machine")
def test_without_maven_it_says_what_to_install() -> None:
    with pytest.raises(LocalKafkaError, match="no Maven") as caught:
        fetch_libs()
    assert caught.value.code == "maven_missing"


def test_a_failed_fetch_leaves_nothing_behind_and_shows_mavens_reason(bare_machine: Path) -> None:
    _program(bare_machine / "mvn", "echo '[ERROR] Unknown host repo.maven.apache.org'; exit 1")
    with pytest.raises(LocalKafkaError, match="Unknown host") as caught:
        fetch_libs()
    assert caught.value.code == "kafka_fetch_failed"
    assert list((kafka_libs.cache_directory() / "kafka").iterdir()) == []


def test_a_fetch_is_done_once(bare_machine: Path) -> None:
    fake = 'for a; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done; /bin/mkdir -p "$d"; : > "$d/a.jar"'
    _program(bare_machine / "mvn", fake)
    libs = fetch_libs()
    (bare_machine / "mvn").unlink()
    assert fetch_libs() == libs
    assert libs.class_path == str(libs.directory / "libs" / "a.jar")


def test_the_command_line_reports_errors_without_a_stack_trace(
    bare_machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert local_kafka.main(["start", "--dir", str(bare_machine / "broker")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error (java_missing): there is no Java on this machine\n  hint: ")


def test_ports_that_were_taken_meanwhile_are_replaced_a_few_times(bare_machine: Path, tmp_path: Path) -> None:
    _program(
        bare_machine / "java",
        """case "$*" in
          *-version*) echo 'version "17.0.1"' >&2;;
          *StorageTool*) echo "$*" >> "$TAGTIDE_CACHE/formats";;
          *) echo 'java.net.BindException: Address already in use'; exit 1;;
        esac""",
    )
    libs = kafka_libs.kafka_libs()
    (libs.directory / "libs").mkdir(parents=True)
    with pytest.raises(LocalKafkaError, match="Address already in use") as caught:
        LocalKafka(tmp_path / "broker", libs=libs).start()
    assert caught.value.code == "kafka_start_failed"
    assert len((kafka_libs.cache_directory() / "formats").read_text().splitlines()) == 3


def test_a_foreign_process_is_not_taken_for_the_broker(tmp_path: Path) -> None:
    broker = LocalKafka(tmp_path)
    (tmp_path / "kafka.pid").write_text(str(os.getpid()))
    assert not broker.is_running()
    broker.stop()
    assert not (tmp_path / "kafka.pid").exists()


@pytest.mark.integration
def test_a_broker_that_cannot_start_shows_the_end_of_its_log(kafka: LocalKafka, tmp_path: Path) -> None:
    # Its ports are those of a broker that runs, and its data is not formatted.
    settings = (kafka.directory / "server.properties").read_text()
    (tmp_path / "server.properties").write_text(settings.replace(str(kafka.directory), str(tmp_path)))
    with pytest.raises(LocalKafkaError, match=r"No readable meta\.properties") as caught:
        LocalKafka(tmp_path).start()
    assert caught.value.code == "kafka_start_failed"
    assert not (tmp_path / "kafka.pid").exists()


@pytest.mark.integration
def test_what_was_acknowledged_is_still_there_after_a_restart(kafka: LocalKafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic("restart", 1)])["restart"].result()
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "acks": "all"})
    producer.produce("restart", b"kept", partition=0)
    assert producer.flush(60) == 0
    address = kafka.bootstrap_servers

    kafka.stop()
    assert not kafka.is_running()
    kafka.start()

    assert kafka.bootstrap_servers == address
    consumer = Consumer({"bootstrap.servers": address, "group.id": "restart"})
    consumer.assign([TopicPartition("restart", 0, 0)])
    record = consumer.poll(60)
    consumer.close()
    assert record is not None
    assert record.value() == b"kept"
