"""Decides when a condition starts and when it has ended; pure: events and times in, transitions out.

A condition starts when any window that contains a line just read fulfils the rule, whatever the order in which
lines arrive. It has ended when no window that ended within the rule's hold time fulfils it, by the event clock.
What changed since the last call is kept as :class:`Changes`, for the state file.
"""

from __future__ import annotations

import enum
import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from obsctl.alerter.events import Event
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.window import Count, Window

#: How often counts that are too old for every window are dropped, seconds.
_PRUNE_EVERY_S = 10.0
#: Keys (clients) that a rule counts at a time; docs/reference/alerting.md says how much memory they take.
MOST_KEYS = 100_000
#: The share of them that is dropped at once when there are more: to look for the smallest costs as much for one.
_EVICTED_SHARE = 0.1


class AlertState(enum.StrEnum):
    """Whether an alert's condition is on."""

    FIRING = "firing"
    #: Kept for a while, so that late lines of an ended condition do not start it again.
    ENDED = "ended"


@dataclass
class Alert:
    """One rule's condition for one key.

    Attributes:
        rule_id: :attr:`Rule.id`.
        key: whom it concerns.
        incident: the same in the first and the resolved message, and in no other.
        state: on or ended.
        started: end of the first window that fulfilled the condition, event second.
        last_true: end of the latest one, event second.
        peak: the worst window's count.
        ended: event second at which the end was decided; 0 while firing.
    """

    rule_id: str
    key: str
    incident: str
    state: AlertState
    started: int
    last_true: int
    peak: Count
    ended: int = 0


class Transition(NamedTuple):
    """A condition started or ended.

    Attributes:
        alert: a copy that does not change any more.
        rule: its rule; None when the configuration no longer has it.
        hosts: requests by host of the worst window, most first.
    """

    alert: Alert
    rule: Rule | None
    hosts: tuple[tuple[str, int], ...] = ()


class Cell(NamedTuple):
    """Where a count is kept."""

    rule_id: str
    key: str
    second: int
    host: str


@dataclass
class Changes:
    """What the state file does not know yet.

    Attributes:
        cells: counts, as they are now.
        seen: identities of lines counted, with their second.
        alerts: alerts new or changed, by rule id and key.
        gone: alerts dropped, by rule id and key.
        evicted: rule ids and keys whose counts, but those in ``cells``, are to be dropped.
        keep_from: everything before this event second is to be dropped; None: nothing to drop.
    """

    cells: dict[Cell, Count] = field(default_factory=dict)
    seen: list[tuple[int, int]] = field(default_factory=list)
    alerts: dict[tuple[str, str], Alert] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)
    evicted: set[tuple[str, str]] = field(default_factory=set)
    keep_from: int | None = None

    def __bool__(self) -> bool:
        return self != Changes()


@dataclass
class Skipped:
    """Lines that were not counted since the start, by reason."""

    late: int = 0
    ahead: int = 0
    repeated: int = 0


@dataclass
class Evicted:
    """Keys of one rule whose counts were dropped to make room.

    Attributes:
        keys: how many since the start.
        at: when it last happened, wall clock, seconds since the epoch; 0 for never.
    """

    keys: int = 0
    at: float = 0.0


class Engine:
    """The windows and alerts of all rules.

    Args:
        rules: the rules, with distinct ids.
        lateness_s: lines older than this are not counted: a replay of old logs is not news.
        ahead_s: lines further in the future than this are not counted: their host's clock is wrong.
        most_keys: how many keys a rule counts at a time. Beyond them those with the fewest hits, of these the
            longest silent, make room: an address that asks once is no condition, and there are many of them.
    """

    def __init__(self, rules: Sequence[Rule], *, lateness_s: float, ahead_s: float, most_keys: int = MOST_KEYS) -> None:
        self.skipped = Skipped()
        self.counted = 0
        self.evicted = {rule.id: Evicted() for rule in rules}
        self._rules = {rule.id: rule for rule in rules}
        self._lateness_s = lateness_s
        self._ahead_s = ahead_s
        self._most_keys = most_keys
        self._windows: dict[str, dict[str, Window]] = {rule.id: {} for rule in rules}
        self._alerts: dict[tuple[str, str], Alert] = {}
        self._head = 0
        self._pruned_at = 0.0
        # Ahead of every clock: the first look at one is treated like a clock set back, whatever was restored.
        self._wall = float("inf")
        self._changes = Changes()

    def restore(self, cells: Iterable[tuple[Cell, Count]], alerts: Iterable[Alert], now: float) -> list[Transition]:
        """Take over what an earlier process kept; returns the end of alerts whose rule no longer exists.

        Args:
            cells: read one by one, so that they may be more than the memory holds.
            alerts: all of them.
            now: wall-clock time, seconds since the epoch.
        """
        for cell, count in cells:
            if cell.rule_id in self._rules:
                self._window(cell.rule_id, cell.key, now).add(cell.second, cell.host, count)
                self._head = max(self._head, cell.second)
        orphans = []
        for alert in alerts:
            place = (alert.rule_id, alert.key)
            if alert.rule_id in self._rules:
                self._alerts[place] = alert
                continue
            self._changes.gone.add(place)
            if alert.state is AlertState.FIRING:
                alert.state, alert.ended = AlertState.ENDED, alert.last_true
                orphans.append(Transition(alert, None))
        return orphans

    @property
    def firing(self) -> list[Alert]:
        """The alerts whose condition is on."""
        return [alert for alert in self._alerts.values() if alert.state is AlertState.FIRING]

    def feed(self, events: Iterable[Event], now: float, known: Iterable[int] = ()) -> list[Transition]:
        """Count the events and return the conditions that start with them.

        Args:
            events: in any order.
            now: wall-clock time, seconds since the epoch.
            known: identities of lines that were counted before; those among the events are enough.
        """
        self._look_at(now)
        seen = set(known)
        touched: dict[tuple[str, str], tuple[int, int]] = {}
        for event in events:
            if not self._accept(event, now, seen):
                continue
            second = int(event.time)
            self._head = max(self._head, second)
            for rule_id, rule in self._rules.items():
                key = rule.key(event)
                if key is None:
                    continue
                place = (rule_id, key)
                count = Count(1, 1 if rule.is_hit(event) else 0)
                cell = self._window(*place, now).add(second, event.host, count)
                self._changes.cells[Cell(rule_id, key, second, event.host)] = cell
                first, last = touched.get(place, (second, second))
                touched[place] = (min(first, second), max(last, second))
        started = []
        for place, (first, last) in touched.items():
            # What made room for others within this batch had too few hits for a condition.
            if place[1] in self._windows[place[0]]:
                transition = self._judge(place, first, last)
                if transition is not None:
                    started.append(transition)
        return started

    def tick(self, clock: float | None, now: float) -> list[Transition]:
        """Return the conditions that have ended.

        Args:
            clock: event time reached (:class:`obsctl.alerter.clock.EventClock`), None when unknown.
            now: wall-clock time, seconds since the epoch.
        """
        self._look_at(now)
        ended = []
        # Lines older than the lateness are not counted, so in a backlog that old nothing can be seen to end.
        if clock is not None and clock >= now - self._lateness_s:
            reached = int(min(clock, now))
            for alert in self.firing:
                if self._has_ended(alert, reached):
                    alert.state, alert.ended = AlertState.ENDED, reached
                    self._changes.alerts[(alert.rule_id, alert.key)] = alert
                    ended.append(Transition(_copy(alert), self._rules[alert.rule_id]))
        if not 0 <= now - self._pruned_at < _PRUNE_EVERY_S:
            self._pruned_at = now
            self._prune(now)
        return ended

    def take_changes(self) -> Changes:
        """Return what changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def _look_at(self, now: float) -> None:
        """Take note of the wall clock; once it was set back, nothing is kept as having happened in its future.

        An end in the future would silence its key, and a latest true window there would keep an alert on, until that
        time comes.
        """
        if now < self._wall:
            latest = int(now + self._ahead_s)
            self._head = min(self._head, latest)
            for alert in self._alerts.values():
                alert.last_true = min(alert.last_true, latest)
                alert.ended = min(alert.ended, int(now))
        self._wall = now

    def keep_from(self, now: float) -> int:
        """Return the event second before which no count and no identity is needed any more."""
        longest = max((rule.window_s for rule in self._rules.values()), default=0)
        return int(now - self._lateness_s) - longest - 1

    def _accept(self, event: Event, now: float, seen: set[int]) -> bool:
        if event.time < now - self._lateness_s:
            self.skipped.late += 1
        elif event.time > now + self._ahead_s:
            self.skipped.ahead += 1
        elif event.identity in seen:
            self.skipped.repeated += 1
        else:
            seen.add(event.identity)
            self._changes.seen.append((event.identity, int(event.time)))
            self.counted += 1
            return True
        return False

    def _window(self, rule_id: str, key: str, now: float) -> Window:
        windows = self._windows[rule_id]
        window = windows.get(key)
        if window is None:
            if len(windows) >= self._most_keys:
                self._evict(rule_id, now)
            window = windows[key] = Window()
        return window

    def _evict(self, rule_id: str, now: float) -> None:
        windows = self._windows[rule_id]
        excess = max(1, int(self._most_keys * _EVICTED_SHARE))
        smallest = heapq.nsmallest(excess, windows, key=lambda key: (windows[key].total.hits, windows[key].latest))
        for key in smallest:
            del windows[key]
        gone = {(rule_id, key) for key in smallest}
        self._changes.evicted |= gone
        self._changes.cells = {c: n for c, n in self._changes.cells.items() if (c.rule_id, c.key) not in gone}
        self.evicted[rule_id].keys += len(gone)
        self.evicted[rule_id].at = now

    def _judge(self, place: tuple[str, str], first: int, last: int) -> Transition | None:
        """Look at every window that contains a second from ``first`` to ``last`` and is over by the latest line."""
        rule, window, alert = self._rules[place[0]], self._windows[place[0]][place[1]], self._alerts.get(place)
        if not rule.possible(window.total):
            return None
        if alert is not None and alert.state is AlertState.ENDED:
            first = max(first, alert.ended + 1)
        true = [
            (end, count)
            for end, count in window.sliding(first, min(last + rule.window_s - 1, self._head), rule.window_s)
            if rule.holds(count)
        ]
        if not true:
            return None
        worst_end, worst = true[0]
        for end, count in true[1:]:
            if rule.worse(count, worst):
                worst_end, worst = end, count
        if alert is not None and alert.state is AlertState.FIRING:
            self._still_on(alert, rule, true[-1][0], worst)
            return None
        started = true[0][0]
        alert = Alert(*place, _incident(*place, started), AlertState.FIRING, started, true[-1][0], worst)
        self._alerts[place] = alert
        self._changes.alerts[place] = alert
        hosts = tuple(window.hosts(worst_end, rule.window_s).most_common())
        return Transition(_copy(alert), rule, hosts)

    def _still_on(self, alert: Alert, rule: Rule, last_true: int, count: Count) -> None:
        alert.last_true = max(alert.last_true, last_true)
        if rule.worse(count, alert.peak):
            alert.peak = count
        self._changes.alerts[(alert.rule_id, alert.key)] = alert

    def _has_ended(self, alert: Alert, clock: int) -> bool:
        rule = self._rules[alert.rule_id]
        if clock - alert.last_true < rule.resolve_after_s:
            return False
        window = self._windows[alert.rule_id].get(alert.key)
        if window is not None:
            for end, count in window.sliding(clock - rule.resolve_after_s + 1, clock, rule.window_s):
                if rule.holds(count):
                    self._still_on(alert, rule, end, count)
        return clock - alert.last_true >= rule.resolve_after_s

    def _prune(self, now: float) -> None:
        keep_from = self.keep_from(now)
        for windows in self._windows.values():
            for key, window in list(windows.items()):
                window.forget(keep_from)
                if not window:
                    del windows[key]
        for place, alert in list(self._alerts.items()):
            if alert.state is AlertState.ENDED and alert.ended < keep_from:
                del self._alerts[place]
                self._changes.alerts.pop(place, None)
                self._changes.gone.add(place)
        self._changes.keep_from = keep_from


def _copy(alert: Alert) -> Alert:
    return Alert(**vars(alert))


def _incident(rule_id: str, key: str, started: int) -> str:
    """Return an id that the same condition gets again should the decision be made twice (a crash in between)."""
    return hashlib.blake2b(f"{rule_id}\0{key}\0{started}".encode(), digest_size=6).hexdigest()
