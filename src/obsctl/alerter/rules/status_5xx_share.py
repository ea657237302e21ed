"""A part of the answers are server errors."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.events import Event
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.window import Count


class Status5xxShare(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status_5xx_share"):
    """At least the ``share`` of the fleet's answers are 5xx, of at least ``min_requests`` in the window."""

    share: Annotated[
        float,
        Meta(gt=0, le=1, description="Part of the answers that fulfils the condition, above 0 to 1 (0.05 is 5 %)."),
    ]
    min_requests: Annotated[int, Meta(ge=1, description="With fewer requests in a window there is no condition.")]

    condition: ClassVar[str] = "of at least `min_requests` answers, at least this `share` had a status from 500 to 599"

    def is_hit(self, event: Event) -> bool:
        """Count statuses 500 to 599."""
        return 500 <= event.status < 600

    def holds(self, count: Count) -> bool:
        """Enough requests to speak of a share, at least one 5xx, and the share reached."""
        return (
            count.total >= self.min_requests
            and count.hits > 0
            and count.hits >= self.share * count.total - 1e-9  # 0.05 * 100 is a little above 5 in binary
        )

    def possible(self, kept: Count) -> bool:
        """A part can have a greater share than the whole, but not more requests."""
        return kept.total >= self.min_requests and kept.hits > 0

    def worse(self, one: Count, other: Count) -> bool:
        """A greater share is worse."""
        return one.hits * other.total > other.hits * one.total

    def measured(self, count: Count) -> str:
        """Return the share with its sample."""
        share = 100 * count.hits / count.total if count.total else 0.0
        return f"{share:.1f} % of answers with 5xx ({count.hits} of {count.total})"

    @property
    def limit(self) -> str:
        """The threshold and the sample."""
        return f"{100 * self.share:g} % in {self.window_s} s, of at least {self.min_requests} requests"

    def next_step(self, key: str, database: str) -> str:
        """Ask the layers in front of and behind the answers."""
        del key, database
        return "obsctl health; obsctl verify lb"
