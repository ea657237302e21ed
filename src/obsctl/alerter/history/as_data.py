"""The story of an alert or of a group as data, for a report and a page."""

from __future__ import annotations

from typing import Any

from obsctl.alerter.history.sentences import row, subject
from obsctl.alerter.history.story import Sent, Story
from obsctl.alerter.messages.message import utc


def as_data(found: Story, name: str, step: str) -> dict[str, Any]:
    """Return a story as data.

    Args:
        found: the story from the history.
        name: the requested incident or thread.
        step: what happens next; empty where it is not known.
    """
    held = found.held_back_now
    return {
        "id": name,
        "alerts": _alerts(found),
        "held_back_by": None if held is None else {"stage": held.stage, "cause": held.cause, "since": utc(held.at)},
        "messages": [_message(sent) for sent in found.sent],
        "next": step or None,
        "gaps": found.gaps,
        "records": [row(record) for record in found.records],
    }


def _alerts(found: Story) -> list[dict[str, Any]]:
    return [
        {
            "alert": subject(alert.rule, alert.labels),
            "rule": alert.rule,
            "labels": alert.labels,
            "state": "ended" if alert.ended else "firing",
            "severity": alert.severity,
            "started": utc(alert.started),
            "ended": utc(alert.ended) if alert.ended else None,
            "incident": alert.incident,
        }
        for alert in found.alerts.values()
    ]


def _message(sent: Sent) -> dict[str, Any]:
    message = sent.message
    return {
        "at": utc(message.at),
        "reason": message.reason,
        "title": message.title,
        "route": message.route,
        "channels": message.channels,
        "named": sent.named,
        "delivered_by": [attempt.channel for attempt in sent.attempts if attempt.verdict == "delivered"],
        "waits_for": list(sent.waiting),
        "attempts": [
            {
                "at": utc(attempt.at),
                "channel": attempt.channel,
                "robot": attempt.robot,
                "verdict": attempt.verdict,
                "code": attempt.code,
                "summary": attempt.summary,
                "took_ms": attempt.took_ms,
            }
            for attempt in sent.attempts
        ],
        "message_id": message.message_id,
        "thread": message.thread,
    }
