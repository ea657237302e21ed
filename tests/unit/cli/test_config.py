"""``obsctl config show``: each setting, where it comes from, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from obsctl.cli import main
from obsctl.fleet.model import Database, Fleet, Host, Ssh, Topic
from obsctl.fleet.model import Kafka as Cluster

SECRET = "Sent1nel-Value"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    made = Fleet(
        hosts=(
            Host(
                name="node1", address="198.18.0.11", ssh=Ssh(common_args=f"-o ProxyCommand='sshpass -p {SECRET} ssh x'")
            ),
        ),
        kafka=Cluster(topics=(Topic(name="nginxlog", partitions=6),)),
        database=Database(host="db1", reader_password="vault:mysql_reader_password"),
        alert_rules=({"name": "errors", "threshold": 5},),
        alert_channels=(
            {"name": "hook", "type": "webhook", "url": f"https://hook.example/{SECRET}", "token": "file:/etc/token"},
        ),
    )
    document = {name: value for name, value in msgspec.to_builtins(made).items() if value not in (None, [], ())}
    document.pop("consumer")
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(document))
    return path


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, dict]:
    assert main.run([*argv, "-o", "json", "config", "show", "--sources"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["data"]["settings"]}


def test_each_setting_says_where_it_comes_from(
    fleet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    found = shown(capsys, "-i", str(fleet))
    wanted = {
        "output": ("json", "option --output"),
        "quiet": (False, "default"),
        "inventory": (str(fleet), "option --inventory"),
        "NO_COLOR": ("1", "environment"),
        "kafka.topics.nginxlog.partitions": (6, f"file {fleet}"),
        "hosts.node1.address": ("198.18.0.11", f"file {fleet}"),
        "alert_rules.errors.threshold": (5, f"file {fleet}"),
        "consumer.metrics_port": (9600, "default"),
    }
    assert {name: (found[name]["value"], found[name]["source"]) for name in wanted} == wanted


def test_the_environment_names_the_inventory(
    fleet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OBSCTL_INVENTORY", str(fleet))
    assert shown(capsys)["inventory"]["source"] == "environment OBSCTL_INVENTORY"


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
def test_a_secret_is_its_reference(
    fleet: Path, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main.run(["-i", str(fleet), "config", "show", "--sources", "-o", output]) == 0
    said = capsys.readouterr().out
    assert SECRET not in said
    assert "vault:mysql_reader_password" in said
    assert "file:/etc/token" in said


def test_without_sources_there_are_values_alone(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["-i", str(fleet), "-o", "json", "config", "show"]) == 0
    assert {len(row) for row in json.loads(capsys.readouterr().out)["data"]["settings"]} == {2}
