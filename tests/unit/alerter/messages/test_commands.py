"""The commands that a message names: a shell and the filter language read in them what was meant."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.alerter.alerts import Alert, AlertState, Level, Measure
from obsctl.alerter.messages.commands import silence_command, silence_filter, why_command
from obsctl.alerter.notify import alert_filter


def alert(**labels: str) -> Alert:
    return Alert(
        rule="client-errors", kind="status_4xx", severity=Level.WARNING, labels=labels, incident="9f86d081884c",
        state=AlertState.FIRING, started=1, last_true=2, peak=Measure(1.0, 1, 1),
    )  # fmt: skip


def test_an_ordinary_alert_has_a_command_that_a_person_reads_at_once() -> None:
    assert silence_command(alert(client_addr="192.0.2.7")) == (
        "obsctl alert silence add 'rule:client-errors AND client_addr:192.0.2.7' --for 1h --reason 'being worked on'"
    )
    assert silence_command(alert(), span="2h", reason="x") == (
        "obsctl alert silence add rule:client-errors --for 2h --reason x"
    )
    assert why_command(alert()) == "obsctl alert why 9f86d081884c"


HOSTILE = [
    "", " ", "it's", '"', "'; rm -rf /; '", "$(id)", "a\\", "\\", "a b", "*", "?", "AND", "NOT", "TO", "-x", "--for",
    "/a/", "[1 TO 2]", "uri:x", "(", "a\nb", "a\0b", "`id`", "\x1b[31m", "中文", "\u202e", "x" * 5000, "!", "~", "^",
    "now",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("label", ["vhost", "client_addr", "uri", "status", "level"])
def test_hostile_values_stay_values(label: str, value: str) -> None:
    assert_is_about_this_alone(label, value)


@given(label=st.sampled_from(["vhost", "client_addr", "upstream", "level"]), value=st.text(max_size=60))
def test_any_value_stays_a_value(label: str, value: str) -> None:
    assert_is_about_this_alone(label, value)


def assert_is_about_this_alone(label: str, value: str) -> None:
    """The command is one line, a shell makes the same words of it, and the filter takes this alert and no other."""
    one = alert(**{label: value})
    command = silence_command(one)
    assert command.isprintable()
    assert "`" not in command
    words = shlex.split(command)
    assert words[:4] == ["obsctl", "alert", "silence", "add"]
    assert words[5:] == ["--for", "1h", "--reason", "being worked on"]
    fits = alert_filter.reader([label])(words[4])
    assert fits(one)
    other = alert(**{label: value + "x"})
    other.incident = "000000000000"
    assert not fits(other)


def test_the_incident_stands_in_for_what_cannot_be_written() -> None:
    assert silence_filter(alert(vhost="a\nb")) == "incident:9f86d081884c"
    assert silence_filter(alert(vhost="a`b")) == "incident:9f86d081884c"
    # No address, in a field that is one.
    assert silence_filter(alert(client_addr="not.an.address")) in {
        "incident:9f86d081884c",
        "rule:client-errors AND client_addr:not.an.address",
    }
