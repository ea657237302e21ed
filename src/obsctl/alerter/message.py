"""What people read: the texts of the first, the resolved, the test and the digest message."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from obsctl.alerter.alerts import AlertState
from obsctl.alerter.engine import Transition

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]|[`'\\*\[\]<>|]")
_LONGEST_KEY = 80
#: What a message calls the key of a rule that looks at the whole fleet.
FLEET = "fleet"


class Kind(enum.StrEnum):
    """Why a message is sent."""

    FIRING = "firing"
    RESOLVED = "resolved"
    TEST = "test"
    DIGEST = "digest"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, the same for every channel.

    Attributes:
        id: the incident's id; both its messages carry it.
        kind: why it is sent.
        title: one line, plain text.
        lines: the body, plain text, a line each.
        facts: the same as data, for machines (the webhook channel).
    """

    id: str
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    facts: dict[str, Any] = {}


def about(transition: Transition, database: str) -> Message:
    """Return the message for a condition that started or ended.

    Args:
        transition: the start or the end.
        database: name of the database that holds the lines.
    """
    alert, rule = transition.alert, transition.rule
    labels = {field: _printable(value) for field, value in alert.labels.items()}
    key = " ".join(labels.values()) or FLEET
    kind = Kind.FIRING if alert.state is AlertState.FIRING else Kind.RESOLVED
    facts: dict[str, Any] = {
        "rule": alert.rule,
        "labels": alert.labels,
        "started_at": utc(alert.started),
        "lines": alert.peak.total,
        "hits": alert.peak.hits,
    }
    lines = []
    if rule is not None:
        facts |= {"severity": rule.severity.value, "window_s": rule.window_s}
        measured = rule.measured(alert.peak)
        lines.append(f"{measured} in {rule.window_s} s" if kind is Kind.FIRING else f"peak: {measured}")
        lines.append(f"threshold: {rule.limit}")
    lines.append(f"started: {utc(alert.started)} (time of the log lines)")
    if kind is Kind.RESOLVED:
        facts["ended_at"] = utc(alert.last_true)
        lines.append(f"ended: {utc(alert.last_true)}, after {_span(alert.last_true - alert.started)}")
    if transition.top:
        facts["top"] = {field: dict(values) for field, values in transition.top.items()}
        for field, values in transition.top.items():
            lines.append(f"top {field}: " + ", ".join(f"{_printable(value)} ({n})" for value, n in values))
    if rule is None:
        lines.append("the rule is no longer configured")
    elif kind is Kind.FIRING:
        lines += [f"severity: {rule.severity.value}", "next: " + rule.next_step(labels, database)]
    lines.append(f"incident: {alert.incident}")
    return Message(
        id=alert.incident, kind=kind, title=f"[{kind.upper()}] {alert.rule} {key}", lines=tuple(lines), facts=facts
    )


def channel_test(now: float, origin: str) -> Message:
    """Return the message of ``obsctl alert test``, marked so that it is not taken for an alert."""
    return Message(
        id=f"test-{int(now * 1000):x}",
        kind=Kind.TEST,
        title="[TEST] obsctl alert test",
        lines=(
            "This is a test. Nothing is wrong, nothing needs to be done.",
            f"sent: {utc(now)} from {_printable(origin)}",
        ),
        facts={"test": True, "sent_at": utc(now), "origin": origin},
    )


def digest(messages: Sequence[Message], now: float) -> Message:
    """Return one message in place of several that the channel's rate does not let through one by one."""
    firing = sum(m.kind is Kind.FIRING for m in messages)
    resolved = sum(m.kind is Kind.RESOLVED for m in messages)
    return Message(
        id=f"digest-{int(now * 1000):x}",
        kind=Kind.DIGEST,
        title=f"[DIGEST] {len(messages)} alert messages: {firing} firing, {resolved} resolved",
        lines=("The channel's rate limit was reached; these messages come as one:", *(m.title for m in messages)),
        facts={
            "firing": firing,
            "resolved": resolved,
            "messages": [{"id": m.id, "kind": m.kind.value, "title": m.title} for m in messages],
        },
    )


def sent_again(message: Message) -> Message:
    """Return the message marked as a possible repetition: the first attempt got no answer."""
    line = "sent again: an earlier attempt was not answered, so you may have this message already"
    return msgspec.structs.replace(message, lines=(*message.lines, line))


def _printable(text: str) -> str:
    """Return a text that clients choose, without what draws, links or breaks lines in a chat, or ends a text in SQL."""
    return _UNPRINTABLE.sub("?", text)[:_LONGEST_KEY]


def utc(seconds: float) -> str:
    """Return a moment (seconds since the epoch) as the messages write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
