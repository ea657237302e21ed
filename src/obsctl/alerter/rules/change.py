"""A value changed, such as the server that answers for a virtual host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.rule import Counts, FilteredRule, Lines, raised
from obsctl.alerter.windows.window import Window
from obsctl.core.config_file import InvalidValueError

_DAY_S = 86_400


class Value(Window):
    """The latest value of a key, its second, and when it changed last."""

    __slots__ = ("changed", "second", "value")

    def __init__(self) -> None:
        super().__init__()
        self.value = ""
        self.second = 0
        self.changed = 0

    def __bool__(self) -> bool:
        return self.second > 0

    @property
    def weight(self) -> int:
        """Keys that have been silent for longest are dropped first."""
        return 0

    @property
    def latest(self) -> int:
        """The second of the value."""
        return self.second

    def add(self, second: int, count: Any) -> None:
        """Add the value of a second; one older than the latest is ignored."""
        if second >= self.second:
            if self.second and count != self.value:
                self.changed = second
            self.value, self.second = count, second

    def forget(self, before: int) -> None:
        """Drop the value if no line had it for a day."""
        if self.second < before - _DAY_S:
            self.second = 0

    def dump(self) -> list[Any]:
        """Return it as a list for a snapshot."""
        return [self.since, self.value, self.second, self.changed]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take it from a snapshot."""
        self.since, self.value, self.second, self.changed = dumped


class Change(FilteredRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="change"):
    """The value of a field differs from that of the previous line."""

    of: Annotated[str, Meta(description="The field whose value is compared with the previous one.")]

    condition: ClassVar[str] = "in the lines that match the `filter`, the value of the field `of` has changed"

    @property
    def reads(self) -> frozenset[str]:
        """In addition the field whose value is compared."""
        return super().reads | {self.of}

    @property
    def remembers_s(self) -> int:
        """A value is compared with one that is up to a day older."""
        return _DAY_S

    def faults(self) -> Iterator[InvalidValueError]:
        """In addition a field that the lines do not have."""
        yield from super().faults()
        yield from raised(self.field, "of", self.of)

    def counter(self) -> Callable[[Lines], Counts]:
        """Return the last value of each second, sorted by time: the partitions of a topic are read in any order."""
        values = self.values(self.of)

        def last_values(lines: Lines) -> Counts:
            return dict(sorted(dict(values(lines)).items(), key=lambda entry: entry[0][1]))

        return last_values

    def new_window(self) -> Window:
        """Return an empty window for the value."""
        return Value()

    def is_hit(self, count: Any) -> bool:
        """Every line has a value."""
        return bool(count)

    def possible(self, window: Window) -> bool:
        """There must have been a change."""
        assert isinstance(window, Value)  # noqa: S101  its own
        return window.changed > 0

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the second of the latest change."""
        assert isinstance(window, Value)  # noqa: S101  its own
        if first <= window.changed <= last:
            yield window.changed, Measure(1.0, 1, 1)
