"""The records of the history, one JSON object each; docs/reference/notifications.md describes them."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from msgspec import Struct, field

from obsctl.alerter.alerts import Alert
from obsctl.core.decoding import UndecodableError, decode_json

SCHEMA = "obsctl/alert-history/v1"


def _new_id() -> str:
    return uuid.uuid4().hex


class Record(Struct, frozen=True, kw_only=True, tag_field="event"):
    """The fields of every record.

    Attributes:
        at: when it happened, wall-clock time, seconds since the epoch.
        id: of this record alone.
        schema: version of the record's format.
    """

    at: float
    id: str = field(default_factory=_new_id)
    schema: str = SCHEMA


class About(Struct, frozen=True, kw_only=True):
    """Identifies an alert; times are event seconds, 0 for none.

    Attributes:
        rule: name of its rule.
        kind: of its rule.
        labels: its key, with the names of the fields.
        severity: how bad it is.
        incident: the alert's id.
        started: end of the first window that fulfilled the condition.
        last_true: end of the latest one.
        ended: when the end was decided; 0 while it fires.
    """

    rule: str
    kind: str
    labels: dict[str, str]
    severity: str
    incident: str
    started: int
    last_true: int
    ended: int = 0


def about(alert: Alert) -> About:
    """Return the alert's identification for a record."""
    return About(
        rule=alert.rule,
        kind=alert.kind,
        labels=dict(alert.labels),
        severity=alert.severity.value,
        incident=alert.incident,
        started=alert.started,
        last_true=alert.last_true,
        ended=alert.ended,
    )


class Started(Record, frozen=True, kw_only=True, tag="started"):
    """An alert's condition came true."""

    alert: About


class Ended(Record, frozen=True, kw_only=True, tag="ended"):
    """An alert's condition is over."""

    alert: About


class HeldBack(Record, frozen=True, kw_only=True, tag="held_back"):
    """A stage began to hold an alert back, or an alert that it held back started and ended.

    Attributes:
        stage: the stage's name.
        cause: its reason: a silence's id, a mute window's name, an inhibition.
        rule, labels, incident: the alert.
        route: the route on which it is held back.
        gone: alerts of this key that started and ended without a message; 0 for one that may still be sent.
    """

    stage: str
    cause: str
    rule: str
    labels: dict[str, str]
    incident: str
    route: str
    gone: int = 0


class Decided(Record, frozen=True, kw_only=True, tag="message"):
    """A message was decided and waits to be delivered.

    Attributes:
        message_id: the message's own.
        thread: the same in all messages of a group.
        reason: ``first``, ``escalated``, ``digest``, ``repeat`` or ``resolved``.
        route: its route.
        channels: those that get it.
        labels: what all alerts of the group share.
        severity: the worst.
        title: of the message.
        started, resolved: how many alerts this message reports as started and as ended.
        firing: how many alerts of the group fire.
        total: how many alerts it is about.
        alerts: the worst of these, as the message shows them.
    """

    message_id: str
    thread: str
    reason: str
    route: str
    channels: tuple[str, ...]
    labels: dict[str, str]
    severity: str
    title: str
    started: int
    resolved: int
    firing: int
    total: int
    alerts: tuple[About, ...]


class Carried(Struct, frozen=True, kw_only=True):
    """A message that was part of an attempt."""

    message_id: str
    thread: str
    title: str


class Delivered(Record, frozen=True, kw_only=True, tag="delivery"):
    """One attempt to deliver, and its outcome.

    Attributes:
        channel: its name.
        robot: the robot of the channel's pool that sent it, or the channel.
        verdict: ``delivered``, or why not.
        code: the vendor's own.
        summary: what happened, in one sentence.
        took_ms: how long the attempt took, milliseconds.
        messages: the messages that were sent; several in a digest.
    """

    channel: str
    robot: str
    verdict: str
    code: str
    summary: str
    took_ms: int
    messages: tuple[Carried, ...]


class Abandoned(Record, frozen=True, kw_only=True, tag="abandoned"):
    """A message is not sent, because its channel is no longer configured."""

    channel: str
    message: Carried


class GivenUp(Record, frozen=True, kw_only=True, tag="given_up"):
    """The vendor refused a message for a day.

    Attributes:
        channel: its name.
        message: which message.
    """

    channel: str
    message: Carried


class Omitted(Record, frozen=True, kw_only=True, tag="omitted"):
    """Too many events happened at once to have a record each.

    Attributes:
        what: the event of the omitted records.
        rule: of their alerts.
        stage: the stage that held the alerts back; empty for other events.
        records: how many were omitted.
    """

    what: str
    rule: str
    stage: str = ""
    records: int


class Lost(Record, frozen=True, kw_only=True, tag="lost"):
    """Records that were not written, because the history's topic did not exist.

    Attributes:
        records: how many.
    """

    records: int


AnyRecord = Started | Ended | HeldBack | Decided | Delivered | Abandoned | GivenUp | Omitted | Lost


def encode(record: Record) -> bytes:
    """Return the record as it is stored."""
    return msgspec.json.encode(record)


class _Head(Struct, frozen=True):
    schema: str


def decode(stored: bytes) -> AnyRecord:
    """Return a stored record.

    Raises:
        UndecodableError: it is not a record, or has another version.
    """
    schema = decode_json(stored, _Head).schema
    if schema != SCHEMA:
        raise UndecodableError(f"schema {schema!r}, this release reads {SCHEMA!r}")
    known: Any = AnyRecord
    record: AnyRecord = decode_json(stored, known)
    return record
