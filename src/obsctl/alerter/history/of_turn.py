"""The records of one turn: alerts that started, ended or were held back, and messages that were decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from obsctl.alerter.alerts import Alert, AlertState
from obsctl.alerter.history.records import Decided, Ended, HeldBack, Omitted, Record, Started, about
from obsctl.alerter.messages.message import Message
from obsctl.alerter.notify.notification import Notification
from obsctl.alerter.notify.turn import Suppressed

#: The most records of one event in one turn (there are about five turns a second); more are only counted.
MOST_A_TURN = 200
Thing = TypeVar("Thing")


def of_turn(
    alerts: Iterable[Alert],
    suppressed: Iterable[Suppressed],
    messages: Sequence[tuple[Message, Notification]],
    now: float,
) -> list[Record]:
    """Return the records in the order of events.

    Args:
        alerts: those that started or ended.
        suppressed: what the stages held back.
        messages: each with its notification.
        now: wall-clock time, seconds since the epoch.
    """
    return [
        *_bounded(alerts, lambda alert: _changed(alert, now), lambda alert: (_event(alert), alert.rule, ""), now),
        *_bounded(suppressed, _held_back, lambda one: ("held_back", one.rule, one.stage), now),
        *_bounded(messages, lambda pair: _decided(*pair), lambda pair: ("message", _rule(pair[1]), ""), now),
    ]


def _bounded(
    things: Iterable[Thing],
    record: Callable[[Thing], Record],
    kind: Callable[[Thing], tuple[str, str, str]],
    now: float,
) -> Iterator[Record]:
    """Yield the first records of each event, rule and stage, then one record with the number of the others.

    The cause does not distinguish them: a flood may have as many causes as alerts.
    """
    beyond: Counter[tuple[str, str, str]] = Counter()
    for number, thing in enumerate(things):
        if number < MOST_A_TURN:
            yield record(thing)
        else:
            beyond[kind(thing)] += 1
    for (what, rule, stage), omitted in beyond.items():
        yield Omitted(at=now, what=what, rule=rule, stage=stage, records=omitted)


def _event(alert: Alert) -> str:
    return "started" if alert.state is AlertState.FIRING else "ended"


def _rule(notification: Notification) -> str:
    return notification.alerts[0].rule if notification.alerts else ""


def _changed(alert: Alert, now: float) -> Started | Ended:
    kind = Started if alert.state is AlertState.FIRING else Ended
    return kind(at=now, alert=about(alert))


def _held_back(one: Suppressed) -> HeldBack:
    return HeldBack(
        at=one.at,
        stage=one.stage,
        cause=one.cause,
        rule=one.rule,
        labels=dict(one.labels),
        incident=one.incident,
        route=one.route,
        gone=one.ended,
    )


def _decided(message: Message, notification: Notification) -> Decided:
    return Decided(
        at=notification.at,
        message_id=message.id,
        thread=notification.thread,
        reason=notification.reason.value,
        route=notification.route,
        channels=notification.channels,
        labels=dict(notification.labels),
        severity=notification.severity.value,
        title=message.title,
        started=notification.started,
        resolved=notification.resolved,
        firing=notification.firing,
        total=notification.total,
        alerts=tuple(about(alert) for alert in notification.alerts),
    )
