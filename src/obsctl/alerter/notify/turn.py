"""One turn of the stages: their input, what they pass on to each other, and their output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from obsctl.alerter.alerts import Alert
from obsctl.alerter.notify.memory import Member, Memory, Subject
from obsctl.alerter.notify.notification import Notification
from obsctl.alerter.notify.plan import Plan
from obsctl.alerter.notify.silences import Silence


@dataclass(frozen=True)
class Suppressed:
    """A stage began to hold an alert back, or an alert that it held back started and ended.

    Attributes:
        stage: its name.
        cause: its reason: a silence's id, a mute window's name, an inhibition with the values that are equal.
        rule: the alert's rule.
        labels: the alert's labels.
        incident: the alert's id.
        route: the route on which it was held back.
        at: wall-clock time, seconds since the epoch.
        ended: alerts of this key that started and ended without a message; 0 when one is held back and may still be
        sent.
    """

    stage: str
    cause: str
    rule: str
    labels: dict[str, str]
    incident: str
    route: str
    at: float
    ended: int = 0


@dataclass(frozen=True)
class PassOn:
    """Messages that wait for a channel that cannot deliver go to another channel as well.

    Attributes:
        route: name of the route whose notifications these are.
        channel: the one that cannot deliver.
        to: the other one.
    """

    route: str
    channel: str
    to: str


@dataclass
class Turn:
    """What the stages pass on to each other.

    Attributes:
        now: wall-clock time, seconds since the epoch.
        plan: what they are to do.
        memory: what they remember.
        changed: alerts that started, ended, or whose severity changed.
        firing: all firing alerts, by rule and key.
        silences: all of them; the same object as long as none changed.
        unable_since: channels that cannot deliver, and since when (wall-clock time, seconds since the epoch).
        moving: members that this turn judges and that no stage has held back so far.
        due: groups that may have news to report now.
        notifications: decided so far.
        spoken: groups that these notifications are about.
        suppressed: for the record.
        pass_on: messages that are waiting already and must go to another channel as well.
        problems: what people should repair, one sentence each.
    """

    now: float
    plan: Plan
    memory: Memory
    changed: Iterable[Alert]
    firing: Mapping[Subject, Alert]
    silences: Sequence[Silence]
    unable_since: Mapping[str, float]
    moving: dict[str, Member] = field(default_factory=dict)
    due: dict[str, None] = field(default_factory=dict)
    notifications: list[Notification] = field(default_factory=list)
    spoken: dict[str, None] = field(default_factory=dict)
    suppressed: list[Suppressed] = field(default_factory=list)
    pass_on: list[PassOn] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def look_at(self, ids: Iterable[str]) -> None:
        """Have the stages judge these members in this turn."""
        for member_id in list(ids):
            member = self.memory.members[member_id]
            if member.firing or member.has_news:
                self.moving[member_id] = member
            else:
                self.memory.unpark(member)

    def release(self, stage: str, cause: str) -> None:
        """A cause no longer applies: judge the members that it held back."""
        self.look_at(self.memory.parked.get((stage, cause), ()))

    def park(self, member: Member, stage: str, cause: str) -> None:
        """Hold a member back."""
        del self.moving[member.id]
        known = (member.parked, member.cause) == (stage, cause)
        over = self.memory.park(member, (stage, cause), self.now)
        if over or not known:
            self.record(member, stage, cause, ended=over)

    def record(self, member: Member, stage: str, cause: str, *, ended: int = 0) -> None:
        """Record that a stage holds a member back."""
        alert = member.alert
        self.suppressed.append(
            Suppressed(stage, cause, alert.rule, alert.labels, alert.incident, member.route, self.now, ended)
        )


class Stage:
    """One stage; none of them has a clock, a file or a network.

    A stage's own attributes are derived: they can be rebuilt from the memory and the turn at any time.
    """

    name: str

    def restore(self, turn: Turn) -> None:
        """Build the stage's own attributes, in the first turn of a process."""

    def wake(self, turn: Turn) -> None:
        """Select the members and groups that this turn must judge, before any stage runs."""

    def run(self, turn: Turn) -> None:
        """Do the stage's part for the members of this turn."""
        raise NotImplementedError
