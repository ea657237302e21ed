"""Stage 7: a condition that persists is reported again, less and less often."""

from __future__ import annotations

import heapq

from obsctl.alerter.notify.compose import decided, listed
from obsctl.alerter.notify.filters import worst
from obsctl.alerter.notify.memory import Group, Member
from obsctl.alerter.notify.notification import Reason
from obsctl.alerter.notify.options import RouteOptions
from obsctl.alerter.notify.turn import Stage, Turn


class Repeat(Stage):
    """Repeats what is still firing, ``repeat_after_s`` after the group's last message; each further wait doubles.

    What is suppressed is not repeated. A repetition looks at all alerts of its group, so it costs more than other
    messages, but there are few.
    """

    name = "repeat"

    def __init__(self) -> None:
        self._timers: list[tuple[float, str]] = []
        self._due: dict[str, dict[str, Member]] = {}

    def restore(self, turn: Turn) -> None:
        """Find the groups that are firing."""
        for group in turn.memory.groups.values():
            self._wait(group)

    def wake(self, turn: Turn) -> None:
        """Judge again the alerts of groups that are due for a repetition."""
        self._due = {}
        while self._timers and self._timers[0][0] <= turn.now:
            at, group_id = heapq.heappop(self._timers)
            group = turn.memory.groups.get(group_id)
            if group is not None and group.repeat_at == at:
                ids = turn.memory.of_group.get(group_id, ())
                members = {member_id: turn.memory.members[member_id] for member_id in ids}
                on = {i: member for i, member in members.items() if member.reported and member.firing}
                self._due[group_id] = on
                turn.look_at(member_id for member_id, member in on.items() if not member.parked)

    def run(self, turn: Turn) -> None:
        """Make the repetitions of groups that have no other message."""
        for group_id, members in self._due.items():
            if group_id in turn.spoken:
                continue
            group = turn.memory.groups[group_id]
            options = turn.plan.routes[group.route].options
            shown = [member for member_id, member in members.items() if member_id in turn.moving]
            if shown:
                group.repeats += 1
                turn.notifications.append(
                    decided(
                        turn,
                        group,
                        Reason.REPEAT,
                        severity=worst([member.alert.severity for member in shown]),
                        total=len(shown),
                        alerts=listed(turn, shown),
                    )
                )
            group.repeat_at = turn.now + pause(options, group.repeats) if options.repeat_after_s else 0.0
            turn.memory.changed(group)
            self._wait(group)
        for group_id in turn.spoken:
            self._wait(turn.memory.groups[group_id])

    def _wait(self, group: Group) -> None:
        if group.repeat_at:
            heapq.heappush(self._timers, (group.repeat_at, group.id))


def pause(options: RouteOptions, repeats: int) -> float:
    """Return how long to wait after a group's message, given the number of repetitions so far, seconds."""
    # The exponent is limited, because the number of repetitions is not.
    return min(options.repeat_after_s * 2.0 ** min(repeats, 32), options.repeat_max_s)
