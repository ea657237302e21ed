"""What rules would have sent for past lines: the engine and the stages, with the lines' own times as the clock.

Pure: lines in, messages out. Not to be confused with the replay of stored lines (:mod:`obsctl.consumer.tools.replay`)
or of a log into the lab (:mod:`obsctl.lab.replay`).

Each second in which something may happen is one turn, as if the alerter had read every line in the second that the
line's source gives. Hours without alerts are skipped, so a quiet month takes no longer than a quiet hour.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Key
from obsctl.alerter.evaluation.engine import Engine, Skipped, Transition
from obsctl.alerter.evaluation.tolerances import AHEAD_S, LATENESS_S, SHIPPING_S
from obsctl.alerter.messages.message import Writer, utc
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.rules.rule import Rule
from obsctl.lines.event import Event

T = TypeVar("T")

#: More than in the running alerter: in a replay seconds pass much faster, while a check of all keys takes the same
#: time.
_PRUNE_EVERY_S = 60.0
#: The most lines that are counted at once, even if more have the same second.
_BATCH = 5_000
#: How long after the last line the replay waits for conditions to end (seconds).
_LONGEST_END_S = 86_400
_CHANNEL = "replay"


class Read(NamedTuple):
    """A line of a replay.

    Attributes:
        at: when it counts as read, seconds since the epoch; of a log in order the line's own time.
        event: the line; None if the clock only advances to this moment.
    """

    at: float
    event: Event | None


class Position(NamedTuple):
    """Progress of a replay.

    Attributes:
        lines: how many were read.
        second: the clock, seconds since the epoch.
        fires: conditions that started.
    """

    lines: int
    second: int
    fires: int


class RuleResult(msgspec.Struct, kw_only=True):
    """What one rule would have done.

    Attributes:
        name: of the rule.
        fires: conditions that started.
        messages: how many are about it.
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
        labels: the key with the names of its fields.
        started: when it started.
        ended: when it was true for the last time; None if the log ends before.
        peak: its worst window, in words.
        still_on: whether it was true where the lines end; anything later assumes that no more lines come.
    """

    rule: str
    labels: dict[str, str]
    started: str
    ended: str | None = None
    peak: str = ""
    still_on: bool = False


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
    """The result of a replay.

    Attributes:
        rules: in the file's order.
        conditions: in the order in which they started.
        messages: in the order of time.
        first: time of the first line; None without lines.
        last: time of the last one.
        late: lines that did not count, because they were read five minutes or more after they were written.
        ahead: lines that did not count, because their time was a minute or more after they were read.
        repeated: lines that did not count, because they had been read before.
    """

    rules: list[RuleResult]
    conditions: list[Condition]
    messages: list[Sent]
    first: str | None = None
    last: str | None = None
    late: int = 0
    ahead: int = 0
    repeated: int = 0


def replay(
    rules: Sequence[Rule],
    lines: Iterable[Read],
    progress: Callable[[int, int], None] = lambda _lines, _second: None,
    *,
    since: float | None = None,
    until: float | None = None,
) -> Replayed:
    """Return what rules would have sent.

    Args:
        rules: with distinct names.
        lines: in the order in which they were read.
        progress: is called regularly with the progress: lines, and seconds since the epoch.
        since: where the clock begins, seconds since the epoch; None: at the first line.
        until: where it ends; None: at the last line.
    """
    turns = replaying(rules, lines, since=since, until=lambda: until)
    return result_of(turns, lambda position: progress(position.lines, position.second))


def result_of(turns: Generator[Position, None, T], progress: Callable[[Position], None]) -> T:
    """Run a replay to its end and return its result.

    Args:
        turns: of the replay, from :func:`replaying`.
        progress: is called with each position.
    """
    while True:
        try:
            position = next(turns)
        except StopIteration as end:
            result: T = end.value
            return result
        progress(position)


def replaying(
    rules: Sequence[Rule],
    lines: Iterable[Read],
    *,
    since: float | None,
    until: Callable[[], float | None],
) -> Generator[Position, None, Replayed]:
    """Yield the progress regularly, and return what rules would have sent.

    Args:
        rules: with distinct names.
        lines: as :func:`replay` takes them.
        since: as there.
        until: called when there are no more lines.
    """
    run, ahead = _Run(rules), _LookAhead(lines)
    begin = since if since is not None else ahead.next.at if ahead.next is not None else None
    if begin is None:
        return Replayed(rules=list(run.results.values()), conditions=[], messages=[])
    second = math.ceil(begin)
    run.begin(second)
    run.turn(ahead.until(second), second)
    while ahead.next is not None:
        yield Position(ahead.taken, second, run.fires)
        second = run.next_second(second, math.ceil(ahead.next.at))
        run.turn(ahead.until(second), second)
    ends = until()
    end = second if ends is None else max(second, math.floor(ends))
    while second < end:
        second = min(end, run.next_second(second, end))
        run.turn((), second)
    run.end(second)
    while run.ends_later(second):
        second += 1
        run.turn((), second)
    skipped = run.skipped
    return Replayed(
        rules=list(run.results.values()),
        conditions=run.conditions(),
        messages=run.messages,
        first=None if ahead.first is None else utc(ahead.first),
        last=None if ahead.last is None else utc(ahead.last),
        late=skipped.late,
        ahead=skipped.ahead,
        repeated=skipped.repeated,
    )


class _LookAhead:
    """An iterator over the lines that shows the next one.

    Attributes:
        next: the next line; None where there is none.
        taken: how many lines were returned.
        first: when the first of them was read, seconds since the epoch; None before it.
        last: when the last of them was.
    """

    def __init__(self, lines: Iterable[Read]) -> None:
        self._lines = iter(lines)
        self.next = next(self._lines, None)
        self.taken = 0
        self.first: float | None = None
        self.last: float | None = None

    def until(self, second: int) -> Iterator[Event]:
        """Return the lines that were read up to a second."""
        while self.next is not None and self.next.at <= second:
            read = self.next
            if read.event is not None:
                self.taken += 1
                if self.first is None:
                    self.first = read.at
                self.last = read.at
            self.next = next(self._lines, None)
            if read.event is not None:
                yield read.event


class _Run:
    """The engine and the stages of one replay.

    Args:
        rules: the rules.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self.results = {rule.name: RuleResult(name=rule.name) for rule in rules}
        self._started: dict[str, Alert] = {}
        self.messages: list[Sent] = []
        #: Known once the lines have ended: what starts later, only because time passes, does not count.
        self._end = math.inf
        #: Incidents that were firing then.
        self._still_on: set[str] = set()
        self._clocked = {rule.name for rule in rules if rule.clocked}
        longest = max((max(rule.window_s, rule.resolve_after_s) for rule in rules if rule.clocked), default=0)
        #: How long after a line a condition can start only because time passes, or one can end that the line
        #: interrupted.
        self._watch_s = longest + SHIPPING_S + 1
        #: Whether such a rule holds its alerts (``for_s``); held alerts of other rules are firing, and so followed
        #: anyway.
        self._holds = any(rule.clocked and rule.for_s for rule in rules)
        self._last_line = 0
        self._engine = Engine(rules, lateness_s=LATENESS_S, ahead_s=AHEAD_S, prune_every_s=_PRUNE_EVERY_S)
        self._writer = Writer(rules, Templates())
        self._notifier = Notifier(notification_plan(NotifyOptions(), rules, [_CHANNEL]))

    @property
    def skipped(self) -> Skipped:
        """How many lines did not count, by reason."""
        return self._engine.skipped

    @property
    def fires(self) -> int:
        """How many conditions started."""
        return len(self._started)

    def begin(self, second: int) -> None:
        """Start the clock."""
        self._last_line = second

    def end(self, second: int) -> None:
        """Record that the lines have ended: from now on nothing may start because lines are missing."""
        self._end = second
        self._still_on = {alert.incident for alert in self._engine.firing.values()}

    def turn(self, events: Iterable[Event], second: int) -> None:
        """Process a second in which these lines were read."""
        events = iter(events)
        changed: list[Transition] = []
        while batch := list(itertools.islice(events, _BATCH)):
            self._last_line = second
            changed += self._engine.feed(batch, second)
        changed += self._engine.tick(second - SHIPPING_S, second)
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
        """Return all conditions that started, each in its latest state."""
        on = {alert.incident: alert for alert in self._engine.firing.values()}
        return [
            Condition(
                rule=alert.rule,
                labels=alert.labels,
                started=utc(alert.started),
                ended=utc(alert.last_true) if alert.state is AlertState.ENDED else None,
                peak=self._writer.measured(self._rules[alert.rule], alert.peak),
                still_on=alert.incident in self._still_on,
            )
            for alert in (on.get(incident, alert) for incident, alert in self._started.items())
        ]

    def next_second(self, second: int, upcoming: int) -> int:
        """Return the next second in which something may happen.

        Args:
            second: the last one.
            upcoming: the second of the next line.
        """
        if self._goes_on or second < self._last_line + self._watch_s:
            return second + 1
        # The second before the line as well: a condition about missing lines lasts until then.
        repeats = [math.ceil(group.repeat_at) for group in self._notifier.memory.groups.values() if group.repeat_at]
        return max(second + 1, min([upcoming - 1, *repeats]))

    def ends_later(self, second: int) -> bool:
        """Whether something that began before the lines ended may still end or be reported."""
        breaking = second < self._end + self._watch_s and any(map(self._counts, self._engine.firing.values()))
        return breaking or (self._goes_on and second < self._end + _LONGEST_END_S)

    @property
    def _goes_on(self) -> bool:
        """Whether something may happen in the next seconds even without lines."""
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
