"""Many answers blame the clients: probing, a broken link, a login under attack."""

from __future__ import annotations

from typing import ClassVar

from obsctl.alerter.events import Event
from obsctl.alerter.rules.rule import FLEET, CountingRule
from obsctl.alerter.window import Count


class Status4xx(CountingRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status_4xx"):
    """At least ``threshold`` answers of the fleet with 4xx within the window."""

    condition: ClassVar[str] = "at least `threshold` answers had a status from 400 to 499"

    def is_hit(self, event: Event) -> bool:
        """Count statuses 400 to 499."""
        return 400 <= event.status < 500

    def key(self, event: Event) -> str | None:
        """Return the fleet for a hit; other requests do not matter here."""
        return FLEET if self.is_hit(event) else None

    def measured(self, count: Count) -> str:
        """Return the number of answers."""
        return f"{count.hits} answers with 4xx"

    @property
    def limit(self) -> str:
        """The threshold."""
        return f"{self.threshold} answers with 4xx in {self.window_s} s"

    def next_step(self, key: str, database: str) -> str:
        """Who gets them and for what."""
        del key
        return (
            f"SELECT client_addr, uri, status, COUNT(*) FROM {database}.access_log WHERE ts > UTC_TIMESTAMP() - "
            "INTERVAL 10 MINUTE AND status BETWEEN 400 AND 499 GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 10"
        )
