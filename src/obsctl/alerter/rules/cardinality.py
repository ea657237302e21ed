"""Many different values, such as one client that requests very many targets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import Counts, FilteredRule, Lines, raised
from obsctl.alerter.windows.window import Window
from obsctl.core.config_file import InvalidValueError

#: How many values of a key are remembered beyond the threshold: the condition is true by then, and more would only
#: cost memory.
_SPARE = 1000


class Values(Window):
    """The values that a key has had, with the latest second of each.

    Args:
        most: how many are remembered; the oldest are dropped first.
    """

    __slots__ = ("_most", "seconds")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self.seconds: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.seconds)

    @property
    def weight(self) -> int:
        """The number of values."""
        return len(self.seconds)

    @property
    def latest(self) -> int:
        """The latest second of any value; 0 for none."""
        return max(self.seconds.values(), default=0)

    def add(self, second: int, count: Any) -> None:
        """Add the values of a second."""
        for value in count:
            self.seconds[value] = max(second, self.seconds.get(value, 0))
        if len(self.seconds) > self._most:
            newest = sorted(self.seconds.items(), key=operator.itemgetter(1), reverse=True)
            self.seconds = dict(newest[: self._most])

    def forget(self, before: int) -> None:
        """Drop the values whose latest second is before this one."""
        self.seconds = {value: second for value, second in self.seconds.items() if second >= before}

    def different(self, last: int, seconds: int) -> int:
        """Return how many values the window of ``seconds`` seconds that ends with ``last`` holds."""
        return sum(last - seconds < second <= last for second in self.seconds.values())

    def dump(self) -> list[Any]:
        """Return it as a list for a snapshot."""
        return [self.since, self.seconds]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take it from a snapshot."""
        self.since, self.seconds = dumped


class Cardinality(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cardinality"):
    """At least ``threshold`` different values of a field within the window."""

    of: Annotated[str, Meta(description="The field whose different values are counted.")]
    threshold: Annotated[
        int, Meta(ge=2, le=100_000, description="Number of different values from which the condition is true.")
    ]

    condition: ClassVar[str] = (
        "the lines that match the `filter` have at least `threshold` different values of the field `of`"
    )
    limit: ClassVar[str] = "threshold"
    most_keys: ClassVar[int | None] = 20_000

    @property
    def reads(self) -> frozenset[str]:
        """In addition the field whose values are counted."""
        return super().reads | {self.of}

    def faults(self) -> Iterator[InvalidValueError]:
        """In addition a field that the lines do not have."""
        yield from super().faults()
        yield from raised(self.field, "of", self.of)

    def counter(self) -> Callable[[Lines], Counts]:
        """Collect the values by key and second."""
        values = self.values(self.of)

        def collect(lines: Lines) -> Counts:
            found: Counts = {}
            for place, value in values(lines):
                found.setdefault(place, set()).add(value)
            return found

        return collect

    def new_window(self) -> Window:
        """Return an empty collection of values."""
        return Values(self.threshold + _SPARE)

    def is_hit(self, count: Any) -> bool:
        """Every line has a value."""
        return bool(count)

    def possible(self, window: Window) -> bool:
        """A window never holds more values than are remembered."""
        return window.weight >= self.threshold

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the latest window that holds a line; only the latest second of a value is known."""
        assert isinstance(window, Values)  # noqa: S101  its own
        end = min(last, max(first, window.latest))
        if first <= end:
            different = window.different(end, self.window_s)
            if different >= self.threshold:
                yield end, Measure(float(different), different, different)
