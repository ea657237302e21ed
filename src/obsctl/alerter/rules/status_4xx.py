"""Many 4xx answers: probing, a broken link, a login under attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from obsctl.alerter.rules.rule import CountingRule, Counts, Lines, Log, lines_counter, search_command

_FILTER = "status:[400 TO 499]"


class Status4xx(CountingRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status_4xx"):
    """At least ``threshold`` answers of the fleet with 4xx within the window."""

    condition: ClassVar[str] = "at least `threshold` answers had a status from 400 to 499"

    @property
    def concerns(self) -> str:
        """Those answers."""
        return _FILTER

    @property
    def reads(self) -> frozenset[str]:
        """The status."""
        return frozenset(("status",))

    def counter(self) -> Callable[[Lines], Counts]:
        """Count statuses 400 to 499."""
        return lines_counter(None, _is_4xx)

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Search for who gets them and for which targets."""
        return search_command(Log.ACCESS, self.window_s, labels, _FILTER)


def _is_4xx(line: Any) -> Any:
    return 400 <= line.status < 500
