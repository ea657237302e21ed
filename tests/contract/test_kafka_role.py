"""What the Kafka role writes: roles apart and together, the user's properties last, both lines of logging."""

from __future__ import annotations

from pathlib import Path

from rig.rendered_role import RenderedNode

INVENTORIES = Path(__file__).parent / "inventories"
SEPARATE = INVENTORIES / "kafka-separate-controllers.yml"
PROPERTIES = INVENTORIES / "kafka-properties.yml"
VOTERS = "1@192.0.2.11:9093,2@c2.example:9093,3@192.0.2.13:9093"


def test_controller_of_its_own_has_no_brokers_settings():
    found = RenderedNode(SEPARATE, "controller2").properties()
    assert found["process.roles"] == "controller"
    assert found["listeners"] == "CONTROLLER://:9093"
    assert found["controller.quorum.voters"] == VOTERS
    assert not [name for name in found if name.startswith(("advertised.", "broker.", "offsets.", "transaction."))]
    # Controllers create the topics, so the cluster's defaults must be theirs too.
    assert found["default.replication.factor"] == "3"
    assert found["min.insync.replicas"] == "2"


def test_broker_of_its_own_opens_no_controllers_listener():
    found = RenderedNode(SEPARATE, "broker3").properties()
    assert found["process.roles"] == "broker"
    assert found["node.id"] == "103"
    assert found["listeners"] == "PLAINTEXT://:9092"
    assert found["advertised.listeners"] == "PLAINTEXT://192.0.2.3:9092"
    assert found["broker.rack"] == "west"
    assert found["controller.quorum.voters"] == VOTERS
    assert found["offsets.topic.replication.factor"] == "3"
    assert found["unclean.leader.election.enable"] == "false"
    assert found["auto.create.topics.enable"] == "false"


def test_clients_are_sent_to_brokers_only():
    node = RenderedNode(SEPARATE, "controller1")
    assert node.value("__kafka_bootstrap") == [f"192.0.2.{n}:9092" for n in (1, 2, 3, 4)]
    assert node.value("__kafka_address") == "192.0.2.11:9093"


def test_users_properties_win_and_null_removes():
    node = RenderedNode(PROPERTIES, "node1")
    found = node.properties()
    assert "log.retention.hours" not in found
    assert found["log.retention.ms"] == "3600000"
    assert found["delete.topic.enable"] == "false"
    assert "broker.rack" not in found
    assert found["process.roles"] == "broker,controller"


def test_tasks_and_unit_read_the_final_log_dirs():
    node = RenderedNode(PROPERTIES, "node1")
    assert node.value("__kafka_log_dirs") == ["/data/1", "/data/2", "/data/meta"]
    assert node.value("__kafka_partition_dirs") == ["/data/1", "/data/2"]
    assert RenderedNode(SEPARATE, "controller2").value("__kafka_partition_dirs") == []
    assert "ReadWritePaths=/data/1 /data/2 /data/meta /opt/kafka/tmp\n" in node.file("kafka.service.j2")


def test_unit_stops_cleanly_and_is_confined():
    unit = RenderedNode(SEPARATE, "broker1").file("kafka.service.j2").splitlines()
    for line in ("User=kafka", "SuccessExitStatus=143", "TimeoutStopSec=180", "LimitNOFILE=100000"):
        assert line in unit
    assert "Restart=on-failure" in unit
    (start,) = [line for line in unit if line.startswith("ExecStart=")]
    assert "-Xms2g -Xmx2g" in start


def test_native_code_runs_where_programs_may_run():
    """zstd, snappy and lz4 unpack theirs into java.io.tmpdir, and /tmp (so PrivateTmp too) may be mounted noexec."""
    unit = RenderedNode(PROPERTIES, "node1").file("kafka.service.j2")
    assert unit.index("-Djava.io.tmpdir=/opt/kafka/tmp ") < unit.index("-Dcom.example=1"), "the user's option wins"
    assert "ExecStartPre=/usr/bin/find /opt/kafka/tmp -mindepth 1 -delete\n" in unit
    assert "/opt/kafka/tmp" in RenderedNode(PROPERTIES, "node1").value("__kafka_own_dirs"), "the role creates it"


def test_logging_follows_kafkas_line():
    old, new = RenderedNode(SEPARATE, "broker1"), RenderedNode(PROPERTIES, "node1")
    assert "-Dlog4j.configuration=file:/etc/kafka/log4j.properties" in old.file("kafka.service.j2")
    assert "-Dlog4j2.configurationFile=file:/etc/kafka/log4j2.properties" in new.file("kafka.service.j2")
    assert "  -Dcom.example=1 \\\n" in new.file("kafka.service.j2")
    assert "ConsoleAppender" in old.file("log4j.properties.j2")
    assert "appender.stdout.type=Console" in new.file("log4j2.properties.j2")


def test_kafkas_tools_print_warnings_apart_from_what_they_were_asked_for():
    old, new = RenderedNode(SEPARATE, "broker1"), RenderedNode(PROPERTIES, "node1")
    assert "-Dlog4j.configuration=file:/etc/kafka/tools-log4j.properties" in old.file("kafka-cli.j2")
    assert "-Dlog4j2.configurationFile=file:/etc/kafka/tools-log4j2.properties" in new.file("kafka-cli.j2")
    assert "log4j.appender.stderr.target=System.err" in old.file("tools-log.properties.j2")
    assert "appender.stderr.target=SYSTEM_ERR" in new.file("tools-log.properties.j2")
