"""Too large a share of the answers are server errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import Counts, Lines, Rule, lines_counter
from obsctl.alerter.rules.share import reaches, share_of
from obsctl.alerter.windows.window import Window, hits, total


class Status5xxShare(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status_5xx_share"):
    """At least the ``share`` of the fleet's answers are 5xx, of at least ``min_requests`` in the window."""

    share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of the answers from which the condition is true, above 0 and up to 1 (0.05 is 5 %).",
        ),
    ]
    min_requests: Annotated[
        int, Meta(ge=1, description="With fewer requests in a window, the condition is not evaluated.")
    ]

    condition: ClassVar[str] = "of at least `min_requests` answers, at least this `share` had a status from 500 to 599"
    limit: ClassVar[str] = "share"

    @property
    def reads(self) -> frozenset[str]:
        """The status."""
        return frozenset(("status",))

    def counter(self) -> Callable[[Lines], Counts]:
        """Count all answers; hits are statuses 500 to 599."""
        return lines_counter(None, None, _is_5xx)

    def measure(self, count: int) -> Measure:
        """Return the share."""
        return share_of(count)

    def holds(self, measure: Measure) -> bool:
        """Enough requests to speak of a share, at least one 5xx, and the share reached."""
        return measure.total >= self.min_requests and reaches(measure, self.share)

    def possible(self, window: Window) -> bool:
        """A part can have a greater share than the whole, but not more requests."""
        return total(window.kept) >= self.min_requests and hits(window.kept) > 0

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Ask the layers in front of and behind the answers."""
        del labels
        return "obsctl health; obsctl verify lb"


def _is_5xx(line: Any) -> Any:
    return 500 <= line.status < 600
