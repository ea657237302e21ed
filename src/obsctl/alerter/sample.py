"""The lines read last, for what a message says of a condition beyond its count: which hosts, targets, clients.

To count every line under every such value would cost more than the rules do.
"""

from __future__ import annotations

import operator
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from obsctl.alerter.rules.rule import Counts, Lines, Log, Rule

#: Lines of each log that are kept; about 12 MiB.
LINES = 10_000
#: Values of a field that are named.
_MOST_COMMON = 5
#: What is counted, by log; a rule's own key is left out.
_FIELDS: Mapping[Log, tuple[str, ...]] = {
    Log.ACCESS: ("host", "status", "uri", "client_addr", "upstream_addr"),
    Log.ERROR: ("host", "level", "client_addr", "upstream"),
}

#: By field: its most frequent values with their counts, most first.
Top = dict[str, tuple[tuple[str, int], ...]]


class Sample:
    """The last lines of each log, with their seconds of event time."""

    def __init__(self, lines: int = LINES) -> None:
        self._lines: dict[Log, deque[tuple[int, Any]]] = {log: deque(maxlen=lines) for log in Log}

    def add(self, log: Log, lines: Lines) -> None:
        """Take lines that were counted."""
        self._lines[log].extend(lines)

    def top(self, rule: Rule, count: Callable[[Lines], Counts], key: Any, last: int) -> Top:
        """Return what the hits of a window have most often, as far as they are among the lines that are kept.

        Args:
            rule: whose window.
            count: its counter.
            key: as the rule's counts have it.
            last: the window's last second.
        """
        if rule.log is None:
            return {}
        fields = [field for field in _FIELDS[rule.log] if field not in rule.fields]
        values = operator.attrgetter(*fields)
        found: dict[str, Counter[str]] = {field: Counter() for field in fields}
        for entry in self._lines[rule.log]:
            if last - rule.window_s < entry[0] <= last and any(
                place[0] == key and rule.is_hit(number) for place, number in count([entry]).items()
            ):
                for field, value in zip(fields, values(entry[1]), strict=True):
                    found[field][str(value)] += 1
        return {
            field: tuple((value, number) for value, number in counts.most_common(_MOST_COMMON) if value)
            for field, counts in found.items()
            if any(counts)
        }
