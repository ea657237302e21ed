"""An alert: one rule's condition for one key, from its start to its end."""

from __future__ import annotations

import enum
import hashlib
from typing import NamedTuple

import msgspec

#: What an alert is about: the values of the rule's ``by`` fields, in their order; empty for the whole fleet.
Key = tuple[str, ...]


class Level(enum.StrEnum):
    """How bad a rule's condition is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(enum.StrEnum):
    """Whether an alert's condition is true now."""

    FIRING = "firing"
    #: An ended alert is kept for a while, so that late lines do not start it again.
    ENDED = "ended"


class Measure(NamedTuple):
    """What a window shows.

    Attributes:
        value: what the rule compares with its limit: a number of lines, a share, a factor, seconds; more is worse.
        hits: lines that the rule counts as hits.
        total: all lines that the hits are compared with; equal to ``hits`` where the rule compares nothing.
    """

    value: float
    hits: int
    total: int


class Alert(msgspec.Struct, kw_only=True):
    """One rule's condition for one key.

    Attributes:
        rule: the rule's name.
        kind: the rule's kind: an alert of another kind is not this rule's, even if the name is the same.
        severity: how bad it is now; a condition may get worse.
        labels: the key with the names of its fields, in the rule's order.
        incident: the same in all messages of this condition, and in no other.
        state: firing or ended.
        started: end of the first window that fulfilled the condition, event second.
        last_true: end of the latest one, event second.
        peak: the worst window.
        peak_at: the last second of the worst window; 0 where it is not known.
        ended: event second at which the end was decided; 0 while firing.
    """

    rule: str
    kind: str
    severity: Level
    labels: dict[str, str]
    incident: str
    state: AlertState
    started: int
    last_true: int
    peak: Measure
    peak_at: int = 0
    ended: int = 0

    @property
    def key(self) -> Key:
        """The values of the labels."""
        return tuple(self.labels.values())


def incident_of(rule: str, key: Key, started: int) -> str:
    """Return an id that stays the same if the same decision is made again after a crash."""
    place = "\0".join((rule, *key, str(started)))
    return hashlib.blake2b(place.encode(errors="surrogatepass"), digest_size=6).hexdigest()
