"""A history record as text: one sentence, and the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from obsctl.alerter.history.records import (
    Abandoned,
    AnyRecord,
    Decided,
    Delivered,
    Ended,
    GivenUp,
    HeldBack,
    Lost,
    Omitted,
    Started,
)
from obsctl.alerter.messages.message import FLEET, utc


def row(record: AnyRecord) -> dict[str, Any]:
    """Return a record as data: the common fields, the sentence, and the record itself."""
    rule, labels, incident, thread = _about(record)
    return {
        "at": utc(record.at),
        "event": str(record.__struct_config__.tag),
        "text": sentence(record),
        "rule": rule,
        "labels": labels,
        "incident": incident,
        "thread": thread,
        "record": msgspec.to_builtins(record),
    }


def sentence(record: AnyRecord) -> str:
    """Return what happened."""
    match record:
        case Started(alert=alert):
            return f"{subject(alert.rule, alert.labels)} fires ({alert.severity}), incident {alert.incident}"
        case Ended(alert=alert):
            span = max(0, alert.last_true - alert.started)
            return f"{subject(alert.rule, alert.labels)} has ended after {span} s, incident {alert.incident}"
        case HeldBack(gone=0):
            return f"{subject(record.rule, record.labels)} is suppressed: {because(record.stage, record.cause)}"
        case HeldBack():
            which = subject(record.rule, record.labels)
            count = (
                f"{which} started and ended"
                if record.gone == 1
                else f"{record.gone} alerts as {which} started and ended"
            )
            return f"{count} without a message: {because(record.stage, record.cause)}"
        case Decided():
            channels = ", ".join(record.channels)
            return f"{record.title}: a message ({record.reason}, route {record.route}) for {channels}"
        case Delivered(messages=messages):
            what = messages[0].title if len(messages) == 1 else f"{len(messages)} messages in one"
            code = f" ({record.code})" if record.code else ""
            if record.verdict == "delivered":
                return f"{what}: delivered by {record.channel}{code} in {record.took_ms} ms"
            return f"{what}: not delivered by {record.channel}: {record.verdict}{code}: {record.summary}"
        case Abandoned():
            return f"{record.message.title}: not sent: the channel {record.channel} is no longer configured"
        case GivenUp():
            return f"{record.message.title}: abandoned, because {record.channel} has refused it for a day"
        case Omitted():
            stage = f" by {record.stage}" if record.stage else ""
            return (
                f"{record.records:,} more {record.what}{stage} of rule {record.rule} at once, not recorded one by one"
            )
        case Lost():
            return f"{record.records:,} records were dropped while Kafka did not accept them"


def subject(rule: str, labels: Mapping[str, str]) -> str:
    """Return an alert's name."""
    return f"{rule} {' '.join(f'{label}={value}' for label, value in labels.items()) or FLEET}"


def because(stage: str, cause: str) -> str:
    """Return why a stage holds an alert back."""
    match stage:
        case "silence":
            return f"silence {cause}"
        case "mute":
            return f"mute window {cause}"
        case "inhibit":
            return f"inhibited by another alert, inhibition {cause}"
        case "for":
            return "it did not last as long as its rule's for_s"
        case "route":
            return f"route {cause} has no channel"
    return f"{stage}: {cause}" if cause else stage


def _about(record: AnyRecord) -> tuple[str | None, dict[str, str] | None, str | None, str | None]:
    """Return rule, labels, incident and thread, each if the record is about exactly one."""
    match record:
        case Started(alert=alert) | Ended(alert=alert):
            return alert.rule, alert.labels, alert.incident, None
        case HeldBack():
            return record.rule, record.labels, record.incident, None
        case Decided(alerts=(alert,)):
            return alert.rule, alert.labels, alert.incident, record.thread
        case Decided():
            return None, record.labels, None, record.thread
        case Delivered(messages=(message,)):
            return None, None, None, message.thread
        case Abandoned(message=message) | GivenUp(message=message):
            return None, None, None, message.thread
        case Omitted():
            return record.rule, None, None, None
    return None, None, None, None
