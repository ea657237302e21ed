"""Everything that the history has about one alert or one group of alerts; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct

from obsctl.alerter.history.records import (
    Abandoned,
    About,
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
from obsctl.alerter.history.sentences import because
from obsctl.alerter.messages.message import utc
from obsctl.alerter.notify.silences import Silence, SilenceState


class Sent(Struct, frozen=True, kw_only=True):
    """A message about the alert or group, and its deliveries.

    Attributes:
        message: as it was decided.
        named: whether the alert is in the message by name; otherwise it is one of those that the message only counts.
        attempts: to deliver it, in order.
        abandoned: channels that are no longer configured, or that refused it for a day.
    """

    message: Decided
    named: bool
    attempts: tuple[Delivered, ...]
    abandoned: tuple[str, ...]

    @property
    def waiting(self) -> tuple[str, ...]:
        """The channels that have not delivered it."""
        done = {attempt.channel for attempt in self.attempts if attempt.verdict == "delivered"}
        return tuple(channel for channel in self.message.channels if channel not in done | set(self.abandoned))


class Story(Struct, frozen=True, kw_only=True):
    """What the history has about an incident or a thread.

    Attributes:
        alerts: in their latest recorded state, by incident.
        records: all records about it, in the order of events.
        sent: messages about it.
        held_back: why nothing was sent after the last message; None where nothing holds it back.
        gaps: missing records between its start and now that may have been about it: too much happened at once, or
            Kafka was down.
    """

    alerts: dict[str, About]
    records: tuple[AnyRecord, ...]
    sent: tuple[Sent, ...]
    held_back: HeldBack | None
    gaps: int

    @property
    def firing(self) -> bool:
        """Whether one of its alerts is firing."""
        return any(not alert.ended for alert in self.alerts.values())

    @property
    def held_back_now(self) -> HeldBack | None:
        """What holds it back while it is firing; None if nothing does."""
        return self.held_back if self.firing else None


def story(records: Sequence[AnyRecord], name: str) -> Story | None:
    """Return everything about an incident or a thread; None if the history has none of this name.

    Args:
        records: of the history, in the order of events.
        name: an alert's incident, or a group's thread.
    """
    threads = {record.thread for record in records if isinstance(record, Decided)}
    messages = _of_thread(records, name) if name in threads else _of_incident(records, name)
    incidents = {alert.incident for message, _ in messages for alert in message.alerts} if name in threads else {name}
    ids = {message.message_id for message, _ in messages}
    found = tuple(record for record in records if _is_about(record, incidents, ids))
    if not found:
        return None
    alerts: dict[str, About] = {}
    for record in found:
        if isinstance(record, Started | Ended):
            alerts[record.alert.incident] = record.alert
        elif isinstance(record, Decided):
            # The start may be older than the history, or without a record of its own.
            for alert in record.alerts:
                if alert.incident in incidents:
                    alerts.setdefault(alert.incident, alert)
    rules = {alert.rule for alert in alerts.values()} | {r.rule for r in found if isinstance(r, HeldBack)}
    gaps = sum(
        record.records
        for record in records
        if record.at >= found[0].at
        and (isinstance(record, Lost) or (isinstance(record, Omitted) and record.rule in rules))
    )
    return Story(
        alerts=alerts,
        records=found,
        sent=tuple(_sent(found, message, named=named) for message, named in messages),
        held_back=_held_back(found),
        gaps=gaps,
    )


class Relevant:
    """Selects the records that :func:`story` needs, so that a flood of other alerts takes no memory.

    Args:
        names: of incidents, or of a thread.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def takes(self, record: AnyRecord) -> bool:
        """Whether the record may be about one of the names."""
        match record:
            case Started(alert=alert) | Ended(alert=alert):
                return alert.incident in self._names
            case HeldBack():
                return record.incident in self._names
        return True


def incidents_of(records: Iterable[AnyRecord], thread: str) -> set[str]:
    """Return the alerts that the messages of a group name; empty where there is no such thread."""
    return {alert.incident for message, _ in _of_thread(records, thread) for alert in message.alerts}


def next_step(about: Story, silences: Iterable[Silence], now: float) -> str:
    """Return what happens next; empty where it is not known.

    Args:
        about: the story from the history.
        silences: all of them.
        now: wall-clock time, seconds since the epoch.
    """
    steps = []
    for sent in about.sent:
        if sent.waiting:
            last = next((a for a in reversed(sent.attempts) if a.channel in sent.waiting), None)
            why = f", last attempt: {last.verdict}: {last.summary}" if last is not None else ""
            steps.append(f"{sent.message.title}: is waiting to be delivered by {', '.join(sent.waiting)}{why}")
    held = about.held_back
    if held is not None and about.firing:
        silence = next((one for one in silences if held.stage == "silence" and one.id == held.cause), None)
        if silence is None:
            steps.append(
                f"sent when it is no longer suppressed ({because(held.stage, held.cause)}), if it is still firing"
            )
        elif silence.state(now) is SilenceState.ACTIVE:
            steps.append(
                f"sent when silence {silence.id} of {silence.author} ({silence.reason}) ends, at "
                f"{utc(silence.ends)}, if it is still firing"
            )
    elif about.sent and about.firing:
        steps.append("reported again while it is firing, less and less often, and once when it has ended")
    elif about.sent and not steps and about.sent[-1].message.reason == "resolved":
        steps.append("nothing: it has ended and was reported")
    return "; ".join(steps)


def _of_thread(records: Iterable[AnyRecord], thread: str) -> list[tuple[Decided, bool]]:
    return [(record, True) for record in records if isinstance(record, Decided) and record.thread == thread]


def _of_incident(records: Iterable[AnyRecord], incident: str) -> list[tuple[Decided, bool]]:
    """Return the messages about an alert, and whether each names it.

    A message names its worst alerts and counts the others. So a message that counts more alerts than it names is taken
    for one about this alert, if the alert's labels belong to the message's group and no message has reported the alert
    as ended.
    """
    alert: About | None = None
    over = False
    found: list[tuple[Decided, bool]] = []
    for record in records:
        match record:
            case Started(alert=one) | Ended(alert=one) if one.incident == incident:
                alert = one
            case Decided():
                named = [one for one in record.alerts if one.incident == incident]
                if named:
                    found.append((record, True))
                elif alert is not None and not over and record.total > len(record.alerts) and _fits(record, alert):
                    found.append((record, False))
                else:
                    continue
                over = bool(alert is not None and alert.ended) or any(one.ended for one in named)
    return found


def _fits(message: Decided, alert: About) -> bool:
    own = {
        "rule": alert.rule, "kind": alert.kind, "severity": alert.severity, "incident": alert.incident, **alert.labels
    }  # fmt: skip
    return all(own.get(label) == value for label, value in message.labels.items())


def _is_about(record: AnyRecord, incidents: set[str], messages: set[str]) -> bool:
    match record:
        case Started(alert=alert) | Ended(alert=alert):
            return alert.incident in incidents
        case HeldBack():
            return record.incident in incidents
        case Decided():
            return record.message_id in messages
        case Delivered():
            return any(carried.message_id in messages for carried in record.messages)
        case Abandoned() | GivenUp():
            return record.message.message_id in messages
    return False


def _sent(records: Iterable[AnyRecord], message: Decided, *, named: bool) -> Sent:
    return Sent(
        message=message,
        named=named,
        attempts=tuple(
            record
            for record in records
            if isinstance(record, Delivered) and any(one.message_id == message.message_id for one in record.messages)
        ),
        abandoned=tuple(
            record.channel
            for record in records
            if isinstance(record, Abandoned | GivenUp) and record.message.message_id == message.message_id
        ),
    )


def _held_back(records: Iterable[AnyRecord]) -> HeldBack | None:
    """Return the last record of the alert being held back after the last message, if there is one."""
    held: HeldBack | None = None
    for record in records:
        if isinstance(record, HeldBack) and not record.gone:
            held = record
        elif isinstance(record, Decided):
            held = None
    return held


def of_rule(records: Iterable[AnyRecord], rule: str | None) -> Iterator[AnyRecord]:
    """Yield the records that are about one rule's alerts; all of them without a rule."""
    messages: set[str] = set()
    for record in records:
        match record:
            case Started(alert=alert) | Ended(alert=alert):
                wanted = alert.rule == rule
            case HeldBack() | Omitted():
                wanted = record.rule == rule
            case Decided():
                wanted = rule in {record.labels.get("rule"), *(alert.rule for alert in record.alerts)}
                if wanted:
                    messages.add(record.message_id)
            case Delivered():
                wanted = any(carried.message_id in messages for carried in record.messages)
            case Abandoned() | GivenUp():
                wanted = record.message.message_id in messages
            case _:
                wanted = False
        if wanted or rule is None:
            yield record
