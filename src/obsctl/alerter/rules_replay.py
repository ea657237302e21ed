"""What rules would have sent while some lines were written: the engine and the stages, moved by the lines' own times.

Pure: lines in, messages out. Not to be confused with the replay of stored lines (:mod:`obsctl.consumer.tools.replay`)
or of a log into the lab (:mod:`obsctl.lab.replay`).

Each second in which something may happen is one turn, as if the alerter had read every line in the second in which it
was written. Hours in which nothing is on are skipped, so a quiet month takes no longer than a quiet hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Key
from obsctl.alerter.engine import Engine
from obsctl.alerter.events import Event
from obsctl.alerter.message import Writer, utc
from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.templates import Templates

#: As alerter.yml has them by default, seconds. Lines that are replayed in order are never late.
_LATENESS_S, _AHEAD_S, _SHIPPING_S = 300.0, 60.0, 5.0
#: Where a condition takes longer to end after the last line, its end is not waited for (seconds).
_LONGEST_END_S = 86_400
_CHANNEL = "replay"


class RuleResult(msgspec.Struct, kw_only=True):
    """What one rule would have done.

    Attributes:
        name: of the rule.
        fires: conditions that started.
        messages: that are about it.
        first: when its first condition started, by the time of the lines; None for never.
        last: when its last one started.
    """

    name: str
    fires: int = 0
    messages: int = 0
    first: str | None = None
    last: str | None = None


class Condition(msgspec.Struct, kw_only=True):
    """One condition of one rule, from its start to its end.

    Attributes:
        rule: name of the rule.
        labels: what it is about.
        started: when it started.
        ended: when it was true for the last time; None where the log ends before.
        peak: its worst window, in words.
    """

    rule: str
    labels: dict[str, str]
    started: str
    ended: str | None = None
    peak: str = ""


class Sent(msgspec.Struct, kw_only=True, frozen=True):
    """A message that would have been sent.

    Attributes:
        at: when.
        rule: which rules it is about.
        kind: why.
        title: its first line.
    """

    at: str
    rule: str
    kind: str
    title: str


class Replayed(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        rules: in the file's order.
        conditions: in the order in which they started.
        messages: in the order of time.
        first: time of the first line; None without lines.
        last: time of the last one.
    """

    rules: list[RuleResult]
    conditions: list[Condition]
    messages: list[Sent]
    first: str | None = None
    last: str | None = None


def replay(
    rules: Sequence[Rule], events: Sequence[Event], progress: Callable[[str], None] = lambda _: None
) -> Replayed:
    """Return what rules would have sent.

    Args:
        rules: with distinct names.
        events: in the order of their times.
        progress: is called again and again with how far the replay is.
    """
    if not events:
        return Replayed(rules=[RuleResult(name=rule.name) for rule in rules], conditions=[], messages=[])
    run = _Run(rules, math.ceil(events[-1].time))
    at, second = 0, math.ceil(events[0].time)
    while at < len(events):
        first = at
        while at < len(events) and events[at].time <= second:
            at += 1
        run.turn(events[first:at], second)
        if at > first:
            progress(f"{at:,} of {len(events):,} lines replayed, until {utc(second)}")
        if at < len(events):
            second = run.next_second(second, math.ceil(events[at].time))
    while run.ends_later(second):
        second += 1
        run.turn((), second)
    return Replayed(
        rules=list(run.results.values()),
        conditions=run.conditions(),
        messages=run.messages,
        first=utc(events[0].time),
        last=utc(events[-1].time),
    )


class _Run:
    """The engine and the stages of one replay.

    Args:
        rules: the rules.
        end: second of the last line. Afterwards what time alone would start does not: the log ends, not the traffic.
    """

    def __init__(self, rules: Sequence[Rule], end: int) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self.results = {rule.name: RuleResult(name=rule.name) for rule in rules}
        self._started: dict[str, Alert] = {}
        self.messages: list[Sent] = []
        self._end = end
        self._clocked = {rule.name for rule in rules if rule.clocked}
        longest = max((max(rule.window_s, rule.resolve_after_s) for rule in rules if rule.clocked), default=0)
        #: For so long after a line time alone can start a condition, or end one that the line broke.
        self._watch_s = longest + _SHIPPING_S + 1
        #: What other rules hold is on, and so goes on anyway.
        self._holds = any(rule.clocked and rule.for_s for rule in rules)
        self._last_line = 0
        self._engine = Engine(rules, lateness_s=_LATENESS_S, ahead_s=_AHEAD_S)
        self._writer = Writer(rules, "obs", Templates())
        self._notifier = Notifier(notification_plan(NotifyOptions(), rules, [_CHANNEL]))

    def turn(self, events: Sequence[Event], second: int) -> None:
        """Let a second pass in which these lines were written."""
        if events:
            self._last_line = second
        changed = self._engine.feed(events, second) + self._engine.tick(second - _SHIPPING_S, second)
        news = [transition.alert for transition in changed if self._counts(transition.alert)]
        for alert in news:
            if alert.incident not in self._started:
                result = self.results[alert.rule]
                result.fires += 1
                result.last = utc(alert.started)
                result.first = result.first or result.last
            self._started[alert.incident] = alert
        for about in self._notifier.turn(news, self._firing(), second).notifications:
            message = self._writer.message(about, {})
            names = dict.fromkeys(alert.rule for alert in about.alerts)
            for name in names:
                self.results[name].messages += 1
            self.messages.append(
                Sent(at=utc(about.at), rule=", ".join(names), kind=message.kind.value, title=message.title)
            )

    def conditions(self) -> list[Condition]:
        """Return all that started, each as it was last seen."""
        on = {alert.incident: alert for alert in self._engine.firing.values()}
        return [
            Condition(
                rule=alert.rule,
                labels=alert.labels,
                started=utc(alert.started),
                ended=utc(alert.last_true) if alert.state is AlertState.ENDED else None,
                peak=self._writer.measured(self._rules[alert.rule], alert.peak),
            )
            for alert in (on.get(incident, alert) for incident, alert in self._started.items())
        ]

    def next_second(self, second: int, upcoming: int) -> int:
        """Return the next second in which something may happen.

        Args:
            second: the last one.
            upcoming: that of the next line.
        """
        if self._goes_on or second < self._last_line + self._watch_s:
            return second + 1
        # The second before the line as well: a silence that is on lasts until then.
        repeats = [math.ceil(group.repeat_at) for group in self._notifier.memory.groups.values() if group.repeat_at]
        return max(second + 1, min([upcoming - 1, *repeats]))

    def ends_later(self, second: int) -> bool:
        """Whether something that began before the last line's end may still end, or be said."""
        breaking = second < self._end + self._watch_s and any(map(self._counts, self._engine.firing.values()))
        return breaking or (self._goes_on and second < self._end + _LONGEST_END_S)

    @property
    def _goes_on(self) -> bool:
        """Whether something happens in the next seconds, also without lines."""
        memory = self._notifier.memory
        return (
            bool(memory.news)
            or any(rule not in self._clocked for rule, _ in self._engine.firing)
            or (self._holds and any(member.held for member in memory.members.values()))
        )

    def _firing(self) -> Mapping[tuple[str, Key], Alert]:
        firing = self._engine.firing
        if all(map(self._counts, firing.values())):
            return firing
        return {place: alert for place, alert in firing.items() if self._counts(alert)}

    def _counts(self, alert: Alert) -> bool:
        return alert.rule not in self._clocked or alert.started <= self._end
