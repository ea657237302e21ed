"""The commands report the truth about the real fleet, healthy and broken on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import NODES, Fleet, Robot, wait_for


def test_the_healthy_balancer_never_gives_a_false_alarm(healthy: Fleet) -> None:
    for _ in range(10):
        answer = healthy.obsctl("verify", "lb", "-o", "json")
        assert answer.code == 0, answer.out


def test_a_stopped_back_end_is_named(healthy: Fleet) -> None:
    healthy.ssh("node2", "systemctl", "stop", "obs-backend")
    try:
        answer = healthy.obsctl("verify", "lb", "-o", "json")
    finally:
        healthy.ssh("node2", "systemctl", "start", "obs-backend")
        healthy.wait_balanced()
    assert answer.code in (1, 2)
    assert "backend/node2" in {finding["object"] for finding in answer.json["findings"]}


def test_an_unreachable_vip_is_critical_and_no_traceback(healthy: Fleet) -> None:
    for node in NODES:
        healthy.ssh(node, "systemctl", "stop", "keepalived")
    try:
        balancer, vip = healthy.obsctl("verify", "lb", "-o", "json"), healthy.obsctl("verify", "vip", "-o", "json")
    finally:
        for node in NODES:
            healthy.ssh(node, "systemctl", "start", "keepalived")
    assert (balancer.code, vip.code) == (2, 2)
    assert "Traceback" not in balancer.err + vip.err


def test_exactly_one_holder(healthy: Fleet) -> None:
    answer = healthy.obsctl("verify", "vip", "-o", "json")
    assert answer.code == 0, answer.out
    assert healthy.holder() is not None


def test_kafka_status_sees_a_dead_broker_and_its_return(healthy: Fleet) -> None:
    assert healthy.obsctl("kafka", "status", "-o", "json").code == 0
    assert healthy.obsctl("lab", "kill", "node3").code == 0
    try:
        wait_for(
            "the under-replicated partitions",
            lambda: "KAFKA_UNDER_REPLICATED" in healthy.obsctl("kafka", "status", "-o", "json").codes,
            seconds=60,
        )
        answer = healthy.obsctl("kafka", "status", "-o", "json")
        assert answer.code in (1, 2)
        assert "KAFKA_BROKER_DOWN" in answer.codes
    finally:
        healthy.obsctl("lab", "start", "node3")
    wait_for("the findings are gone", lambda: healthy.obsctl("kafka", "status").code == 0, seconds=90, every=2)


def test_kafka_status_with_a_hung_broker_answers_within_its_deadline(healthy: Fleet) -> None:
    healthy.ssh("node3", "systemctl", "kill", "-s", "STOP", "kafka")
    try:
        answer = healthy.obsctl("kafka", "status", "-o", "json")
    finally:
        healthy.ssh("node3", "systemctl", "kill", "-s", "CONT", "kafka")
    assert answer.code in (1, 2, 3)
    assert answer.json["took_ms"] < 3000
    wait_for("kafka is whole again", lambda: healthy.obsctl("kafka", "status").code == 0, seconds=90, every=2)


def test_partitions_show_every_replicas_log_end_offset(healthy: Fleet) -> None:
    partitions = healthy.obsctl("kafka", "partitions", "-o", "json").json["data"]["partitions"]
    ours = [p for p in partitions if p["topic"] == "nginxlog"]
    assert len(ours) == 6
    for partition in ours:
        assert set(partition) >= {"topic", "partition", "leader", "isr", "start", "lso", "hw", "leo"}
        assert sorted(partition["leo"]) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("success", 0), ("310000", 2), ("130101", 75), ("300005", 2), ("slow", 3), ("reset", 3), ("redirect", 2)],
)
def test_alert_test_knows_what_the_robot_did(fleet: Fleet, robot: Robot, behaviour: str, code: int) -> None:
    robot.behave(behaviour)
    answer = fleet.obsctl("alert", "test", "-o", "json")
    assert answer.code == code, answer.out + answer.err
    if code != 0:
        assert answer.json["findings"][0]["hint"] or answer.json["findings"][0]["summary"]
    token = Path("/var/lib/obsctl-lab/secrets/dingtalk_token").read_text().strip()
    assert token not in answer.out + answer.err


@pytest.mark.parametrize(("behaviour", "code"), [("451", 2), ("550", 2)])
def test_alert_test_knows_what_the_mail_server_did(fleet: Fleet, robot: Robot, behaviour: str, code: int) -> None:
    robot.mail_behaves(behaviour)
    answer = fleet.obsctl("alert", "test", "-o", "json")
    assert answer.code == code, answer.out + answer.err


def test_every_command_offers_every_format(healthy: Fleet) -> None:
    for command in (["verify", "vip"], ["kafka", "status"], ["health"], ["status"]):
        for output in ("table", "wide", "json", "ndjson", "yaml", "nagios"):
            answer = healthy.obsctl(*command, "-o", output)
            assert answer.code == 0, f"{command} -o {output}:\n{answer.out}{answer.err}"
            assert answer.out.strip()


def test_health_names_the_layer_that_is_away(healthy: Fleet) -> None:
    for host, unit, code in (
        ("app1", "obsctl-consumer", "HEALTH_CONSUMER_DOWN"),
        ("app1", "obsctl-alerter", "HEALTH_ALERTER_DOWN"),
        ("node2", "filebeat", "HEALTH_SERVICE_DOWN"),
        ("db1", healthy.database_unit, "HEALTH_DATABASE_DOWN"),
    ):
        healthy.ssh(host, "systemctl", "stop", unit)
        try:
            answer = healthy.obsctl("health", "-o", "json")
        finally:
            healthy.ssh(host, "systemctl", "start", unit)
        assert answer.code == 2, (unit, answer.out)
        assert code in answer.codes, (unit, answer.out)
        healthy.wait_healthy()
