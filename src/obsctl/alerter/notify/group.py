"""Stage 6: alerts that belong together become one message, and a message is sent only when it is worth the
interruption."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from obsctl.alerter.notify.compose import decided, listed
from obsctl.alerter.notify.filters import RANK, worst
from obsctl.alerter.notify.memory import Group, Member
from obsctl.alerter.notify.notification import Notification, Reason
from obsctl.alerter.notify.options import RouteOptions
from obsctl.alerter.notify.repeat import pause
from obsctl.alerter.notify.turn import Stage, Turn


class Grouping(Stage):
    """Collects the news of a group until its message is due.

    An alert is due after ``group_wait_s`` if it starts while nothing of the group fires, or is worse than everything
    before; all other news are due ``group_interval_s`` after the group's last message. That interval doubles with each
    message about a group that only keeps changing, and with each return of an alert that had ended, when nothing else
    is new.
    """

    name = "group"

    def __init__(self) -> None:
        self._timers: list[tuple[float, str]] = []

    def restore(self, turn: Turn) -> None:
        """Find the groups that are waiting."""
        for group in turn.memory.groups.values():
            if group.next_at:
                heapq.heappush(self._timers, (group.next_at, group.id))

    def wake(self, turn: Turn) -> None:
        """Judge again all waiting alerts of the groups that are due: they may have been suppressed meanwhile."""
        while self._timers and self._timers[0][0] <= turn.now:
            at, group_id = heapq.heappop(self._timers)
            group = turn.memory.groups.get(group_id)
            if group is not None and group.next_at == at:
                turn.due[group_id] = None
                turn.look_at(turn.memory.news.get(group_id, ()))

    def run(self, turn: Turn) -> None:
        """Add new alerts to the groups that are waiting, and make the messages that are due."""
        memory = turn.memory
        for member in turn.moving.values():
            if member.has_news:
                memory.wait(member)
                if member.group not in turn.due:
                    self._schedule(turn, memory.groups[member.group], self._earliest(turn, member))
            else:
                memory.unpark(member)
        for group_id in turn.due:
            group = memory.groups[group_id]
            members = [memory.members[member_id] for member_id in memory.news.get(group_id, ())]
            group.next_at = 0.0
            memory.changed(group)
            if not members:
                continue
            options = turn.plan.routes[group.route].options
            at = _due_at(group, members, options)
            if at > turn.now:
                # Something more urgent may come meanwhile, so look again after the shortest wait.
                self._schedule(turn, group, min(at, turn.now + options.group_interval_s))
            else:
                turn.notifications.append(_message(turn, group, members, options))

    def _schedule(self, turn: Turn, group: Group, at: float) -> None:
        if not group.next_at or at < group.next_at:
            group.next_at = at
            turn.memory.changed(group)
            heapq.heappush(self._timers, (at, group.id))

    @staticmethod
    def _earliest(turn: Turn, member: Member) -> float:
        group = turn.memory.groups[member.group]
        options = turn.plan.routes[member.route].options
        soon = turn.now + options.group_wait_s
        return soon if _urgent(group, member) else max(soon, group.last_at + options.group_interval_s)


def _urgent(group: Group, member: Member) -> bool:
    """Whether a member cannot wait for the interval.

    It cannot if it is the first of its group, or fires while nothing else of the group does and did not end just a
    moment ago, or is worse than everything that the group reported; the last happens once for each severity.
    """
    if not group.sent:
        return True
    if not member.firing:
        return False
    fresh = not group.firing and not member.returned
    return fresh or group.severity is None or RANK[member.alert.severity] > RANK[group.severity]


def _due_at(group: Group, members: list[Member], options: RouteOptions) -> float:
    """Return when the group's news is to be sent, seconds since the epoch."""
    if any(_urgent(group, member) for member in members):
        return 0.0
    interval = options.group_interval_s
    doublings = min(member.flaps + (member.returned and member.starts > 0) for member in members)
    if not doublings and group.firing and _firing_after(group, members):
        doublings = group.digests
    # The exponent is limited, because the number of messages is not.
    return group.last_at + min(interval * 2.0 ** min(doublings, 16), options.group_interval_max_s)


def _firing_after(group: Group, members: Iterable[Member]) -> int:
    return group.firing + sum(member.starts - member.ends for member in members)


def _message(turn: Turn, group: Group, members: list[Member], options: RouteOptions) -> Notification:
    """Return the message with all news of the members, and record these as reported."""
    memory, before, after = turn.memory, group.firing, _firing_after(group, members)
    reason = _reason(group, members, after)
    if not before:
        group.since = min(member.alert.started for member in members)
        group.last_true = 0
        group.repeats = 0
    group.last_true = max([group.last_true, *(member.alert.last_true for member in members if not member.firing)])
    severity = worst([member.alert.severity for member in members])
    if reason is Reason.RESOLVED and group.severity is not None:
        severity = worst([severity, group.severity])
    started, resolved = sum(member.starts for member in members), sum(member.ends for member in members)
    alerts = listed(turn, members)
    for member in members:
        was_worst = [member.severity] if member.reported else []
        member.reported = bool(member.reported + member.starts - member.ends)
        member.severity = worst([member.alert.severity, *was_worst])
        member.flaps += member.returned and member.starts > 0
        member.starts = member.ends = 0
        memory.reported(member)
    if reason in (Reason.FIRST, Reason.RESOLVED) or turn.now - group.last_at > 2 * options.group_interval_max_s:
        group.digests = 0
    if reason in (Reason.DIGEST, Reason.ESCALATED):
        group.digests += 1
    group.firing = after
    group.severity = severity if group.severity is None else worst([severity, group.severity])
    group.repeat_at = turn.now + pause(options, group.repeats) if after and options.repeat_after_s else 0.0
    return decided(
        turn,
        group,
        reason,
        severity=severity,
        ended=0 if after else group.last_true,
        started=started,
        resolved=resolved,
        total=len(members),
        alerts=alerts,
    )


def _reason(group: Group, members: Iterable[Member], after: int) -> Reason:
    if not group.firing:
        return Reason.FIRST if after else Reason.DIGEST
    if not after:
        return Reason.RESOLVED
    if any(member.worse or (member.starts and _urgent(group, member)) for member in members):
        return Reason.ESCALATED
    return Reason.DIGEST
