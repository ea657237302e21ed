"""A percentile that is too high, such as the 95th of the request times."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import LINE_TYPES, Counts, FilteredRule, Lines, key_of, lines_counter, raised
from obsctl.alerter.rules.share import share_of
from obsctl.alerter.windows.window import Window, hits, total
from obsctl.core.config_file import InvalidValueError
from obsctl.lines.formats.line import Absent, Line
from obsctl.query.fields import Kind


class Percentile(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="percentile"):
    """The percentile of a number is above a limit.

    This is so exactly if more than the remaining share of the lines (5 % for the 95th) is above the limit. So only
    these lines are counted, and no values are stored.
    """

    of: Annotated[str, Meta(description="The numeric field of the line.")] = "request_time"
    percentile: Annotated[float, Meta(gt=0, lt=100, description="Which percentile, such as 95 or 99.")] = 95.0
    above: Annotated[
        float, Meta(ge=0, description="The condition is true when the percentile is above this, in the field's unit.")
    ]
    min_lines: Annotated[
        int, Meta(ge=1, description="With fewer lines that have the field in a window, the condition is not evaluated.")
    ] = 100

    condition: ClassVar[str] = "of at least `min_lines` lines, the `percentile` of the field `of` is above the limit"
    limit: ClassVar[str] = "above"

    @property
    def reads(self) -> frozenset[str]:
        """In addition the number."""
        return super().reads | {self.of}

    def faults(self) -> Iterator[InvalidValueError]:
        """In addition a field that is not a number."""
        yield from super().faults()
        yield from raised(self.field, "of", self.of)
        field = self.table.fields.get(self.of)
        if field is not None and (field.many or field.kind not in (Kind.INTEGER, Kind.DECIMAL)):
            what = f"{field.kind.value}{' list' if field.many else ''}"
            yield InvalidValueError("of", f"{self.of} is a {what}, not a number")

    def counter(self) -> Callable[[Lines], Counts]:
        """Count the lines that have the number; hits are those above the limit."""
        value, above = operator.attrgetter(self.of), self.above
        fits = self.predicate("filter")

        def matches(line: Line) -> bool:
            return type(value(line)) is not Absent and (fits is None or fits(line))

        return lines_counter(key_of(self.by, LINE_TYPES[self.lines]), matches, lambda line: value(line) > above)

    def measure(self, count: int) -> Measure:
        """Return the share."""
        return share_of(count)

    def holds(self, measure: Measure) -> bool:
        """Enough lines, and a greater share of them above the limit than the percentile allows."""
        rest = (100 - self.percentile) / 100
        return measure.total >= self.min_lines and measure.hits > rest * measure.total + 1e-9

    def possible(self, window: Window) -> bool:
        """A part can have a greater share than the whole, but not more lines."""
        return total(window.kept) >= self.min_lines and hits(window.kept) > 0
