"""Suddenly many lines, compared with what was usual for the same key just before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import Counts, FilteredRule, Lines
from obsctl.alerter.windows.window import Window, hits

#: How many cells a window has; more would only cost memory, since the baseline is many windows long.
_CELLS = 12
#: The share of the baseline that must have been counted before windows are compared with it.
KNOWN = 1 / 3


class Spike(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="spike"):
    """The window holds at least ``factor`` times the lines that a window held on average in the time before it."""

    factor: Annotated[float, Meta(gt=1, description="The condition is true from this many times the usual number.")]
    min_lines: Annotated[
        int,
        Meta(ge=1, description="With fewer lines in a window the condition is not evaluated, however few are usual."),
    ] = 100
    baseline_s: Annotated[
        int,
        Meta(
            ge=60,
            le=86_400,
            description="How much time before the window the usual number is taken from, 60 to 86400 seconds. Nothing "
            "is compared until a third of it has been read.",
        ),
    ] = 1800

    condition: ClassVar[str] = (
        "at least `min_lines` lines match the `filter`, and at least `factor` times the average of a window in "
        "the `baseline_s` before"
    )
    limit: ClassVar[str] = "factor"
    most_keys: ClassVar[int | None] = 5000

    @property
    def keep_s(self) -> int:
        """The length of the window and of the baseline before it."""
        return self.window_s + self.baseline_s

    def counter(self) -> Callable[[Lines], Counts]:
        """Count the matching lines, with seconds rounded up to the end of a cell."""
        count, width = super().counter(), max(1, self.window_s // _CELLS)

        def in_cells(lines: Lines) -> Counts:
            counts: Counts = {}
            for (key, second), number in count(lines).items():
                place = (key, second - second % width + width - 1)
                counts[place] = counts.get(place, 0) + number
            return counts

        return in_cells

    def possible(self, window: Window) -> bool:
        """A window never holds more than all windows together."""
        return hits(window.kept) >= self.min_lines

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the windows that hold many times the usual number."""
        before = window.sliding(first - self.window_s, last - self.window_s, self.baseline_s)
        for (end, count), (_, usual) in zip(window.sliding(first, last, self.window_s), before, strict=True):
            known = min(self.baseline_s, end - self.window_s - window.since)
            if known >= self.baseline_s * KNOWN:
                expected = max(1.0, hits(usual) * self.window_s / known)
                measure = Measure(hits(count) / expected, hits(count), round(expected))
                if measure.hits >= self.min_lines and measure.value >= self.factor:
                    yield end, measure

    def is_hit(self, count: Any) -> bool:
        """Every line that was counted is a hit."""
        return bool(count)
