"""A rule and its windows by key; the number of keys is limited."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from obsctl.alerter.alerts import Alert
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.windows.window import Window

#: The share of the keys that is dropped at once when there are too many: finding the smallest costs as much for one
#: key.
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
        most_keys: how many keys are counted at a time, if the rule itself has no lower limit. Beyond that, the keys
            with the fewest hits are dropped, and among these the ones silent for longest.
    """

    def __init__(self, rule: Rule, most_keys: int) -> None:
        self.rule = rule
        self.count = rule.counter()
        self.windows: dict[Any, Window] = {}
        #: The first second that was counted; nothing is known about the time before it.
        self.since = 0
        self.evicted = Evicted()
        self._most_keys = min(most_keys, rule.most_keys or most_keys)

    def window(self, key: Any, now: float) -> Window:
        """Return the window of a key; a new one if it has none.

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
        """Return the key under which an alert's windows are stored."""
        return alert.key if len(self.rule.fields) != 1 else alert.key[0]

    def forget(self, oldest: int) -> None:
        """Drop counts that are too old for every window.

        Args:
            oldest: the first second that still counts.
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
