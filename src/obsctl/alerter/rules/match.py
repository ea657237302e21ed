"""Lines of which a single one is enough for the condition."""

from __future__ import annotations

from typing import ClassVar

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import FilteredRule
from obsctl.alerter.windows.window import Window, hits


class Match(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="match"):
    """At least one line that matches the filter within the window."""

    condition: ClassVar[str] = "a line matches the `filter`"

    def holds(self, measure: Measure) -> bool:
        """One line is enough."""
        return measure.hits > 0

    def possible(self, window: Window) -> bool:
        """There must be a line."""
        return hits(window.kept) > 0
