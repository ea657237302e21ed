"""Many lines of a kind."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import FilteredRule
from obsctl.alerter.window import Window, hits


class Frequency(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="frequency"):
    """At least ``threshold`` lines that fit the filter within the window."""

    threshold: Annotated[int, Meta(ge=1, description="Lines in one window that fulfil the condition.")]

    condition: ClassVar[str] = "at least `threshold` lines fit the `filter`"

    def holds(self, measure: Measure) -> bool:
        """At least ``threshold`` lines."""
        return measure.hits >= self.threshold

    def possible(self, window: Window) -> bool:
        """A window never holds more than all windows together."""
        return hits(window.kept) >= self.threshold

    def measured(self, measure: Measure) -> str:
        """Return the number of lines."""
        return f"{measure.hits} lines"

    @property
    def limit(self) -> str:
        """The threshold."""
        what = f" with {self.filter}" if self.filter else ""
        return f"{self.threshold} lines{what} in {self.window_s} s{self.of_key()}"
