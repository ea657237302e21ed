"""Stage 1: what changed, and which route each alert takes."""

from __future__ import annotations

import copy
import functools

from obsctl.alerter.alerts import Alert, AlertState
from obsctl.alerter.notify import hold
from obsctl.alerter.notify.filters import value
from obsctl.alerter.notify.memory import Group, Member
from obsctl.alerter.notify.notification import name_of
from obsctl.alerter.notify.plan import Route
from obsctl.alerter.notify.turn import Stage, Turn


class Evaluate(Stage):
    """Takes over what the rules decided.

    An alert takes the first route that matches. If its severity changes, it takes the route (and the group) of its new
    severity in addition to the old one, so that everybody who was notified of its start is notified of its end.
    """

    name = "evaluate"

    def restore(self, turn: Turn) -> None:
        """Compare the memory with the options and with the firing alerts: each may be newer than the other."""
        memory = turn.memory
        for member in list(memory.members.values()):
            if member.route not in turn.plan.routes:
                memory.forget(member)
            elif member.firing and member.subject not in turn.firing:
                self._end(turn, member, member.alert)
        for alert in turn.firing.values():
            self._take(turn, alert)
        for ids in list(memory.parked.values()):
            turn.look_at(ids)

    def run(self, turn: Turn) -> None:
        """Look at what changed."""
        for alert in turn.changed:
            self._take(turn, alert)

    def _take(self, turn: Turn, alert: Alert) -> None:
        memory = turn.memory
        members = [memory.members[member_id] for member_id in memory.of_subject.get((alert.rule, alert.key), ())]
        # An alert that fires again counts as new, even if the engine gives it the same incident.
        known = [
            member
            for member in members
            if member.alert.incident == alert.incident and (member.firing or alert.state is AlertState.ENDED)
        ]
        for member in members:
            if member.firing and (alert.state is AlertState.ENDED or member not in known):
                self._end(turn, member, alert)
        if alert.state is AlertState.ENDED and known:
            return
        changed = False
        for member in known:
            if member.firing and member.alert.severity is not alert.severity:
                changed = True
                member.alert = copy.copy(alert)
                memory.changed(member)
                turn.moving[member.id] = member
        route = turn.plan.route_of(alert)
        if not changed and any(member.route == route.options.name for member in known):
            return
        labels = {field: value(alert, field) or "" for field in route.options.group_by}
        group = _group_id(route.options.name, tuple(labels.items()))
        if any(member.group == group for member in known):
            return
        if group not in memory.groups:
            # A group with the same labels may have existed before: the ids of its notifications must not be used
            # again.
            thread = name_of((group, alert.incident))
            memory.add(Group(id=group, route=route.options.name, labels=labels, thread=thread))
        member = self._start(turn, route, group, alert)
        if alert.state is AlertState.ENDED:
            # It started and ended between two turns.
            self._end(turn, member, alert)

    @staticmethod
    def _start(turn: Turn, route: Route, group: str, alert: Alert) -> Member:
        memory = turn.memory
        member_id = "m:" + name_of((group, alert.rule, *alert.key))
        member = memory.members.get(member_id)
        if member is None:
            member = Member(id=member_id, route=route.options.name, group=group, alert=copy.copy(alert), since=turn.now)
            memory.add(member)
        else:
            member.alert = copy.copy(alert)
            member.since = turn.now
            member.ended_at = 0.0
            member.returned = True
            memory.changed(member)
        member.held = True
        memory.settle(member)
        turn.moving[member.id] = member
        return member

    @staticmethod
    def _end(turn: Turn, member: Member, alert: Alert) -> None:
        """Record that a firing member ended.

        Args:
            turn: the turn.
            member: fired so far.
            alert: the ended alert; the end is unknown if this is another alert or one that fires.
        """
        member.alert = copy.copy(alert if alert.incident == member.alert.incident else member.alert)
        member.alert.state = AlertState.ENDED
        member.ended_at = turn.now
        if member.held:
            hold.ended(turn, member)
        else:
            member.ends += 1
        turn.memory.changed(member)
        if member.has_news:
            turn.moving[member.id] = member
        else:
            turn.moving.pop(member.id, None)
            turn.memory.unpark(member)
            turn.memory.settle(member)


@functools.lru_cache(maxsize=4096)
def _group_id(route: str, labels: tuple[tuple[str, str], ...]) -> str:
    return "g:" + name_of((route, *(text for label in labels for text in label)))
