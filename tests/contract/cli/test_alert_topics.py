"""``obsctl alert silence``, ``history``, ``why`` and ``tail``: what they refuse, and what they say then."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.alerter.alerts import Alert, AlertState, Level, Measure
from obsctl.alerter.messages.commands import silence_command, why_command
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
REPLAY = ("rules", "replay")

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
        (ADD, "a silence needs an end, and only one"),
        ((*ADD, "--for", "2h", "--until", "2099-01-01"), "a silence needs an end, and only one"),
        ((*ADD, "--for", "soon"), "not a duration"),
        ((*ADD, "--until", "later"), "is neither a time"),
        # An age is a moment in the past.
        ((*ADD, "--until", "2h"), "--for 2h is two hours from now"),
        (("silence", "add", "rule:rate", "--for", "2h"), "Missing option '--reason'"),
        (("silence", "add", "rule:", "--for", "2h", "--reason", "x"), "filter, column"),
        (("silence", "add", "clint_addr:1.2.3.4", "--for", "2h", "--reason", "x"), "did you mean client_addr?"),
        (("silence", "add", "status:500", "--for", "2h", "--reason", "x"), "the alert has no field status"),
        (("tail", "-o", "json"), "alert tail does not end, and json needs complete data"),
        (("tail", "-o", "yaml"), "use -o ndjson"),
        (("history", "--since", "yesterday"), "is neither a time"),
        (("history", "--limit", "0"), "0 is not in the range"),
        (REPLAY, "no lines to replay were given"),
        ((*REPLAY, "access.log", "--since", "24h"), "LOG and --since exclude each other"),
        ((*REPLAY, "--since", "24h", "--topic-range", "a:0"), "--since and --topic-range exclude each other"),
        ((*REPLAY, "access.log", "--until", "1h"), "--until needs --since"),
        ((*REPLAY, "--since", "1h", "--until", "2h"), "--since must be before --until"),
        ((*REPLAY, "--since", "2999-01-01"), "--since must be before --until"),
        ((*REPLAY, "--since", "yesterday"), "is neither a time"),
        ((*REPLAY, "--since", "24h", "--log-format", "json"), "--log-format and --host apply only to log files"),
        ((*REPLAY, "--topic-range", "a:0:9-8"), "ends before it begins"),
        ((*REPLAY, "--topic-range", "a:0:9"), "is not a range"),
        ((*REPLAY, "--topic-range", "a:-1:0-9"), "is not a range"),
        ((*REPLAY, "-", "--rules", "-"), "standard input can be read only once"),
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


def test_lines_of_kafka_need_an_inventory_that_says_where_they_are(ask: Ask) -> None:
    code, err = ask(*REPLAY, "--since", "24h", hosts=())
    assert (code, "no Kafka broker" in err) == (78, True), err
    code, err = ask(*REPLAY, "--since", "24h")
    assert (code, "does not name the topics of the lines" in err, "playbooks/consumer.yml" in err) == (78, True, True)
    code, err = ask(*REPLAY, "--since", "24h", alert_rules=())
    assert (code, "the inventory has no alert rule" in err) == (78, True), err
    there = msgspec.structs.replace(ALERTER, access_topic="nginxlog", error_topic="nginxlog-error")
    code, err = ask(*REPLAY, "--since", "24h", alerter=there)
    assert (code, "obsctl kafka status shows which brokers answer" in err) == (3, True), err
    wrong = msgspec.structs.replace(there, trusted_proxies=("10.0.0.1/8",))
    code, err = ask(*REPLAY, "--topic-range", "nginxlog", alerter=wrong)
    assert (code, "consumer_trusted_proxies[0]" in err) == (78, True), err


def test_rules_that_cannot_be_read_are_the_inventorys_fault(ask: Ask) -> None:
    code, err = ask(*ADD, "--for", "2h", alert_rules=({**RULE, "threshold": "many"},))
    assert (code, "the inventory's alert rules" in err) == (78, True), err


def test_the_commands_that_messages_name_can_be_typed(ask: Ask) -> None:
    """The program takes them: only Kafka is missing here."""
    labels = {"host": "192.0.2.7", "client_addr": "2001:db8::7", "uri": 'it\'s; $(id) "x"', "vhost": "a\nb"}
    alert = Alert(
        rule="rate", kind="requests_per_client", severity=Level.WARNING, labels=labels,
        incident="9f86d081884c", state=AlertState.FIRING, started=1, last_true=2, peak=Measure(1.0, 1, 1),
    )  # fmt: skip
    for command in (silence_command(alert), why_command(alert)):
        program, group, *words = shlex.split(command)
        assert (program, group) == ("obsctl", "alert")
        code, err = ask(*words)
        assert (code, "obsctl kafka status" in err) == (3, True), err
