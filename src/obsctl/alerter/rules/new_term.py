"""A value that never occurred before, such as a new virtual host or a new kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import FilteredRule
from obsctl.alerter.windows.window import LastSeen, Window
from obsctl.core.config_file import InvalidValueError

_DAY_S = 86_400


class NewTerm(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="new_term"):
    """A combination of the fields in ``by`` that no line had before."""

    learn_s: Annotated[
        int, Meta(ge=1, description="For this long after the first line, every new value counts as known (seconds).")
    ] = _DAY_S
    forget_s: Annotated[
        int,
        Meta(
            ge=60,
            description="A value that no line has had for this long counts as new when it appears again (seconds).",
        ),
    ] = 30 * _DAY_S

    condition: ClassVar[str] = (
        "a line that matches the `filter` has values of the fields in `by` that no earlier line had"
    )

    @property
    def remembers_s(self) -> int:
        """For how long a value is remembered, plus the time of learning."""
        return self.learn_s + self.forget_s

    def faults(self) -> Iterator[InvalidValueError]:
        """In addition having no field at all."""
        yield from super().faults()
        if not self.by:
            yield InvalidValueError("by", "must name at least one field: the one to watch for new values")

    def new_window(self) -> Window:
        """Return a window that remembers when the value occurred first and last."""
        return LastSeen(self.forget_s)

    def possible(self, window: Window) -> bool:
        """Only a value that is not known from the time of learning is new."""
        assert isinstance(window, LastSeen)  # noqa: S101  its own
        return window.first - window.since >= self.learn_s

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the second of the first line that had the value."""
        assert isinstance(window, LastSeen)  # noqa: S101  its own
        if self.possible(window) and first <= window.first <= last:
            yield window.first, Measure(1.0, 1, 1)
