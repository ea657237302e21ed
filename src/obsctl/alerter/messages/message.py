"""The messages about alerts, their digest and the test message, rendered from templates."""

from __future__ import annotations

import enum
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Level, Measure
from obsctl.alerter.evaluation.line_sample import Top
from obsctl.alerter.messages.commands import exact, silence_command, silence_group_command, why_command
from obsctl.alerter.messages.printable import printable, visible
from obsctl.alerter.messages.template_variables import (
    AlertView,
    ChannelTestView,
    DigestView,
    MessageView,
    RuleTestView,
    TopView,
)
from obsctl.alerter.messages.templates import TemplateFaultError, Templates
from obsctl.alerter.notify.notification import Notification, Reason
from obsctl.alerter.rules.rule import Rule

LOG = logging.getLogger(__name__)

#: The most incidents that a message names.
_NAMED = 5
#: The name in commands for the key of a rule about the whole fleet.
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


_KINDS: Mapping[Reason, Kind] = {
    Reason.FIRST: Kind.FIRING,
    Reason.ESCALATED: Kind.ESCALATED,
    Reason.REPEAT: Kind.REPEAT,
    Reason.DIGEST: Kind.UPDATE,
    Reason.RESOLVED: Kind.RESOLVED,
}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, the same for every channel.

    Attributes:
        id: of this message alone.
        thread: the same in all messages about one group of alerts, from the first to the resolved one; empty for a
            message that belongs to none.
        kind: why it is sent.
        title: one line, plain text.
        lines: the lines of the body, plain text.
        cut: the text that a channel puts where it cuts a body that is too long for it.
        facts: the same content as data, for machines (the webhook channel).
    """

    id: str
    thread: str = ""
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    cut: str = "…"
    facts: dict[str, Any] = {}


class Writer:
    """Writes messages about alerts.

    Args:
        rules: the configured ones.
        templates: of their texts.
    """

    def __init__(self, rules: Sequence[Rule], templates: Templates) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._templates = templates

    def message(self, about: Notification, tops: Mapping[str, Top]) -> Message:
        """Return the message for a notification.

        Args:
            about: the notification.
            tops: the most frequent values in an alert's worst window, by incident.

        Raises:
            TemplateFaultError: a site's template fails, where the templates raise that.
        """
        kind = _KINDS[about.reason]
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
        try:
            view = self._view(about, kind, tops)
            title, lines = self._templates.line("title", view), self._templates.lines("body", view)
            cut = self._templates.line("cut")
        except TemplateFaultError:
            raise
        except Exception:
            # Even if this program's own templates have a fault, the alert must be reported.
            LOG.exception("a message could not be rendered; a plain one is sent instead")
            title, lines, cut = _plain(about, kind), (), "…"
        return Message(id=about.id, thread=about.thread, kind=kind, title=title, lines=lines, cut=cut, facts=facts)

    def rule_test(self, about: Notification, tops: Mapping[str, Top], mark: str) -> Message:
        """Return the message for a notification of a rule test; it mentions nobody.

        Args:
            about: the notification.
            tops: as for :meth:`message`.
            mark: of the test's lines.

        Raises:
            TemplateFaultError: as for :meth:`message`.
        """
        real = self.message(about, tops)
        rule = visible(about.alerts[0].rule) if about.alerts else ""
        view = RuleTestView(rule=rule, mark=mark, title=real.title, lines=real.lines)
        return Message(
            # A real alert of the same time with the same key gets another id.
            id=f"test-{mark}",
            kind=Kind.TEST,
            title=self._templates.line("rule_test_title", view),
            lines=self._templates.lines("rule_test_body", view),
            cut=real.cut,
            facts={"test": True, "mark": mark, "rule": rule, "alerts": real.facts["alerts"]},
        )

    def measured(self, rule: Rule, measure: Measure) -> str:
        """Return a window's measure in words, such as ``200 requests``."""
        return self._templates.of_kind(rule.kind, "measured", rule, measure)

    def _view(self, about: Notification, kind: Kind, tops: Mapping[str, Top]) -> MessageView:
        worst = about.alerts[0] if about.alerts else None
        rule = self._rules.get(worst.rule) if worst is not None and kind is not Kind.RESOLVED else None
        reason = self._templates.line("silence_reason")
        if worst is not None and about.total == 1:
            silence = silence_command(worst, reason=reason)
        else:
            silence = silence_group_command(about.labels, reason=reason)
        return MessageView(
            kind=kind.value,
            over=kind is Kind.UPDATE and not about.firing,
            severity=about.severity.value,
            name=" ".join(
                visible(value) if label == "rule" else printable(value) for label, value in about.labels.items()
            ),
            alerts=tuple(self._alert(alert, tops.get(alert.incident)) for alert in about.alerts),
            total=about.total,
            started=about.started,
            ended=about.resolved,
            firing=about.firing,
            since=about.since,
            at=about.at,
            over_at=about.ended,
            lasted_s=about.duration,
            look=why_command(worst) if worst is not None else "",
            silence=silence,
            next_step=visible(rule.next_step(exact(worst.labels))) if worst and rule else "",
            incidents=tuple(dict.fromkeys(alert.incident for alert in about.alerts[:_NAMED])),
        )

    def _alert(self, alert: Alert, top: Top | None) -> AlertView:
        rule, templates = self._rules.get(alert.rule), self._templates
        over = alert.state is AlertState.ENDED
        return AlertView(
            rule=visible(alert.rule),
            kind=alert.kind,
            configured=rule is not None,
            of_lines=rule is None or rule.log is not None,
            labels={field: printable(value) for field, value in alert.labels.items()},
            severity=alert.severity.value,
            incident=alert.incident,
            firing=not over,
            headline=visible(templates.of_kind(rule.kind, "headline", rule, alert.peak)) if rule else "",
            measured=visible(self.measured(rule, alert.peak)) if rule else "",
            limit=visible(templates.of_kind(rule.kind, "limit", rule)) if rule else "",
            started=alert.started,
            ended=alert.last_true if over else 0,
            lasted_s=alert.last_true - alert.started if over else 0,
            top=None
            if top is None
            else TopView(
                kept=top.kept,
                lines=top.lines,
                hits=top.hits,
                by_field={
                    field: tuple((printable(value), lines) for value, lines in values)
                    for field, values in top.values.items()
                },
            ),
        )

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
            facts["top"] = {field: dict(values) for field, values in tops[alert.incident].values.items()}
        return facts


def _plain(about: Notification, kind: Kind) -> str:
    """Return a title made without a template."""
    whom = [f"{visible(alert.rule)} {' '.join(map(printable, alert.key)) or FLEET}" for alert in about.alerts[:_NAMED]]
    return f"[{kind.upper()}] {', '.join(whom)}: {about.total} alerts, {about.firing} firing"


def channel_test(now: float, origin: str, templates: Templates, severity: Level | None = None) -> Message:
    """Return the message of ``obsctl alert test``, marked so that it is not taken for an alert.

    Args:
        now: seconds since the epoch.
        origin: the host that sends it.
        templates: of its text.
        severity: mention the people whom a message of this severity mentions; None: nobody.
    """
    view = ChannelTestView(at=now, origin=printable(origin), severity=severity.value if severity else "")
    facts: dict[str, Any] = {"test": True, "sent_at": utc(now), "origin": origin}
    return Message(
        id=f"test-{int(now * 1000):x}",
        kind=Kind.TEST,
        title=templates.line("test_title", view),
        lines=templates.lines("test_body", view),
        facts=facts | ({"severity": severity.value} if severity else {}),
    )


def digest(messages: Sequence[Message], now: float, templates: Templates) -> Message:
    """Return one message that replaces several which the channel's rate limit does not allow one by one."""
    firing = sum(m.kind in (Kind.FIRING, Kind.ESCALATED) for m in messages)
    resolved = sum(m.kind is Kind.RESOLVED for m in messages)
    view = DigestView(titles=tuple(m.title for m in messages), firing=firing, resolved=resolved)
    return Message(
        id=f"digest-{int(now * 1000):x}",
        kind=Kind.DIGEST,
        title=templates.line("digest_title", view),
        lines=templates.lines("digest_body", view),
        cut=templates.line("cut"),
        facts={
            # Mentions depend on the severity.
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


def sent_again(message: Message, templates: Templates) -> Message:
    """Return the message marked as a possible duplicate: the first attempt got no answer."""
    return msgspec.structs.replace(message, lines=(*message.lines, templates.line("sent_again")))


def utc(seconds: float) -> str:
    """Return a time (seconds since the epoch) in the format of the messages' facts."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rank(severity: str) -> int:
    return list(Level).index(Level(severity)) if severity in set(Level) else -1
