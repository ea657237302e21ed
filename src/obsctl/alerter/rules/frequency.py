"""Many lines of a kind."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import FilteredRule
from obsctl.alerter.windows.window import Window, hits


class Frequency(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="frequency"):
    """At least ``threshold`` lines that match the filter within the window."""

    threshold: Annotated[int, Meta(ge=1, description="Number of lines in one window from which the condition is true.")]

    condition: ClassVar[str] = "at least `threshold` lines match the `filter`"
    limit: ClassVar[str] = "threshold"

    def holds(self, measure: Measure) -> bool:
        """At least ``threshold`` lines."""
        return measure.hits >= self.threshold

    def possible(self, window: Window) -> bool:
        """A window never holds more than all windows together."""
        return hits(window.kept) >= self.threshold
