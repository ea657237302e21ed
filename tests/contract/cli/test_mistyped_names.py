"""Wherever a command takes a name of which there is a list, a mistyped one is refused with the one that was meant."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.render import snapshots

from obsctl.checks.check import Check
from obsctl.checks.kafka.check import loss_check, partitions_check
from obsctl.checks.lag.check import lag_check
from obsctl.cli import checking, main
from obsctl.cli.alert import topics
from obsctl.core.errors import RefusedError
from obsctl.fleet.model import Alerter, Fleet, Host, Kafka, KafkaNode, Topic, Vip

RULE = {"name": "client-errors", "kind": "match", "filter": "status:404"}
FLEET = Fleet(
    vip=Vip(address="198.18.0.100"),
    hosts=(
        Host(name="node1", address="198.18.0.11", groups=("lb", "kafka"), kafka=KafkaNode(node_id=1)),
        Host(name="app1", address="198.18.0.41", groups=("consumer",)),
    ),
    kafka=Kafka(topics=(Topic(name="nginxlog", partitions=3),)),
    alerter=Alerter(state_topic="state", silences_topic="silences", history_topic="history"),
    alert_rules=(RULE,),
    alert_channels=({"name": "on-call", "type": "webhook", "url": "env:HOOK"},),
)

LAG = msgspec.structs.replace(snapshots.LAG_WELL, listed=("obsctl-consumer",))


@pytest.fixture(autouse=True)
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet.json").write_bytes(msgspec.json.encode(FLEET))
    monkeypatch.setenv("OBSCTL_INVENTORY", str(tmp_path / "fleet.json"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("explain KAFKA_LGA", "KAFKA_LAG"),
        ("health --select KAFKA_LGA", "KAFKA_LAG"),
        ("mute add KAFKA_LGA --for 1h --reason x", "KAFKA_LAG"),
        ("ack add CONSUMER_RECORDS_LOTS topic/nginxlog --reason x", "CONSUMER_RECORDS_LOST"),
        ("ack rm CONSUMER_RECORDS_LOTS topic/nginxlog", "CONSUMER_RECORDS_LOST"),
        ("alert test --channel oncall", "on-call"),
        ("alert test --rule client-erors", "client-errors"),
        ("verify logs --host nodel1", "node1"),
        ("consumer reset --host ap1 --topic nginxlog --partition 0 --to earliest --dry-run", "app1"),
        ("consumer replay --host ap1 --reason parse --since 1h", "app1"),
    ],
)
def test_names_of_inventory_and_program(words: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words.split()) in (64, 78)
    assert f"did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "check", "seen", "meant"),
    [
        ("kafka partitions --topic ngixlog", partitions_check(), snapshots.WHOLE_CLUSTER, "nginxlog"),
        ("kafka whatif --lose ndoe2", loss_check(), snapshots.WHOLE_CLUSTER, "node2"),
        (
            "kafka lag --group obsctl-consumr",
            lag_check(),
            msgspec.structs.replace(snapshots.LAG_WELL, listed=("obsctl-consumer",)),
            "obsctl-consumer",
        ),
    ],
)
def test_names_that_the_cluster_knows(
    words: str, *, check: Check[Any], seen: Any, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "seen.json"
    file.write_bytes(checking.saved(check, snapshots.FLEET, seen, datetime(2026, 1, 1, tzinfo=UTC)))
    assert main.run([*words.split(), "--from-file", str(file)]) == 64
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_a_mute_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["mute", "add", "KAFKA_LAG=group/a", "--for", "1h", "--reason", "x"]) == 0
    assert main.run(["mute", "rm", "KAFKA_LAG=group/b"]) == 64
    assert "did you mean KAFKA_LAG=group/a?" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["alert list", "alert history", "alert tail"])
def test_a_rule_of_the_past_is_no_error(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is recorded may be of a rule that the inventory had once, so the rest of the command goes on."""

    def asking(_fleet: Fleet) -> None:
        raise RefusedError("Kafka would be asked now")

    monkeypatch.setattr(topics, "asking", asking)
    assert main.run([*words.split(), "--rule", "client-erors"]) == 77
    assert "the inventory has no rule client-erors: did you mean client-errors?" in capsys.readouterr().err
