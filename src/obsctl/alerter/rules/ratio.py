"""Too large a share of the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import FilteredRule, raised, search_command
from obsctl.alerter.rules.share import reaches, share_of
from obsctl.alerter.windows.window import Window, hits, total
from obsctl.core.config_file import InvalidValueError
from obsctl.lines.formats.line import Line


class Ratio(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ratio"):
    """A share of the lines that match the filter also match a second one."""

    hits: Annotated[
        str,
        Meta(
            min_length=1,
            description="The share is counted as the lines that also match this filter, out of those that match "
            "`filter`.",
        ),
    ]
    share: Annotated[
        float,
        Meta(gt=0, le=1, description="Share from which the condition is true, above 0 and up to 1 (0.05 is 5 %)."),
    ]
    resolve_share: Annotated[
        float | None,
        Meta(
            description="Once true, the condition stays true while at least this share matches (hysteresis); by "
            "default `share`."
        ),
    ] = None
    min_lines: Annotated[
        int, Meta(ge=1, description="With fewer lines in a window, the condition is not evaluated.")
    ] = 100

    condition: ClassVar[str] = (
        "of at least `min_lines` lines that match the `filter`, at least the `share` match `hits`"
    )
    limit: ClassVar[str] = "share"

    def faults(self) -> Iterator[InvalidValueError]:
        """In addition an invalid filter of hits, and a hysteresis the wrong way round."""
        yield from super().faults()
        yield from raised(self.predicate, "hits")
        if self.resolve_share is not None and not 0 < self.resolve_share <= self.share:
            yield InvalidValueError("resolve_share", "must be above 0 and at most share")

    @property
    def filters(self) -> tuple[str, ...]:
        """Both filters."""
        return (self.filter, self.hits)

    def hit_predicate(self) -> Callable[[Line], bool] | None:
        """Return the function that says whether a line matches the second filter."""
        return self.predicate("hits")

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Search for the lines that match both filters."""
        return search_command(self.lines, self.window_s, labels, self.filter, self.hits)

    def measure(self, count: int) -> Measure:
        """Return the share."""
        return share_of(count)

    def holds(self, measure: Measure) -> bool:
        """Enough lines to speak of a share, and the share reached."""
        return measure.total >= self.min_lines and reaches(measure, self.share)

    def still_holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield windows that reach the lower share."""
        share = self.share if self.resolve_share is None else self.resolve_share
        for end, count in window.sliding(first, last, self.window_s):
            measure = self.measure(count)
            if measure.total >= self.min_lines and reaches(measure, share):
                yield end, measure

    def possible(self, window: Window) -> bool:
        """A part can have a greater share than the whole, but not more lines."""
        return total(window.kept) >= self.min_lines and hits(window.kept) > 0
