"""The command that a message names next: typed as it stands, it shows the lines that the rule is about."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import TABLES, Log, Rule, search_command
from obsctl.query.parse import parse
from tests.unit.alerter.messages.test_message_texts import OPTIONS


def made(**options: Any) -> Rule:
    (rule,) = KINDS.read([{"name": "a-rule", **options}], "rules")
    return rule


@pytest.mark.parametrize(
    ("rule", "labels", "expected"),
    [
        (
            made(kind="frequency", threshold=5, filter="status:404 OR status:>=500", by=["host"]),
            {"host": "node1"},
            "obsctl search '(status:404 OR status:>=500) AND host:node1' --since 11m",
        ),
        (
            made(kind="ratio", hits="status:[500 TO 599]", share=0.1, filter="method:GET", window_s=601),
            {},
            "obsctl search 'method:GET AND status:[500 TO 599]' --since 21m",
        ),
        (
            made(kind="match", lines="error", filter="level:>=crit"),
            {},
            "obsctl search 'level:>=crit' --since 11m --log error",
        ),
        (
            made(kind="requests_per_client", threshold=5),
            {"client_addr": "2001:db8::7"},
            "obsctl search 'client_addr:\"2001:db8::7\"' --since 11m",
        ),
        (made(kind="status_4xx", threshold=5), {}, "obsctl search 'status:[400 TO 499]' --since 11m"),
        (made(kind="percentile", above=1.5), {}, "obsctl search '*' --since 11m"),
    ],
)
def test_it_is_a_search_for_the_lines(rule: Rule, labels: dict[str, str], expected: str) -> None:
    assert rule.next_step(labels) == expected


def test_what_a_chat_would_change_is_left_out() -> None:
    """Backslashes are markup, and a quote inside of quotes is more than people copy."""
    assert search_command(Log.ACCESS, 60, {"host": "n1"}, r"uri:\/api*") == "obsctl search host:n1 --since 11m"
    assert search_command(Log.ACCESS, 60, {}, r"uri:\/api*") == "obsctl search '*' --since 11m"
    assert search_command(Log.ERROR, 60, {}, '''message:"can't"''') == "obsctl search '*' --since 11m --log error"


@pytest.mark.parametrize("kind", sorted(set(OPTIONS) - {"metric", "status_5xx_share"}))
def test_a_search_of_each_kind_can_be_read(kind: str) -> None:
    rule = made(kind=kind, **OPTIONS[kind])
    words = shlex.split(rule.next_step(dict.fromkeys(rule.fields, "203.0.113.1")))
    assert words[:2] == ["obsctl", "search"]
    assert rule.log is not None
    parse(words[2], TABLES[rule.log])
