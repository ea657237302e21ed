"""A storm on a clock of its own, through rules, stages and outbox, with restarts: few messages, none twice, none lost.

``STORM_LINES`` sets the number of lines (120,000) and ``STORM_CLIENTS`` that of the clients (2,000), each of which
sends one a second. Ten million lines of 10,000 clients take some minutes.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.messages.message import Message, Writer
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.state import outbox
from obsctl.alerter.state.outbox import Parcel
from obsctl.alerter.state.state_file import State
from obsctl.alerter.state.transaction import connect, transaction
from obsctl.kafka.topic_incarnation import TopicIncarnation
from obsctl.lines.event import Event
from tests.unit.alerter.builders import T, engine, event, rate

LINES = int(os.environ.get("STORM_LINES", "120000"))
CLIENTS = int(os.environ.get("STORM_CLIENTS", "2000"))
SECONDS = LINES // CLIENTS
NAMES = [f"client-{number}" for number in range(CLIENTS)]
#: An odd number: identities are spread over all 64 bits, as hashes are.
_SPREAD = 0x9E3779B97F4A7C15
LOG = TopicIncarnation("cluster", "nginxlog", "id")
RULES = (rate(20, hold_s=30),)
TEMPLATES = Templates()


class Night:
    """An alerter without threads: what it has read, decided and sent; it may be killed between two steps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = Writer(RULES, TEMPLATES)
        self.sent: list[tuple[float, Message]] = []
        self._start()

    def _start(self) -> None:
        self._state = State(self._path)
        self._robot = connect(self._path)
        kept = self._state.load()
        self.machine: Engine = engine(*RULES)
        if kept.snapshot:
            assert self.machine.restore(kept.snapshot, T)
        self.machine.take_over(kept.alerts)
        self._notifier = Notifier(notification_plan(NotifyOptions(), RULES, ["robot"]), kept.entries)
        with transaction(self._robot):
            outbox.recover(self._robot, ["robot"])
        self._read = self._state.positions(LOG).get(0, 0)

    def kill(self) -> None:
        """What was not written is gone."""
        self._robot.close()
        self._state.close()
        self._start()

    def second(self, number: int) -> None:
        """Read what was written until this second, decide, and send what is due."""
        now = float(T + number)
        due = [line for second in range(self._read, min(number, SECONDS)) for line in lines(second)]
        self._read = max(self._read, number)
        changed = self.machine.feed(due, now) + self.machine.tick(now - 1, now)
        decided = self._notifier.turn([transition.alert for transition in changed], self.machine.firing, now)
        messages = [(self._writer.message(about, {}), about) for about in decided.notifications]
        self._state.save(self.machine.take_changes(), self._notifier.take_changes(), messages, decided.pass_on, now)
        if number % 30 == 0:
            self._state.save_snapshot(self.machine.snapshot(), self.machine.firing.values(), [(LOG, {0: self._read})])
        while True:
            with transaction(self._robot):
                parcel = outbox.claim(self._robot, "robot", 18, now, TEMPLATES)
            if not isinstance(parcel, Parcel):
                return
            self.sent.append((now, parcel.message))
            with transaction(self._robot):
                outbox.settle(self._robot, "robot", parcel, Delivery(Verdict.DELIVERED, "0", "errcode 0"), now)


def lines(second: int) -> list[Event]:
    """Return the lines of a second: a line of each client, the same each time that it is read."""
    first = 1 + second * CLIENTS
    return [event(second + 0.5, client=name, identity=(first + n) * _SPREAD % 2**64) for n, name in enumerate(NAMES)]


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_is_few_messages_that_count_every_alert(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    kills = set(chance.sample(range(5, SECONDS + 200), 8))
    night = Night(tmp_path / "state.db")
    for number in range(1, SECONDS + 300):
        night.second(number)
        if number in kills:
            night.kill()
    sums: Counter[str] = Counter()
    for _, message in night.sent:
        facts: dict[str, Any] = message.facts
        sums.update(started=facts["started"], ended=facts["ended"])
    assert sums == {"started": CLIENTS, "ended": CLIENTS}
    assert len({message.id for _, message in night.sent}) == len(night.sent)
    assert len(night.sent) <= 10
    assert night.sent[-1][0] <= T + SECONDS + 300
    assert max(sum(at <= other < at + 60 for other, _ in night.sent) for at, _ in night.sent) <= 18
