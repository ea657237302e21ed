"""The commands in a message are typed as they stand, whatever a client has put into the alert."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.alerter.alerts import Alert, AlertState, Level, Measure
from obsctl.alerter.messages.commands import exact, silence_command, silence_group_command, why_command
from obsctl.alerter.notify import alert_filter

_REASON = "it's known"


def alert(rule: str = "r", incident: str = "9f86d081884c", **labels: str) -> Alert:
    return Alert(
        rule=rule,
        kind="frequency",
        severity=Level.WARNING,
        labels=labels,
        incident=incident,
        state=AlertState.FIRING,
        started=1,
        last_true=1,
        peak=Measure(1.0, 1, 1),
    )


def test_the_commands_of_an_ordinary_alert() -> None:
    one = alert("client-request-rate", client_addr="203.0.113.7")
    assert why_command(one) == "obsctl alert why 9f86d081884c"
    assert silence_command(one, reason="being worked on") == (
        "obsctl alert silence add 'rule:client-request-rate AND client_addr:203.0.113.7' --for 1h "
        "--reason 'being worked on'"
    )
    assert silence_group_command({"rule": "a b"}, reason="x") == (
        "obsctl alert silence add 'rule:\"a b\"' --for 1h --reason x"
    )


VALUES = [
    "203.0.113.7",
    "2001:db8::1",
    "/a b/?q=1&r=2;rm -rf ~",
    "AND",
    "*",
    "a:b",
    "(x) OR rule:y",
    "/搜索/日志",
    "it's",
    'say "hi"',
    "back\\slash",
    "`id`",
    "$(id)",
    "line\nbreak",
    "\u202e",
    "-x",
    "",
    "~",
    "x" * 500,
    "NOT rule:r",
    "[1 TO 2]",
    "now-1h",
]


@pytest.mark.parametrize("field", ["uri", "client_addr", "vhost", "status"])
@pytest.mark.parametrize("value", VALUES)
def test_a_silence_is_about_the_alert_and_about_no_other(field: str, value: str) -> None:
    assert_right(alert(**{field: value}), alert(incident="000000000000", **{field: value + "z"}))


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_value_breaks_out_of_the_command(rule: str, value: str) -> None:
    assert_right(alert(rule, uri=value), alert(rule, incident="000000000000", uri=value + "z"))


def assert_right(one: Alert, other: Alert) -> None:
    text = silence_command(one, reason=_REASON)
    words = shlex.split(text)
    assert words[:4] == ["obsctl", "alert", "silence", "add"]
    assert words[5:] == ["--for", "1h", "--reason", _REASON]
    assert not set(words[4]) & set("`'\\\n$*<>[]|")
    takes = alert_filter.reader(one.labels)(words[4])
    assert takes(one)
    assert not takes(other)


@pytest.mark.parametrize("value", ["it's", "`id`", "a\nb", "", "x" * 500])
def test_a_group_that_no_filter_says_is_silenced_by_nobody(value: str) -> None:
    assert silence_group_command({"rule": "r", "uri": value}, reason="x") == ""
    assert silence_group_command({}, reason="x") == ""


def test_a_statement_compares_with_what_is_shown_as_it_is_alone() -> None:
    assert exact({"uri": "/a'; DROP TABLE x", "client_addr": "203.0.113.7"}) == {"client_addr": "203.0.113.7"}
