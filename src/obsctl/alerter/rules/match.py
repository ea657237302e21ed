"""Lines of which a single one is already a condition."""

from __future__ import annotations

from typing import ClassVar

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import FilteredRule
from obsctl.alerter.windows.window import Window, hits


class Match(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="match"):
    """At least one line that fits the filter within the window."""

    condition: ClassVar[str] = "a line matches the `filter`"

    def holds(self, measure: Measure) -> bool:
        """One line is enough."""
        return measure.hits > 0

    def possible(self, window: Window) -> bool:
        """There has to be a line."""
        return hits(window.kept) > 0
