"""What people read: the texts of the first, the resolved, the test and the digest message."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Level
from obsctl.alerter.notify.notification import Notification, Reason
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.sample import Top

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]|[`'\\*\[\]<>|]")
_LONGEST_KEY = 80
#: Incidents that a message names.
_NAMED = 5
#: What a message calls the key of a rule that looks at the whole fleet.
FLEET = "fleet"


class Kind(enum.StrEnum):
    """Why a message is sent."""

    FIRING = "firing"
    ESCALATED = "escalated"
    REPEAT = "repeat"
    UPDATE = "update"
    RESOLVED = "resolved"
    TEST = "test"
    DIGEST = "digest"


#: What the stages call the reason, and the word in the title.
_KINDS: Mapping[Reason, tuple[Kind, str]] = {
    Reason.FIRST: (Kind.FIRING, "FIRING"),
    Reason.ESCALATED: (Kind.ESCALATED, "ESCALATED"),
    Reason.REPEAT: (Kind.REPEAT, "STILL FIRING"),
    Reason.DIGEST: (Kind.UPDATE, "UPDATE"),
    Reason.RESOLVED: (Kind.RESOLVED, "RESOLVED"),
}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, the same for every channel.

    Attributes:
        id: of this message alone.
        thread: the same in all messages about one group of alerts, from the first to the resolved one; empty for a
            message that belongs to none.
        kind: why it is sent.
        title: one line, plain text.
        lines: the body, plain text, a line each.
        facts: the same as data, for machines (the webhook channel).
    """

    id: str
    thread: str = ""
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    facts: dict[str, Any] = {}


class Writer:
    """Writes messages.

    Args:
        rules: the configured ones.
        database: name of the database that holds the lines.
        zone: of the times that people read; what machines read is UTC.
    """

    def __init__(self, rules: Sequence[Rule], database: str, zone: tzinfo = UTC) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._database = database
        self._zone = zone

    def message(self, about: Notification, tops: Mapping[str, Top]) -> Message:
        """Return the message for a notification.

        Args:
            about: the notification.
            tops: what the lines of an alert's worst window had most often, by incident.
        """
        kind, word = _KINDS[about.reason]
        if kind is Kind.UPDATE and not about.firing:
            word = "STARTED AND ENDED"
        facts: dict[str, Any] = {
            "severity": about.severity.value,
            "started": about.started,
            "ended": about.resolved,
            "firing": about.firing,
            "since": utc(about.since),
            "alerts": [self._facts(alert, tops) for alert in about.alerts],
        }
        if kind is Kind.RESOLVED:
            facts["ended_at"], facts["duration_s"] = utc(about.ended), about.duration
        if about.total == 1 and len(about.alerts) == 1:
            (alert,) = about.alerts
            title, lines = f"{alert.rule} {_key(alert)}", self._one(alert, kind, tops)
        else:
            title, lines = self._many(about, kind)
        lines.append(f"severity: {about.severity.value}")
        if kind is not Kind.RESOLVED and about.alerts and (rule := self._rules.get(about.alerts[0].rule)) is not None:
            lines.append("next: " + rule.next_step(_labels(about.alerts[0]), self._database))
        incidents = ", ".join(dict.fromkeys(alert.incident for alert in about.alerts[:_NAMED]))
        lines.append(f"incident: {incidents}" if about.total == 1 else f"incidents: {incidents}{_more(about, _NAMED)}")
        return Message(
            id=about.id, thread=about.thread, kind=kind, title=f"[{word}] {title}", lines=tuple(lines), facts=facts
        )

    def _one(self, alert: Alert, kind: Kind, tops: Mapping[str, Top]) -> list[str]:
        """Return what a message about one alert says."""
        rule, lines = self._rules.get(alert.rule), []
        if rule is not None:
            lines.append(rule.shown(alert.peak) if kind is Kind.FIRING else f"peak: {rule.measured(alert.peak)}")
            lines.append(f"threshold: {rule.limit}")
        clock = "" if rule is not None and rule.log is None else " (time of the log lines)"
        lines.append(f"started: {self._time(alert.started)}{clock}")
        if alert.state is AlertState.ENDED:
            lines.append(f"ended: {self._time(alert.last_true)}, after {_span(alert.last_true - alert.started)}")
        for field, values in tops.get(alert.incident, {}).items():
            lines.append(f"top {field}: " + ", ".join(f"{_printable(value)} ({n})" for value, n in values))
        if rule is None:
            lines.append("the rule is no longer configured")
        return lines

    def _many(self, about: Notification, kind: Kind) -> tuple[str, list[str]]:
        """Return the title and what a message about several alerts says."""
        name = " ".join(_printable(value) for value in about.labels.values()) or "alerts"
        counts = {
            Kind.RESOLVED: f"all {about.total} have ended",
            Kind.UPDATE: f"{about.started} started, {about.resolved} ended, {about.firing} firing",
        }
        title = f"{name}: {counts.get(kind, f'{about.total} alerts')}"
        lines = [
            f"{alert.rule} {_key(alert)}: {self._measured(alert)}"
            + (", ended" if alert.state is AlertState.ENDED and kind is not Kind.RESOLVED else "")
            for alert in about.alerts
        ]
        if about.total > len(about.alerts):
            lines.append(f"and {about.total - len(about.alerts)} more")
        lines.append(f"since: {self._time(about.since)} (time of the log lines)")
        if kind is Kind.RESOLVED:
            lines.append(f"ended: {self._time(about.ended)}, after {_span(about.duration)}")
        if kind is not Kind.RESOLVED and kind is not Kind.UPDATE:
            lines.append(
                f"{about.started} started, {about.resolved} ended since the last message; {about.firing} firing"
            )
        return title, lines

    def _time(self, seconds: float) -> str:
        """Return a moment as people on site read it, with its distance from UTC."""
        if self._zone is UTC:
            return utc(seconds)
        return datetime.fromtimestamp(seconds, self._zone).isoformat(sep=" ", timespec="seconds")

    def _measured(self, alert: Alert) -> str:
        rule = self._rules.get(alert.rule)
        return rule.measured(alert.peak) if rule is not None else "the rule is no longer configured"

    def _facts(self, alert: Alert, tops: Mapping[str, Top]) -> dict[str, Any]:
        rule = self._rules.get(alert.rule)
        facts: dict[str, Any] = {
            "incident": alert.incident,
            "rule": alert.rule,
            "labels": alert.labels,
            "severity": alert.severity.value,
            "state": alert.state.value,
            "started_at": utc(alert.started),
            "lines": alert.peak.total,
            "hits": alert.peak.hits,
        }
        if rule is not None:
            facts["window_s"] = rule.window_s
        if alert.state is AlertState.ENDED:
            facts["ended_at"] = utc(alert.last_true)
        if alert.incident in tops:
            facts["top"] = {field: dict(values) for field, values in tops[alert.incident].items()}
        return facts


def _labels(alert: Alert) -> dict[str, str]:
    return {field: _printable(value) for field, value in alert.labels.items()}


def _key(alert: Alert) -> str:
    return " ".join(_labels(alert).values()) or FLEET


def _more(about: Notification, named: int) -> str:
    return f" and {about.total - named} more" if about.total > named else ""


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
    firing = sum(m.kind in (Kind.FIRING, Kind.ESCALATED) for m in messages)
    resolved = sum(m.kind is Kind.RESOLVED for m in messages)
    return Message(
        id=f"digest-{int(now * 1000):x}",
        kind=Kind.DIGEST,
        title=f"[DIGEST] {len(messages)} alert messages: {firing} firing, {resolved} resolved",
        lines=("The channel's rate limit was reached; these messages come as one:", *(m.title for m in messages)),
        facts={
            # People are mentioned by severity.
            "severity": max(
                (str(m.facts.get("severity", "")) for m in messages if m.kind is not Kind.RESOLVED),
                key=_rank,
                default="",
            ),
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


def _rank(severity: str) -> int:
    return list(Level).index(Level(severity)) if severity in set(Level) else -1


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
