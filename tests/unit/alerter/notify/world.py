"""Alerts that start and end by a clock, and what the stages make of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Key, Level, Measure, incident_of
from obsctl.alerter.notify.filters import Filter, value
from obsctl.alerter.notify.memory import Entry, decode, encode
from obsctl.alerter.notify.notification import Notification
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.plan import Plan, plan
from obsctl.alerter.notify.silences import Silence
from obsctl.alerter.notify.stages import Notifier, Outcome
from obsctl.core.errors import ConfigError

#: A second to reckon from, seconds since the epoch: Friday, 2027-01-15, 08:00 UTC.
T = 1_800_000_000
#: Between two turns, seconds.
STEP = 0.2
CHANNELS = ("chat", "pager", "mail")
LABELS = ("client_addr", "upstream")


def read(text: str) -> Filter:
    """Return the filter for ``field:value AND field:value``: as much of the language as these tests need."""
    pairs = []
    for part in text.split(" AND "):
        field, colon, wanted = part.partition(":")
        if not colon:
            raise ConfigError(f"filter, column 1: {text!r} is none", hint="write field:value")
        if field not in ("rule", "kind", "severity", "incident", *LABELS):
            raise ConfigError(f"filter, column 1: there is no field {field}", hint="did you mean rule?")
        pairs.append((field, wanted))
    return lambda alert: all(value(alert, field) == wanted for field, wanted in pairs)


def planned(options: dict[str, Any] | None = None, for_s: dict[str, float] | None = None) -> Plan:
    """Return the plan of a section ``notifications``."""
    return plan(
        msgspec.convert(options or {}, NotifyOptions), channels=CHANNELS, labels=LABELS, for_s=for_s or {}, read=read
    )


def route(**options: Any) -> dict[str, Any]:
    """Return options with one route to the channel ``chat``."""
    return {"routes": [{"name": "all", "channels": ["chat"], **options}]}


class World:
    """What goes on, and what is said about it.

    Args:
        options: the section ``notifications``.
        for_s: by rule.

    Attributes:
        now: wall-clock time.
        said: all notifications so far.
        outcomes: all turns in which something came out.
        rows: what is saved.
    """

    def __init__(self, options: dict[str, Any] | None = None, for_s: dict[str, float] | None = None) -> None:
        self.plan = planned(options, for_s)
        self.notifier = Notifier(self.plan)
        self.now = float(T)
        self.firing: dict[tuple[str, Key], Alert] = {}
        self.said: list[Notification] = []
        self.outcomes: list[Outcome] = []
        self.silences: Sequence[Silence] = ()
        self.unable_since: dict[str, float] = {}
        self.rows: dict[str, bytes] = {}
        self.begun = 0
        self._changed: list[Alert] = []

    def start(
        self,
        *key: str,
        rule: str = "rate",
        severity: Level = Level.WARNING,
        label: str = "client_addr",
        peak: float = 1,
    ) -> Alert:
        """A condition starts now; without a key it is about the whole fleet."""
        started = int(self.now)
        alert = Alert(
            rule=rule,
            kind="frequency",
            severity=severity,
            labels=dict(zip((label, *LABELS), key, strict=False)),
            incident=incident_of(rule, key, f"{self.now}"),  # type: ignore[arg-type]
            state=AlertState.FIRING,
            started=started,
            last_true=started,
            peak=Measure(peak, 1, 1),
        )
        self.firing[rule, key] = alert
        self._changed.append(alert)
        self.begun += 1
        return alert

    def end(self, *key: str, rule: str = "rate") -> Alert:
        """A condition ends now. As in the engine, it is the same object."""
        alert = self.firing.pop((rule, key))
        alert.state = AlertState.ENDED
        alert.last_true = alert.ended = int(self.now)
        self._changed.append(alert)
        return alert

    def severity(self, level: Level, *key: str, rule: str = "rate") -> None:
        """A condition gets worse or better."""
        alert = self.firing[rule, key]
        alert.severity = level
        self._changed.append(alert)

    def turn(self) -> Outcome:
        """One turn, and what it changed is saved."""
        changed, self._changed = self._changed, []
        outcome = self.notifier.turn(
            changed, self.firing, self.now, silences=self.silences, unable_since=self.unable_since
        )
        self.said += outcome.notifications
        if any(outcome):
            self.outcomes.append(outcome)
        changes = self.notifier.take_changes()
        for entry_id in changes.gone:
            self.rows.pop(entry_id, None)
        self.rows.update({entry_id: encode(entry) for entry_id, entry in changes.saved.items()})
        return outcome

    def run(self, seconds: float, step: float = STEP) -> list[Notification]:
        """Let time pass, and return what was said meanwhile."""
        already, until = len(self.said), self.now + seconds
        while self.now < until - 1e-6:
            self.now = min(until, self.now + step)
            self.turn()
        return self.said[already:]

    def entries(self) -> Iterable[Entry]:
        """What a new process finds."""
        return [decode(row) for row in self.rows.values()]

    def restart(self, options: dict[str, Any] | None = None) -> None:
        """A new process takes over; what the old one did not save is gone."""
        if options is not None:
            self.plan = planned(options)
        self.notifier = Notifier(self.plan, self.entries())

    @property
    def suppressed(self) -> list[tuple[str, str, int]]:
        """Stage, cause and number of ended alerts of all records."""
        return [(s.stage, s.cause, s.ended) for outcome in self.outcomes for s in outcome.suppressed]

    @property
    def reasons(self) -> list[str]:
        """Of all notifications."""
        return [notification.reason.value for notification in self.said]

    def sums(self) -> tuple[int, int, int]:
        """Alerts that were reported as started, as ended, and that started and ended without a message."""
        return (
            sum(notification.started for notification in self.said),
            sum(notification.resolved for notification in self.said),
            sum(ended for _, _, ended in self.suppressed),
        )
