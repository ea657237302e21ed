"""What rules would have made of recorded lines: which conditions, and which messages after the stages; nothing is sent.

The lines' own times move the clock, so the same lines give the same answer each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from obsctl.alerter.alerts import Alert, AlertState
from obsctl.alerter.config import notification_plan
from obsctl.alerter.engine import Engine
from obsctl.alerter.events import Event
from obsctl.alerter.lines import SECONDS
from obsctl.alerter.message import Message, Writer
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.rules.rule import Rule
from obsctl.lines.formats.line import Line

#: Between two lines time goes on second by second for so long, then in longer steps (seconds).
_CLOSE_S = 600
_STEP_S = 10
#: After the last line time goes on for so long: conditions end, groups are resolved (seconds).
_AFTER_S = 3600
#: An odd number: identities are spread over all 64 bits, as hashes are.
_SPREAD = 0x9E3779B97F4A7C15


@dataclass
class Replayed:
    """What came out.

    Attributes:
        alerts: that started, in the order of time.
        messages: with the moment at which each would have been sent, seconds since the epoch.
        lines: that were judged.
    """

    alerts: list[Alert] = field(default_factory=list)
    messages: list[tuple[float, Message]] = field(default_factory=list)
    lines: int = 0

    def of_rule(self, name: str) -> tuple[list[Alert], int]:
        """Return a rule's alerts, and the number of messages about it."""
        about = Counter(rule for _, message in self.messages for rule in {a["rule"] for a in message.facts["alerts"]})
        return [alert for alert in self.alerts if alert.rule == name], about[name]


def replay(
    rules: Sequence[Rule], lines: Iterable[Line], progress: Callable[[float], None] = lambda _: None
) -> Replayed:
    """Judge lines by rules, with one route to one channel.

    Args:
        rules: with distinct names.
        lines: in any order; all are kept in memory and sorted.
        progress: called at each tenth with the part that is done, 0 to 1.
    """
    by_second: dict[int, list[Event]] = {}
    found = Replayed()
    for number, line in enumerate(lines, 1):
        at = SECONDS[line.ts[:19]] + float(line.ts[19:])
        by_second.setdefault(int(at), []).append(Event(number * _SPREAD % 2**64, at, line))
        found.lines = number
    if not by_second:
        return found
    engine = Engine(rules, lateness_s=300, ahead_s=60)
    notifier = Notifier(notification_plan(NotifyOptions(), rules, ["replay"]))
    writer = Writer(rules, "obs")
    now, last = min(by_second), max(by_second)
    first, busy, done = now, now, 0
    while now <= last + _AFTER_S:
        events = by_second.pop(now, [])
        busy = now if events or engine.firing else busy
        changed = engine.feed(events, now + 1) + engine.tick(float(now), now + 1)
        found.alerts += [alert for alert, _ in changed if alert.state is AlertState.FIRING]
        decided = notifier.turn([alert for alert, _ in changed], engine.firing, float(now))
        found.messages += [(float(now), writer.message(about, {})) for about in decided.notifications]
        part = min(10, (now - first) * 10 // max(1, last - first))
        if part > done:
            done = part
            progress(part / 10)
        step = 1 if now - busy < _CLOSE_S else _STEP_S
        # No line may be passed over.
        now += next((ahead for ahead in range(1, step) if now + ahead in by_second), step)
    return found
