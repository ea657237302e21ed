"""A rule and its windows by key, of which there are only so many."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from obsctl.alerter.alerts import Alert
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.windows.window import Window

#: The share of the keys that is dropped at once when there are too many: to look for the smallest costs as much for
#: one.
_EVICTED_SHARE = 0.1


@dataclass
class Evicted:
    """Keys of one rule whose counts were dropped to make room.

    Attributes:
        keys: how many since the start.
        at: when it last happened, wall clock, seconds since the epoch; 0 for never.
    """

    keys: int = 0
    at: float = 0.0


class WatchedRule:
    """A rule, with its windows by key.

    Args:
        rule: the rule.
        most_keys: keys that are counted at a time, if the rule itself has no lower bound. Beyond them those with the
            fewest hits, of these the longest silent, make room.
    """

    def __init__(self, rule: Rule, most_keys: int) -> None:
        self.rule = rule
        self.count = rule.counter()
        self.windows: dict[Any, Window] = {}
        #: The first second that was counted; what the rule saw before it, it does not know.
        self.since = 0
        self.evicted = Evicted()
        self._most_keys = min(most_keys, rule.most_keys or most_keys)

    def window(self, key: Any, now: float) -> Window:
        """Return the window of a key, a new one where it has none.

        Args:
            now: wall-clock time, seconds since the epoch.
        """
        window = self.windows.get(key)
        if window is None:
            if len(self.windows) >= self._most_keys:
                self._evict(now)
            window = self.windows[key] = self.rule.new_window()
            window.since = self.since
        return window

    def key_of(self, alert: Alert) -> Any:
        """Return the key under which the windows of an alert of this rule are."""
        return alert.key if len(self.rule.fields) != 1 else alert.key[0]

    def forget(self, oldest: int) -> None:
        """Drop what is too old for every window.

        Args:
            oldest: second from which lines still count.
        """
        before = oldest - self.rule.keep_s
        for window in self.windows.values():
            window.forget(before)
        for key in [key for key, window in self.windows.items() if not window]:
            del self.windows[key]

    def _evict(self, now: float) -> None:
        windows = self.windows
        excess = max(1, int(len(windows) * _EVICTED_SHARE))

        def weight(key: Any) -> tuple[int, int]:
            return windows[key].weight, windows[key].latest

        for key in heapq.nsmallest(excess, windows, key=weight):
            del windows[key]
        self.evicted.keys += excess
        self.evicted.at = now
