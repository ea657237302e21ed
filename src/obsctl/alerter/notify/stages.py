"""The stages of a notification, as one list.

After them nothing is decided any more: the outbox limits the rate (:mod:`obsctl.alerter.state.outbox`), the senders
deliver (:mod:`obsctl.alerter.delivery.sender`), and the outbox records the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from obsctl.alerter.alerts import Alert
from obsctl.alerter.notify.evaluate import Evaluate
from obsctl.alerter.notify.group import Grouping
from obsctl.alerter.notify.hold import Hold
from obsctl.alerter.notify.inhibit import Inhibit
from obsctl.alerter.notify.memory import Changes, Entry, Memory, Subject
from obsctl.alerter.notify.mute import Mute
from obsctl.alerter.notify.notification import Notification
from obsctl.alerter.notify.plan import Plan
from obsctl.alerter.notify.repeat import Repeat
from obsctl.alerter.notify.route import Routing
from obsctl.alerter.notify.silence import Silencing
from obsctl.alerter.notify.silences import Silence
from obsctl.alerter.notify.turn import PassOn, Stage, Suppressed, Turn

#: In this order; docs/reference/notifications.md describes each.
STAGES: tuple[type[Stage], ...] = (Evaluate, Hold, Inhibit, Silencing, Mute, Grouping, Repeat, Routing)

#: A clock that goes back by less than this does not count as set back (seconds).
_JITTER_S = 5.0


class Outcome(NamedTuple):
    """What a turn decided.

    Attributes:
        notifications: to put into the outbox, in this order.
        pass_on: messages that are waiting already and must go to another channel as well.
        suppressed: which alerts were held back, for the record.
        problems: what people should repair, one sentence each.
    """

    notifications: tuple[Notification, ...]
    pass_on: tuple[PassOn, ...]
    suppressed: tuple[Suppressed, ...]
    problems: tuple[str, ...]


class Notifier:
    """Runs the stages.

    Args:
        plan: what they are to do.
        entries: what an earlier process saved.

    Attributes:
        memory: what they remember.
        suppressed: how many times each stage began to hold an alert back, since the process began.
    """

    def __init__(self, plan: Plan, entries: Iterable[Entry] = ()) -> None:
        self._plan = plan
        self.memory = Memory(entries)
        self.suppressed: Counter[str] = Counter()
        self._stages: list[Stage] = []
        self._now = float("-inf")

    def turn(
        self,
        changed: Iterable[Alert],
        firing: Mapping[Subject, Alert],
        now: float,
        *,
        silences: Sequence[Silence] = (),
        unable_since: Mapping[str, float] | None = None,
    ) -> Outcome:
        """Decide which messages to send now.

        The cost depends only on what changed and what becomes due, except in two cases: the first turn judges
        everything that is remembered, and a turn in which silences or a mute window end judges what they held back.

        Args:
            changed: alerts that started, ended, or whose severity changed since the last turn.
            firing: all firing alerts, by rule and key.
            now: wall-clock time, seconds since the epoch.
            silences: all of them; the same object as long as none changed.
            unable_since: channels that cannot deliver, and since when (wall-clock time, seconds since the epoch).
        """
        turn = Turn(
            now=now,
            plan=self._plan,
            memory=self.memory,
            changed=changed,
            firing=firing,
            silences=silences,
            unable_since=unable_since or {},
        )
        if not self._stages or now < self._now - _JITTER_S:
            self.memory.set_back(now)
            self._stages = [stage() for stage in STAGES]
            for stage in self._stages:
                stage.restore(turn)
            self._now = now
        self._now = max(self._now, now)
        for stage in self._stages:
            stage.wake(turn)
        for stage in self._stages:
            stage.run(turn)
        self.memory.prune(now)
        self.suppressed.update(suppressed.stage for suppressed in turn.suppressed)
        return Outcome(tuple(turn.notifications), tuple(turn.pass_on), tuple(turn.suppressed), tuple(turn.problems))

    def take_changes(self) -> Changes:
        """Return the entries that changed since the last call, to be saved with the outcome's notifications."""
        return self.memory.take_changes()
