"""Stage 3: an alert that another one inhibits is not sent."""

from __future__ import annotations

import heapq

from obsctl.alerter.alerts import Alert
from obsctl.alerter.notify.filters import value
from obsctl.alerter.notify.memory import Member, Subject
from obsctl.alerter.notify.plan import Inhibition
from obsctl.alerter.notify.turn import Stage, Turn


class Inhibit(Stage):
    """Holds alerts back while their source fires, and ``keep_s`` longer.

    A source inhibits others even if it is itself silenced, muted or inhibited. An alert that is a source of an
    inhibition is never its target, so that two alerts cannot hide each other.
    """

    name = "inhibit"

    def __init__(self) -> None:
        #: Firing sources, by the cause that they are for others.
        self._sources: dict[str, dict[Subject, None]] = {}
        self._causes_of: dict[Subject, dict[str, None]] = {}
        #: Causes whose sources have ended, and until when they still hold alerts back.
        self._outlived: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []

    def restore(self, turn: Turn) -> None:
        """Find the sources among the remembered alerts."""
        for member in turn.memory.members.values():
            self._note(turn, member)

    def wake(self, turn: Turn) -> None:
        """Judge again the alerts that were held back by inhibitions that are over."""
        while self._timers and self._timers[0][0] <= turn.now:
            until, cause = heapq.heappop(self._timers)
            if self._outlived.get(cause) == until:
                del self._outlived[cause]
                turn.release(self.name, cause)

    def run(self, turn: Turn) -> None:
        """Record which sources started and ended, then hold back their targets."""
        if not turn.plan.inhibitions:
            return
        for member in turn.moving.values():
            self._note(turn, member)
        for member in list(turn.moving.values()):
            for inhibition in turn.plan.inhibitions:
                cause = _cause(inhibition, member.alert)
                if (
                    cause
                    and (cause in self._sources or cause in self._outlived)
                    and inhibition.target(member.alert)
                    and not inhibition.source(member.alert)
                ):
                    turn.park(member, self.name, cause)
                    break

    def _note(self, turn: Turn, member: Member) -> None:
        if member.held:
            return
        subject, before = member.subject, self._causes_of.get(member.subject, {})
        causes: dict[str, None] = {}
        for inhibition in turn.plan.inhibitions:
            if not inhibition.source(member.alert):
                continue
            cause = _cause(inhibition, member.alert)
            if not cause:
                continue
            if member.firing:
                causes[cause] = None
                self._sources.setdefault(cause, {})[subject] = None
                self._outlived.pop(cause, None)
            else:
                self._outlive(turn, cause, member.ended_at + inhibition.options.keep_s)
        for cause in before:
            if cause not in causes:
                firing = self._sources[cause]
                del firing[subject]
                if not firing:
                    del self._sources[cause]
                    # After a change of its severity it may no longer be a source.
                    self._outlive(turn, cause, self._outlived.get(cause, turn.now))
        if causes:
            self._causes_of[subject] = causes
        else:
            self._causes_of.pop(subject, None)

    def _outlive(self, turn: Turn, cause: str, until: float) -> None:
        if until >= turn.now and until >= self._outlived.get(cause, 0.0):
            self._outlived[cause] = until
            heapq.heappush(self._timers, (until, cause))


def _cause(inhibition: Inhibition, alert: Alert) -> str:
    """Return the inhibition's name with the values that source and target must share; empty if the alert lacks one."""
    values = [value(alert, field) for field in inhibition.options.equal]
    if any(found is None for found in values):
        return ""
    pairs = zip(inhibition.options.equal, values, strict=True)
    return " ".join((inhibition.options.name, *(f"{field}={found}" for field, found in pairs)))
