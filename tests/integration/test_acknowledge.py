"""A loss from the retention to the acknowledgement: consumer, database, the commands and the topic that they share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.fleet.model import Consumer, Database, Fleet, Host, Kafka, KafkaNode
from rig.consumer import PASSWORD, Pipeline
from rig.database import grant
from rig.waiting import wait_for
from tests.integration.test_positions import values

OBSCTL = str(Path(sys.executable).with_name("obsctl"))


@pytest.fixture
def inventory(pipeline: Pipeline, tmp_path: Path) -> Path:
    """A fleet.json of the pipeline, without hosts that would be asked over ssh."""
    topic = f"{pipeline.name}-acknowledgements"
    pipeline.kafka.create_topic(topic, 1, **{"cleanup.policy": "compact"})
    with pipeline.mariadb.root() as cursor:
        grant(cursor, pipeline.database, "obs_reader", PASSWORD)
    fleet = Fleet(
        hosts=(
            Host(
                name="node1",
                address="127.0.0.1",
                groups=("kafka",),
                kafka=KafkaNode(node_id=1, broker_port=pipeline.kafka.port),
            ),
        ),
        kafka=Kafka(acknowledgements_topic=topic),
        consumer=Consumer(group=pipeline.name),
        database=Database(
            host="127.0.0.1",
            port=pipeline.mariadb.port,
            name=pipeline.database,
            reader_user="obs_reader",
            reader_password=f"file:{tmp_path / 'password'}",
        ),
    )
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(fleet))
    return path


def obsctl(inventory: Path, *argv: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, report and standard error."""
    command = [OBSCTL, "-i", str(inventory), *argv, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def losses(inventory: Path, *command: str) -> list[tuple[str, int]]:
    """Return severity and number of the losses that a command finds."""
    _, report, _ = obsctl(inventory, *command)
    return [
        (finding["severity"], finding["evidence"]["lost"])
        for finding in report["findings"]
        if finding["code"] == "CONSUMER_RECORDS_LOST"
    ]


def test_a_loss_is_a_warning_until_a_person_takes_note_and_again_when_it_grows(
    pipeline: Pipeline, inventory: Path
) -> None:
    first = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert losses(inventory, "consumer", "status") == []
    assert first.terminate() == 0
    pipeline.send(values(300, first=300))
    pipeline.kafka.delete_records(pipeline.access, {0: 150})
    second = pipeline.start()
    pipeline.wait_kept(550)
    assert second.terminate() == 0

    # No process is left that remembers it.
    subject = ("CONSUMER_RECORDS_LOST", f"topic/{pipeline.access}")
    assert losses(inventory, "consumer", "status") == [("warning", 50)]
    assert losses(inventory, "kafka", "lag", "--window", "6s") == [("warning", 50)]
    code, _, said = obsctl(inventory, "ack", "add", subject[0], "topic/other", "--reason", "x")
    assert (code, subject[1] in said) == (64, True), said
    code, _, said = obsctl(inventory, "ack", "add", "KAFKA_BROKER_DOWN", "broker/1", "--reason", "x")
    assert (code, "cannot be acknowledged" in said) == (64, True)

    code, report, _ = obsctl(inventory, "ack", "add", *subject, "--reason", "db1 was down", "--author", "ann")
    assert code == 0
    assert losses(inventory, "consumer", "status") == [("info", 50)]
    _, listed, _ = obsctl(inventory, "ack", "list")
    assert listed["data"]["acknowledgements"] == report["data"]["acknowledgements"]
    assert listed["data"]["acknowledgements"][0]["number"] == 50

    pipeline.send(values(30, first=600))
    pipeline.kafka.delete_records(pipeline.access, {0: 205})
    third = pipeline.start()
    pipeline.wait_kept(575)
    assert third.terminate() == 0
    assert losses(inventory, "consumer", "status") == [("warning", 55)]

    assert obsctl(inventory, "ack", "add", *subject, "--reason", "again")[0] == 0
    assert losses(inventory, "consumer", "status") == [("info", 55)]
    assert obsctl(inventory, "ack", "rm", *subject)[0] == 0
    assert losses(inventory, "consumer", "status") == [("warning", 55)]
    code, _, said = obsctl(inventory, "ack", "rm", *subject)
    assert (code, "is not acknowledged" in said) == (64, True)


def test_without_the_database_the_positions_come_from_kafka(
    pipeline: Pipeline, inventory: Path, tmp_path: Path
) -> None:
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert consumer.terminate() == 0
    pipeline.send(values(30, first=300))
    fleet = msgspec.json.decode(inventory.read_bytes(), type=Fleet)
    away = msgspec.structs.replace(fleet, database=msgspec.structs.replace(fleet.database, port=1))
    path = tmp_path / "away.json"
    path.write_bytes(msgspec.json.encode(away))
    code, report, _ = obsctl(path, "consumer", "status")
    assert code == 2
    rows = [row for row in report["data"]["last_positions"] if row["topic"] == pipeline.access]
    assert [(row["name"].rpartition("/")[2], row["position"], row["lag"], row["known_by"]) for row in rows] == [
        (str(number), 100, 10, "group") for number in range(3)
    ]
    assert report["data"]["summary"]["lag"] == 30


def test_the_lag_is_that_of_the_database(pipeline: Pipeline, inventory: Path) -> None:
    """What is committed to Kafka is for display, and may be older, or gone."""
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert consumer.terminate() == 0
    pipeline.send(values(30, first=300))

    def stopped() -> dict[str, Any] | None:
        # A group has stopped when it is silent for longer than usual, which on a busy machine may be long.
        _, report, _ = obsctl(inventory, "kafka", "lag", "--group", pipeline.name, "--window", "6s")
        (row,) = report["data"]["groups"]
        assert (row["positions_in"], row["lag"]) == ("database", 30)
        return report if row["verdict"] == "stop" else None

    report = wait_for("a group that has stopped", stopped, seconds=120)
    (row,) = report["data"]["groups"]
    assert row["behind_s"] is not None
    (finding,) = [finding for finding in report["findings"] if finding["code"] == "KAFKA_LAG_STOP"]
    assert "30 records to read" in finding["summary"]
