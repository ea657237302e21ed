"""The latest lines, from which a message shows the most frequent hosts, targets and clients of a condition.

Counting these values for every line would cost more than the rules do.
"""

from __future__ import annotations

import operator
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from obsctl.alerter.alerts import Alert
from obsctl.alerter.rules.rule import Counts, Lines, Log, Rule

#: How many lines of each log are kept; about 12 MiB.
LINES = 10_000
#: How many values of a field a message shows.
_MOST_COMMON = 5
#: For how many alerts of one turn the sample is searched: each takes some milliseconds.
_LOOKED_UP = 5
#: For how many alerts the result is kept; a repeated message about an older one has no top values.
_KNOWN = 200
#: The fields whose values are counted, by log; those of the rule's own key are left out.
_FIELDS: Mapping[Log, tuple[str, ...]] = {
    Log.ACCESS: ("host", "status", "uri", "client_addr", "upstream_addr"),
    Log.ERROR: ("host", "level", "client_addr", "upstream"),
}


class Top(Struct, frozen=True, kw_only=True):
    """The most frequent values among a window's hits, in a sample.

    Attributes:
        kept: number of lines in the sample.
        lines: how many of them are in the window.
        hits: how many of these are hits of the key.
        values: by field, its most frequent values with their numbers of hits, most frequent first.
    """

    kept: int
    lines: int
    hits: int
    values: dict[str, tuple[tuple[str, int], ...]]


class Sample:
    """The last lines of each log, with their seconds of event time."""

    def __init__(self, lines: int = LINES) -> None:
        self._lines: dict[Log, deque[tuple[int, Any]]] = {log: deque(maxlen=lines) for log in Log}

    def add(self, log: Log, lines: Lines) -> None:
        """Take lines that were counted."""
        self._lines[log].extend(lines)

    def top(self, rule: Rule, count: Callable[[Lines], Counts], key: Any, last: int) -> Top | None:
        """Return the most frequent values among a window's hits; None where none of its lines is in the sample.

        Args:
            rule: whose window.
            count: the rule's counter.
            key: as in the rule's counts.
            last: the window's last second.
        """
        if rule.log is None:
            return None
        fields = [field for field in _FIELDS[rule.log] if field not in rule.fields]
        values = operator.attrgetter(*fields)
        found: dict[str, Counter[str]] = {field: Counter() for field in fields}
        kept = self._lines[rule.log]
        window = [entry for entry in kept if last - rule.window_s < entry[0] <= last]
        hits = 0
        for entry in window:
            if any(place[0] == key and rule.is_hit(number) for place, number in count([entry]).items()):
                hits += 1
                for field, value in zip(fields, values(entry[1]), strict=True):
                    found[field][str(value)] += 1
        if not hits:
            return None
        return Top(
            kept=len(kept),
            lines=len(window),
            hits=hits,
            values={
                field: tuple((value, number) for value, number in counts.most_common(_MOST_COMMON) if value)
                for field, counts in found.items()
                if any(counts)
            },
        )


class Tops:
    """The most frequent values in alerts' worst windows, for messages.

    They are looked up when the first message about a window is written, and kept for later messages, when its lines
    may have left the sample.

    Args:
        top: searches the sample for an alert.
    """

    def __init__(self, top: Callable[[Alert], Top | None]) -> None:
        self._top = top
        #: By incident, with the last second of the window.
        self._known: dict[str, tuple[int, Top | None]] = {}

    def of(self, alerts: Iterable[Alert]) -> dict[str, Top]:
        """Return what is known about these alerts, by incident.

        Args:
            alerts: those not known yet are looked up, up to a limit.
        """
        found: dict[str, Top] = {}
        left = _LOOKED_UP
        for alert in alerts:
            at, top = self._known.get(alert.incident, (0, None))
            if at != alert.peak_at:
                top = None
                if left and alert.peak_at:
                    left -= 1
                    top = self._top(alert)
                    self._keep(alert, top)
            if top is not None:
                found[alert.incident] = top
        return found

    def _keep(self, alert: Alert, top: Top | None) -> None:
        self._known.pop(alert.incident, None)
        self._known[alert.incident] = alert.peak_at, top
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]
