"""Decides when a condition starts and when it has ended; pure: lines, numbers and times in, transitions out.

A batch of lines is counted first, by rule, key and second; then only the windows whose counts changed are judged. A
condition starts when any window that contains a line just read fulfils the rule, whatever the order in which lines
arrive. It has ended when no window that ended within the rule's hold time fulfils it, by the event clock.

The pipeline's own numbers (rules of the kind ``metric``) come with a wall-clock time, which is their only clock.

The engine writes nothing to disk for a single line, since Kafka keeps the lines. The service saves a snapshot of the
windows together with the Kafka offsets that belong to it, and an alerter that loads the snapshot reads on from those
offsets. It saves each alert when the alert starts or ends, so lines that are read twice do not start or end an alert
twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Key, Measure, incident_of
from obsctl.alerter.evaluation.deduplication import Recent
from obsctl.alerter.evaluation.line_sample import Sample, Top
from obsctl.alerter.evaluation.watched_rule import Evicted, WatchedRule
from obsctl.alerter.rules.rule import Lines, Log, Rule
from obsctl.alerter.windows.number_series import Readings
from obsctl.alerter.windows.observation import Observation
from obsctl.alerter.windows.window import Window
from obsctl.lines.event import Event
from obsctl.lines.formats.line import AccessLine

#: How often counts that are too old for every window are dropped, seconds.
_PRUNE_EVERY_S = 10.0
#: How many keys (clients) a rule counts at a time; docs/reference/alerting.md says how much memory they take.
MOST_KEYS = 100_000


class Transition(NamedTuple):
    """A condition started or ended.

    Attributes:
        alert: a copy that does not change any more.
    """

    alert: Alert


@dataclass
class Changes:
    """The alerts that the state file does not know yet.

    Attributes:
        alerts: started or ended, by rule and key.
        gone: dropped, by rule and key.
    """

    alerts: dict[tuple[str, Key], Alert] = field(default_factory=dict)
    gone: set[tuple[str, Key]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return self != Changes()


class Snapshot(msgspec.Struct, array_like=True):
    """The windows at one moment.

    Attributes:
        windows: by :attr:`Rule.id`, then by key, as :meth:`dump` of the window returns it.
        since: first second that each rule has counted, by :attr:`Rule.id`.
        recent: :meth:`Recent.dump`.
        head: latest second that was counted.
    """

    windows: dict[str, list[tuple[Any, list[Any]]]]
    since: dict[str, int]
    recent: bytes
    head: int


@dataclass
class Skipped:
    """Lines that were not counted since the start, by reason."""

    late: int = 0
    ahead: int = 0
    repeated: int = 0


class Engine:
    """The windows and alerts of all rules.

    Args:
        rules: the rules, with distinct names.
        lateness_s: lines older than this are not counted: a replay of old logs is not news.
        ahead_s: lines further in the future than this are not counted: their host's clock is wrong.
        most_keys: how many keys a rule counts at a time. Beyond that, the keys with the fewest hits are dropped, and
            among these the ones silent for longest: many addresses send one request only, which is no condition.
        most_recent: how many lines are recognized when they are read a second time; 0 for as many as all rules need.
        prune_every_s: how often counts that are too old for every window are dropped, seconds of the clock that
            :meth:`feed` is given. Each time every key is checked.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        lateness_s: float,
        ahead_s: float,
        most_keys: int = MOST_KEYS,
        most_recent: int = 0,
        prune_every_s: float = _PRUNE_EVERY_S,
    ) -> None:
        self.skipped = Skipped()
        self.counted = 0
        self._watched = {rule.name: WatchedRule(rule, most_keys) for rule in rules}
        self._by_log = {log: [w for w in self._watched.values() if w.rule.log is log] for log in (*Log, None)}
        self._lateness_s = lateness_s
        self._ahead_s = ahead_s
        self._recent = Recent(most_recent)
        self._sample = Sample()
        self._alerts: dict[tuple[str, Key], Alert] = {}
        #: The alerts that are firing, by rule and key.
        self.firing: dict[tuple[str, Key], Alert] = {}
        self._head = 0
        self._prune_every_s = prune_every_s
        self._pruned_at = 0.0
        # Later than any clock: so the first look at the clock is treated as a clock that was set back, whatever was
        # restored.
        self._wall = float("inf")
        self._changes = Changes()

    def snapshot(self) -> bytes:
        """Return the windows as they are now, for :meth:`restore`."""
        return msgspec.msgpack.encode(
            Snapshot(
                {
                    watched.rule.id: [(key, window.dump()) for key, window in watched.windows.items()]
                    for watched in self._watched.values()
                },
                {watched.rule.id: watched.since for watched in self._watched.values()},
                self._recent.dump(),
                self._head,
            )
        )

    def restore(self, snapshot: bytes, now: float) -> bool:
        """Take over the windows of an earlier process.

        Returns:
            Whether the windows were restored. They are not if a rule is new or was changed: then all windows are built
                by reading again the lines that still count.
        """
        try:
            kept = msgspec.msgpack.decode(snapshot, type=Snapshot)
        except msgspec.DecodeError:
            return False
        if any(watched.rule.id not in kept.windows for watched in self._watched.values()):
            return False
        for watched in self._watched.values():
            watched.since = kept.since[watched.rule.id]
            for key, dumped in kept.windows[watched.rule.id]:
                watched.window(tuple(key) if isinstance(key, list) else key, now).load(dumped)
        self._recent.load(kept.recent)
        self._head = kept.head
        return True

    def take_over(self, alerts: Iterable[Alert]) -> list[Transition]:
        """Take over the alerts of an earlier process; returns the end of those whose rule no longer exists."""
        orphans = []
        for alert in alerts:
            place = (alert.rule, alert.key)
            watched = self._watched.get(alert.rule)
            if watched is not None and watched.rule.kind == alert.kind and tuple(alert.labels) == watched.rule.fields:
                self._alerts[place] = alert
                alert.severity = watched.rule.severity
                if alert.state is AlertState.FIRING:
                    self.firing[place] = alert
                continue
            self._changes.gone.add(place)
            if alert.state is AlertState.FIRING:
                alert.state, alert.ended = AlertState.ENDED, alert.last_true
                orphans.append(Transition(alert))
        return orphans

    @property
    def keys(self) -> dict[str, int]:
        """How many keys are counted now, by the rule's name."""
        return {name: len(watched.windows) for name, watched in self._watched.items()}

    @property
    def evicted(self) -> dict[str, Evicted]:
        """What was dropped to make room, by the rule's name."""
        return {name: watched.evicted for name, watched in self._watched.items()}

    def feed(self, events: Iterable[Event], now: float) -> list[Transition]:
        """Count the lines and return the conditions that start with them.

        Args:
            events: in any order.
            now: wall-clock time, seconds since the epoch.
        """
        self._look_at(now)
        started: list[Transition] = []
        for log, lines in self._accepted(events, now).items():
            if not lines:
                continue
            self._head = max(self._head, max(lines, key=_second)[0])
            self._sample.add(log, lines)
            for watched in self._by_log[log]:
                self._count(watched, lines, now, started)
        return started

    def tick(self, clock: float | None, now: float) -> list[Transition]:
        """Return the conditions that have ended, and those that started because time has passed without lines.

        Args:
            clock: event time reached (:class:`obsctl.alerter.evaluation.event_clock.EventClock`), None when unknown.
            now: wall-clock time, seconds since the epoch.
        """
        self._look_at(now)
        changed: list[Transition] = []
        # Lines older than the lateness are not counted, so in a backlog that is older than it no end can be detected.
        if clock is not None and clock >= now - self._lateness_s:
            reached = int(min(clock, now))
            for watched in self._watched.values():
                if watched.rule.clocked:
                    self._watch_time(watched, reached, changed)
            for place, alert in list(self.firing.items()):
                if self._watched[alert.rule].rule.log is not None and self._has_ended(alert, reached):
                    changed.append(self._end(place, alert, reached))
        if not 0 <= now - self._pruned_at < self._prune_every_s:
            self._pruned_at = now
            self._prune(now)
        return changed

    def top(self, alert: Alert) -> Top | None:
        """Return the most frequent values in an alert's worst window, as far as its lines are still in the sample."""
        watched = self._watched.get(alert.rule)
        if watched is None or alert.kind != watched.rule.kind:
            return None
        return self._sample.top(watched.rule, watched.count, watched.key_of(alert), alert.peak_at)

    def observe(self, seen: Observation, now: float) -> list[Transition]:
        """Judge the pipeline's own numbers; return the conditions that start and those that have ended.

        For a source that cannot be read the last numbers stay: so its failure ends no alert.

        Args:
            seen: the numbers; their time is the clock by which such conditions start and end.
            now: wall-clock time, seconds since the epoch.
        """
        self._look_at(now)
        changed: list[Transition] = []
        second = int(min(seen.at, now))
        for watched in self._by_log[None]:
            numbers = watched.rule.observed(seen)
            for key in numbers:
                watched.window(key, now)
            for key, window in list(watched.windows.items()):
                if isinstance(window, Readings):
                    window.take(second, numbers.get(key, ()), seen.unread)
                self._judge(watched, key, second, second, changed)
        for place, alert in list(self.firing.items()):
            watched = self._watched[alert.rule]
            if watched.rule.log is not None or (seen.unread and not self._window_of(alert)):
                continue
            if self._has_ended(alert, second):
                changed.append(self._end(place, alert, second))
        return changed

    def take_changes(self) -> Changes:
        """Return the alerts that have changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def _look_at(self, now: float) -> None:
        """Look at the wall clock; if it was set back, correct every stored time that is now in the future.

        An end in the future would silence its key, and a latest true window in the future would keep an alert firing,
        until that time comes.
        """
        if now < self._wall:
            latest = int(now + self._ahead_s)
            self._head = min(self._head, latest)
            for alert in self._alerts.values():
                alert.last_true = min(alert.last_true, latest)
                alert.ended = min(alert.ended, int(now))
        self._wall = now

    def _accepted(self, events: Iterable[Event], now: float) -> dict[Log, list[tuple[int, Any]]]:
        """Return the lines that count, by log."""
        access: list[tuple[int, Any]] = []
        errors: list[tuple[int, Any]] = []
        oldest, newest = now - self._lateness_s, now + self._ahead_s
        is_new = self._recent.add
        for event in events:
            if event.time < oldest:
                self.skipped.late += 1
            elif event.time > newest:
                self.skipped.ahead += 1
            elif not is_new(event.identity):
                self.skipped.repeated += 1
            elif type(event.line) is AccessLine:
                access.append((int(event.time), event.line))
            else:
                errors.append((int(event.time), event.line))
        self.counted += len(access) + len(errors)
        return {Log.ACCESS: access, Log.ERROR: errors}

    def _count(self, watched: WatchedRule, lines: Lines, now: float, started: list[Transition]) -> None:
        """Count lines under a rule, and see what starts with them."""
        touched: defaultdict[Any, list[int]] = defaultdict(list)
        watched.since = watched.since or min(lines, key=_second)[0]
        for (key, second), count in watched.count(lines).items():
            watched.window(key, now).add(second, count)
            touched[key].append(second)
        possible = watched.rule.possible
        for key, seconds in touched.items():
            window = watched.windows.get(key)
            # A key that was dropped within this batch had too few hits for a condition.
            if window is not None and possible(window):
                # Every window that contains one of these seconds and has ended by the time of the latest line.
                latest = min(max(seconds) + watched.rule.window_s - 1, self._head)
                self._judge(watched, key, min(seconds), latest, started)

    def _watch_time(self, watched: WatchedRule, reached: int, started: list[Transition]) -> None:
        for key in watched.rule.expected():
            if key not in watched.windows:
                # The key is watched from now on: whether it was silent before is not known.
                watched.windows[key] = window = watched.rule.new_window()
                window.add(reached, 0)
        for key in list(watched.windows):
            self._judge(watched, key, reached, reached, started)

    def _judge(self, watched: WatchedRule, key: Any, first: int, last: int, started: list[Transition]) -> None:
        """Judge every window that ends from ``first`` to ``last``."""
        rule, window = watched.rule, watched.windows[key]
        labels = rule.labels(key)
        place = (rule.name, tuple(labels.values()))
        alert = self._alerts.get(place)
        if alert is not None and alert.state is AlertState.ENDED:
            first = max(first, alert.ended + 1)
        true = list(rule.holding(window, first, last))
        if not true:
            return
        worst_end, worst = max(true, key=_value)
        if alert is not None and alert.state is AlertState.FIRING:
            _still_on(alert, true[-1][0], worst, worst_end)
            return
        began = true[0][0]
        alert = Alert(
            rule=rule.name,
            kind=rule.kind,
            severity=rule.severity,
            labels=labels,
            incident=incident_of(*place, began),
            state=AlertState.FIRING,
            started=began,
            last_true=true[-1][0],
            peak=worst,
            peak_at=worst_end,
        )
        self._alerts[place] = self.firing[place] = self._changes.alerts[place] = alert
        started.append(Transition(_copy(alert)))

    def _end(self, place: tuple[str, Key], alert: Alert, clock: int) -> Transition:
        alert.state, alert.ended = AlertState.ENDED, clock
        self._changes.alerts[place] = alert
        del self.firing[place]
        return Transition(_copy(alert))

    def _window_of(self, alert: Alert) -> Window | None:
        """Return the window of an alert's key, None where there is none (any more)."""
        watched = self._watched[alert.rule]
        return watched.windows.get(watched.key_of(alert))

    def _has_ended(self, alert: Alert, clock: int) -> bool:
        rule = self._watched[alert.rule].rule
        if clock - alert.last_true < rule.resolve_after_s:
            return False
        window = self._window_of(alert)
        if window is not None:
            for end, measure in rule.still_holding(window, clock - rule.resolve_after_s + 1, clock):
                _still_on(alert, end, measure, end)
        return clock - alert.last_true >= rule.resolve_after_s

    def _prune(self, now: float) -> None:
        oldest = int(now - self._lateness_s) - 1
        longest = 0
        for watched in self._watched.values():
            longest = max(longest, watched.rule.keep_s)
            watched.forget(oldest)
        for place, alert in list(self._alerts.items()):
            if alert.state is AlertState.ENDED and alert.ended < oldest - longest:
                del self._alerts[place]
                self._changes.alerts.pop(place, None)
                self._changes.gone.add(place)


def _still_on(alert: Alert, last_true: int, measure: Measure, measured_at: int) -> None:
    alert.last_true = max(alert.last_true, last_true)
    if measure > alert.peak:
        alert.peak, alert.peak_at = measure, measured_at


def _second(entry: tuple[int, Any]) -> int:
    return entry[0]


def _value(entry: tuple[int, Measure]) -> Measure:
    return entry[1]


def _copy(alert: Alert) -> Alert:
    return msgspec.structs.replace(alert)
