"""Many answers blame the clients: probing, a broken link, a login under attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from obsctl.alerter.rules.rule import CountingRule, Counts, Lines, lines_counter


class Status4xx(CountingRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status_4xx"):
    """At least ``threshold`` answers of the fleet with 4xx within the window."""

    condition: ClassVar[str] = "at least `threshold` answers had a status from 400 to 499"

    def counter(self) -> Callable[[Lines], Counts]:
        """Count statuses 400 to 499."""
        return lines_counter(None, _is_4xx)

    def next_step(self, labels: Mapping[str, str], database: str) -> str:
        """Who gets them and for what."""
        del labels
        return (
            f"SELECT client_addr, uri, status, COUNT(*) FROM {database}.access_log WHERE ts > UTC_TIMESTAMP() - "
            "INTERVAL 10 MINUTE AND status BETWEEN 400 AND 499 GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 10"
        )


def _is_4xx(line: Any) -> Any:
    return 400 <= line.status < 500
