"""``obsctl alert silence``, ``history``, ``why`` and ``tail``: what they refuse, and what they say then."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.alerter.alerts import Alert, AlertState, Level, Measure
from obsctl.alerter.notify.commands import silence_command, why_command
from obsctl.cli.main import run
from obsctl.fleet.model import Alerter, Fleet, Host, KafkaNode

RULE = {"name": "rate", "kind": "requests_per_client", "threshold": 100}
NODE = Host(name="node1", address="127.0.0.1", groups=("kafka",), kafka=KafkaNode(node_id=1, broker_port=1))
ALERTER = Alerter(state_topic="state", silences_topic="silences", history_topic="history")
FLEET = Fleet(
    hosts=(NODE,),
    alerter=ALERTER,
    alert_rules=(RULE,),
)
ADD = ("silence", "add", "rule:rate", "--reason", "test")

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def command(*words: str, fleet: Fleet = FLEET, **changes: Any) -> tuple[int, str]:
        path = tmp_path / "fleet.json"
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(fleet, **changes)))
        code = run(["-i", str(path), "alert", *words])
        out, err = capsys.readouterr()
        assert out == ""
        return int(code), err

    return command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (ADD, "a silence needs one end"),
        ((*ADD, "--for", "2h", "--until", "2099-01-01"), "a silence needs one end"),
        ((*ADD, "--for", "soon"), "no span of time"),
        ((*ADD, "--until", "later"), "is no time"),
        (("silence", "add", "rule:rate", "--for", "2h"), "Missing option '--reason'"),
        (("silence", "add", "rule:", "--for", "2h", "--reason", "x"), "filter, column"),
        (("silence", "add", "clint_addr:1.2.3.4", "--for", "2h", "--reason", "x"), "did you mean client_addr?"),
        (("silence", "add", "status:500", "--for", "2h", "--reason", "x"), "the alert has no field status"),
        (("tail", "-o", "json"), "alert tail has no end, and json needs one"),
        (("tail", "-o", "nagios"), "use -o ndjson"),
        (("history", "--since", "yesterday"), "is no time"),
        (("history", "--limit", "0"), "0 is not in the range"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_so(ask: Ask, words: tuple[str, ...], said: str) -> None:
    code, err = ask(*words)
    assert (code, said in err) == (64, True), err


@pytest.mark.parametrize("words", [(*ADD, "--for", "2h"), ("silence", "list"), ("silence", "rm", "a"), ("history",),
                                   ("list",), ("why", "a"), ("tail",)])  # fmt: skip
def test_an_inventory_that_says_too_little_says_what_to_do(ask: Ask, words: tuple[str, ...]) -> None:
    code, err = ask(*words, hosts=())
    assert (code, "no Kafka broker" in err) == (78, True), err
    code, err = ask(*words, alerter=Alerter())
    assert (code, "an earlier release wrote it" in err, "playbooks/consumer.yml" in err) == (78, True, True), err


def test_rules_that_cannot_be_read_are_the_inventorys_fault(ask: Ask) -> None:
    code, err = ask(*ADD, "--for", "2h", alert_rules=({**RULE, "threshold": "many"},))
    assert (code, "the inventory's alert rules" in err) == (78, True), err


@pytest.mark.parametrize("value", ["192.0.2.7", "2001:db8::7", 'it\'s; $(id) "x"', "a\nb"])
def test_the_commands_that_messages_name_can_be_typed(ask: Ask, value: str) -> None:
    """The program takes them: only Kafka is missing here."""
    alert = Alert(
        rule="rate", kind="requests_per_client", severity=Level.WARNING, labels={"client_addr": value},
        incident="9f86d081884c", state=AlertState.FIRING, started=1, last_true=2, peak=Measure(1.0, 1, 1),
    )  # fmt: skip
    for command in (silence_command(alert), why_command(alert)):
        program, group, *words = shlex.split(command)
        assert (program, group) == ("obsctl", "alert")
        code, err = ask(*words)
        assert (code, "obsctl kafka status" in err) == (3, True), err
