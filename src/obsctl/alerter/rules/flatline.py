"""No lines: a host, a back end or the whole fleet has stopped writing them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import Counts, FilteredRule, Lines
from obsctl.alerter.windows.window import LastSeen, Window
from obsctl.core.config_file import InvalidValueError

_DAY_S = 86_400


class Flatline(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="flatline"):
    """No line that matches the filter for the length of the window."""

    expect: Annotated[
        tuple[str, ...],
        Meta(
            description="Values of the one field in `by` that must have lines, even if they have had none since "
            "the start; other values are not watched. Empty: each value is watched for a day after its latest line."
        ),
    ] = ()

    condition: ClassVar[str] = "no line matches the `filter`"
    clocked: ClassVar[bool] = True

    @property
    def remembers_s(self) -> int:
        """Values that are not named in the options are watched for a day after their latest line."""
        return self.window_s if self._names_all else _DAY_S

    def faults(self) -> Iterator[InvalidValueError]:
        """In addition values for more than one field, or for none."""
        yield from super().faults()
        if self.expect and len(self.by) != 1:
            yield InvalidValueError("expect", "needs exactly one field in by: the one whose values it lists")

    def counter(self) -> Callable[[Lines], Counts]:
        """Return the seconds of the matching lines; if the options name values, only of these."""
        count, expected = super().counter(), frozenset(self.expect)
        if not expected:
            return count
        return lambda lines: {place: number for place, number in count(lines).items() if place[0] in expected}

    def new_window(self) -> Window:
        """Return a window for the latest line; a key that must have lines is remembered however long it is silent."""
        return LastSeen(math.inf if self._names_all else _DAY_S)

    @property
    def _names_all(self) -> bool:
        """Whether the options say what must have lines: named values, or the whole fleet."""
        return bool(self.expect) or not self.by

    def expected(self) -> Sequence[Any]:
        """Return the keys that must have lines; without fields that is the whole fleet."""
        return self.expect if self.by else ((),)

    def possible(self, window: Window) -> bool:
        """A line that was just read cannot begin a silence; only passing time can."""
        del window
        return False

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the latest second while the silence lasts."""
        silent = last - window.latest
        if silent >= self.window_s and first <= last:
            yield last, Measure(float(silent), 0, 0)
