"""Stage 2, ``for``: an alert must fire for long enough."""

from __future__ import annotations

import heapq

from obsctl.alerter.notify.memory import Member
from obsctl.alerter.notify.turn import Stage, Turn


class Hold(Stage):
    """Holds an alert until it has fired for its rule's ``for_s``; one that ends earlier is not reported."""

    name = "for"

    def __init__(self) -> None:
        self._timers: list[tuple[float, str]] = []

    def restore(self, turn: Turn) -> None:
        """Judge everything that is held: no other event would, if the key had other news until now."""
        turn.look_at(member.id for member in turn.memory.members.values() if member.held)

    def wake(self, turn: Turn) -> None:
        """Judge the alerts that have fired for long enough."""
        while self._timers and self._timers[0][0] <= turn.now:
            _, member_id = heapq.heappop(self._timers)
            member = turn.memory.members.get(member_id)
            if member is not None and member.held:
                turn.moving[member_id] = member

    def run(self, turn: Turn) -> None:
        """Judge the alerts that started."""
        for member in list(turn.moving.values()):
            if not member.held or passed(turn, member):
                continue
            heapq.heappush(self._timers, (member.since + _for_s(turn, member), member.id))
            # An earlier alert of the same key may have news meanwhile.
            if not member.has_news:
                turn.park(member, self.name, _cause(turn, member))


def passed(turn: Turn, member: Member) -> bool:
    """Whether a held member has fired for long enough; if so, its start is news."""
    if turn.now - member.since < _for_s(turn, member):
        return False
    member.held = False
    member.starts += 1
    turn.memory.changed(member)
    return True


def ended(turn: Turn, member: Member) -> None:
    """A held member has ended: report it if it fired for long enough, otherwise drop it."""
    if passed(turn, member):
        member.ends += 1
        return
    member.held = False
    turn.memory.changed(member)
    turn.record(member, Hold.name, _cause(turn, member), ended=1)


def _for_s(turn: Turn, member: Member) -> float:
    return turn.plan.for_s.get(member.alert.rule, 0.0)


def _cause(turn: Turn, member: Member) -> str:
    return f"{_for_s(turn, member):g} s"
