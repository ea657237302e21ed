"""The alerter's part of rule tests: lines of tests have separate windows and produce separate messages.

A mark names the run and the rule. Each mark has an engine with that one rule and separate notification stages:
the routes are the configured ones, but nothing inhibits, mutes or silences, and no message waits for others. None of
this is stored except the message in the outbox, and none of it exists while no test is running.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from obsctl.alerter.alerts import AlertState
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.evaluation.line_sample import Top, Tops
from obsctl.alerter.notify.notification import Notification
from obsctl.alerter.notify.plan import Plan, Route
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.wire.plan import MOST_REQUESTS, digest_of
from obsctl.core.rule_test import DIGEST_LENGTH, Arrival, RunOnPage, TestsOnPage, is_mark
from obsctl.lines.event import Event

#: The most runs that the page shows.
_SHOWN = 50
#: The most runs that are evaluated at the same time; beyond that the oldest one is dropped.
_MOST_OPEN = 32
#: The most lines of tests that are evaluated within a second, of all runs together.
_MOST_A_SECOND = 2000
_MOST_KEYS = MOST_REQUESTS
#: How many lines are recognized when read again: more than a run has.
_MOST_RECENT = 2**14
#: After this time a run without a message is over, and a message is no longer followed, seconds.
_LONGEST_S = 3600.0
_FOLLOWED_S = 900.0
#: Final states of a message.
_SETTLED = frozenset(("delivered", "abandoned", "dead"))

#: Returns a message's progress in each of its channels, by the message's id.
Lookup = Callable[[str], Sequence[Arrival]]


class Decided(NamedTuple):
    """A message to write and to put into the outbox.

    Attributes:
        mark: of the run.
        about: what it says, with its channels.
        tops: the most frequent values in the lines, by incident.
    """

    mark: str
    about: Notification
    tops: Mapping[str, Top]


class _Run:
    """One rule of one test, while it is evaluated."""

    def __init__(self, rule: Rule, plan: Plan, *, lateness_s: float, ahead_s: float) -> None:
        self.engine = Engine(
            [rule], lateness_s=lateness_s, ahead_s=ahead_s, most_keys=_MOST_KEYS, most_recent=_MOST_RECENT
        )
        self.notifier = Notifier(plan)
        self.tops = Tops(self.engine.top)


class Runs:
    """All tests that this alerter has seen since it became the active one.

    Args:
        rules: the configured ones.
        plan: of the notifications.
        lateness_s: as for :class:`~obsctl.alerter.evaluation.engine.Engine`.
        ahead_s: likewise.
    """

    def __init__(self, rules: Iterable[Rule], plan: Plan, *, lateness_s: float, ahead_s: float) -> None:
        self._rules = {digest_of(rule): rule for rule in rules}
        self._plan = _undisturbed(plan)
        self._lateness_s, self._ahead_s = lateness_s, ahead_s
        #: By mark, in the order of their beginnings; those being evaluated are also in ``_open``.
        self._seen: dict[str, RunOnPage] = {}
        self._open: dict[str, _Run] = {}
        self._lines: dict[str, list[Event]] = {}
        self._second = 0
        self._in_second = 0
        self._shown: tuple[RunOnPage, ...] = ()

    def take(self, event: Event, now: float) -> None:
        """Add a line of a test.

        Args:
            event: it has a mark.
            now: wall-clock time, seconds since the epoch.
        """
        mark = event.mark
        if mark not in self._seen:
            self._begin(mark, now)
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        seen = self._seen[mark]
        if self._in_second > _MOST_A_SECOND:
            self._seen[mark] = msgspec.structs.replace(seen, left_out=seen.left_out + 1)
            return
        self._seen[mark] = msgspec.structs.replace(seen, lines=seen.lines + 1)
        if mark in self._open:
            self._lines.setdefault(mark, []).append(event)

    def turn(self, clock: float | None, now: float, unable_since: Mapping[str, float], lookup: Lookup) -> list[Decided]:
        """Evaluate the added lines, and return the messages that are due.

        Args:
            clock: event time reached, None when unknown.
            now: wall-clock time, seconds since the epoch.
            unable_since: channels that cannot deliver, and since when.
            lookup: returns a message's progress.
        """
        if not self._seen:
            return []
        decided = [found for mark in list(self._open) if (found := self._evaluate(mark, clock, now, unable_since))]
        self._lines.clear()
        for mark, seen in self._seen.items():
            if seen.decided_at and now - seen.decided_at < _FOLLOWED_S and not _settled(seen):
                self._seen[mark] = msgspec.structs.replace(seen, channels=tuple(lookup(f"test-{mark}")))
        self._shown = tuple(self._seen.values())
        return decided

    def page(self, now: float) -> TestsOnPage:
        """Return the page's part about tests; may be called from any thread."""
        return TestsOnPage(now=now, runs=self._shown)

    def _begin(self, mark: str, now: float) -> None:
        rule = self._rules.get(mark[-DIGEST_LENGTH:]) if is_mark(mark) else None
        if len(self._seen) >= _SHOWN:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            self._open.pop(oldest, None)
        self._seen[mark] = RunOnPage(mark=mark, rule=rule.name if rule is not None else "", seen_at=now)
        if rule is not None:
            if len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[mark] = _Run(rule, self._plan, lateness_s=self._lateness_s, ahead_s=self._ahead_s)

    def _evaluate(
        self, mark: str, clock: float | None, now: float, unable_since: Mapping[str, float]
    ) -> Decided | None:
        run, seen = self._open[mark], self._seen[mark]
        changed = run.engine.feed(self._lines.get(mark, ()), now) + run.engine.tick(clock, now)
        if not seen.true_at and any(one.alert.state is AlertState.FIRING for one in changed):
            seen = msgspec.structs.replace(seen, true_at=now)
        outcome = run.notifier.turn([one.alert for one in changed], run.engine.firing, now, unable_since=unable_since)
        held = outcome.suppressed
        if not outcome.notifications and run.engine.firing:
            # Alerts that start wait for their group, which a second turn judges.
            outcome = run.notifier.turn((), run.engine.firing, now, unable_since=unable_since)
        for one in (*held, *outcome.suppressed):
            over = ", and the condition has ended meanwhile" if one.ended and one.stage != "route" else ""
            seen = msgspec.structs.replace(seen, held=f"{one.stage} {one.cause}{over}")
        run.notifier.take_changes()
        run.engine.take_changes()
        decided = None
        if outcome.notifications:
            about = outcome.notifications[0]
            seen = msgspec.structs.replace(seen, decided_at=now, held="")
            decided = Decided(mark, about, run.tops.of(about.alerts))
        if decided is not None or now - seen.seen_at > _LONGEST_S:
            del self._open[mark]
        self._seen[mark] = seen
        return decided


def _settled(seen: RunOnPage) -> bool:
    return bool(seen.channels) and all(arrival.state in _SETTLED for arrival in seen.channels)


def _undisturbed(plan: Plan) -> Plan:
    """Return the plan for a test: routes and channels, and no stage that holds a message back except ``for``."""
    return dataclasses.replace(
        plan,
        routes={
            name: Route(msgspec.structs.replace(route.options, group_by=("rule",), group_wait_s=0.0), route.takes)
            for name, route in plan.routes.items()
        },
        inhibitions=(),
        mute_windows=(),
    )
