"""The lines read last, for what a message says of a condition beyond its count: which hosts, targets, clients.

To count every line under every such value would cost more than the rules do.
"""

from __future__ import annotations

import operator
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from obsctl.alerter.alerts import Alert
from obsctl.alerter.rules.rule import Counts, Lines, Log, Rule

#: Lines of each log that are kept; about 12 MiB.
LINES = 10_000
#: Values of a field that are named.
_MOST_COMMON = 5
#: Alerts of one turn for which the sample is looked at: that takes some milliseconds each.
_LOOKED_UP = 5
#: Alerts of which the outcome is kept; a repeated message of an older one has no top values.
_KNOWN = 200
#: What is counted, by log; a rule's own key is left out.
_FIELDS: Mapping[Log, tuple[str, ...]] = {
    Log.ACCESS: ("host", "status", "uri", "client_addr", "upstream_addr"),
    Log.ERROR: ("host", "level", "client_addr", "upstream"),
}


class Top(Struct, frozen=True, kw_only=True):
    """What the hits of a window have most often, of a sample.

    Attributes:
        kept: lines that the sample holds, those read last.
        lines: those of them that are in the window.
        hits: those of them that are hits of the key.
        values: by field its most frequent values with their hits, most first.
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
        """Return what the hits of a window have most often; None where no line of them is kept.

        Args:
            rule: whose window.
            count: its counter.
            key: as the rule's counts have it.
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
    """What messages say of the lines of alerts' worst windows.

    It is looked up when a message is written, of the window whose count stands in it, and kept for later messages:
    by then the lines may be gone.

    Args:
        top: looks into the sample for an alert.
    """

    def __init__(self, top: Callable[[Alert], Top | None]) -> None:
        self._top = top
        #: By incident, with the last second of the window.
        self._known: dict[str, tuple[int, Top | None]] = {}

    def of(self, alerts: Iterable[Alert]) -> dict[str, Top]:
        """Return what is known of these alerts, by incident.

        Args:
            alerts: the first of them that are not known yet are looked up.
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
