"""The commands report the truth about the real fleet that is healthy; ``catalogue.py`` has what breaks it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.lab.conftest import Fleet, Robot, wait_for


def test_the_healthy_balancer_gives_no_false_alarm(healthy: Fleet) -> None:
    # How rare a false alarm is measures bench/verify-lb.
    answer = healthy.obsctl("verify", "lb", "-o", "json")
    assert answer.code == 0, answer.out


def test_exactly_one_holder(healthy: Fleet) -> None:
    answer = healthy.obsctl("verify", "vip", "-o", "json")
    assert answer.code == 0, answer.out
    assert healthy.holder() is not None


def test_partitions_show_every_replicas_log_end_offset(healthy: Fleet) -> None:
    partitions = healthy.obsctl("kafka", "partitions", "-o", "json").json["data"]["partitions"]
    ours = [p for p in partitions if p["topic"] == "nginxlog"]
    assert len(ours) == 6
    for partition in ours:
        assert set(partition) >= {"topic", "partition", "leader", "isr", "start", "lso", "hw", "leo"}
        assert sorted(partition["leo"]) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("success", 0), ("310000", 2), ("130101", 75), ("slow", 3), ("reset", 3), ("redirect", 2)],
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


def test_every_command_offers_every_format(healthy: Fleet, tmp_path: Path) -> None:
    """The first one of the fleet itself, the others of the snapshot of that look."""
    for command in (["verify", "vip"], ["kafka", "status"], ["health"], ["status"]):
        kept = str(tmp_path / "-".join(command))
        # A look at which this machine was too busy for an answer in time is not OK, and the next one is.
        looked = partial(healthy.obsctl, *command, "-o", "table", "--save-snapshot", kept)
        wait_for(lambda look=looked: look().said, lambda look=looked: look().code == 0, seconds=20)
        for output in ("wide", "json", "ndjson", "yaml", "nagios"):
            answer = healthy.obsctl(*command, "-o", output, "--from-file", kept)
            assert answer.code == 0, f"{command} -o {output}:\n{answer.out}{answer.err}"
            assert answer.out.strip()
