"""A metric of the pipeline itself that is too high or too low."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.alerts import Measure
from obsctl.alerter.rules.metric_names import OURS, PREFIX, is_known
from obsctl.alerter.rules.rule import Counts, Lines, Log, Rule
from obsctl.alerter.windows.number_series import Readings, Series
from obsctl.alerter.windows.observation import SOURCE, Number, Observation
from obsctl.alerter.windows.window import Window
from obsctl.core.config_file import InvalidValueError
from obsctl.core.nearest import did_you_mean


class Metric(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="metric"):
    """A number of a page of ``metrics.sources`` is above or below a limit.

    It is judged by the wall clock each time that the pages are read: a pipeline that does not work has no events.
    """

    metric: Annotated[
        str, Meta(pattern="^[a-zA-Z_:][a-zA-Z0-9_:]*$", description="Name of the metric, as on the metrics page.")
    ]
    match: Annotated[
        dict[str, str], Meta(description="Only metrics whose labels have these values; `source` is the page's name.")
    ] = {}  # noqa: RUF012  never changed
    by: Annotated[
        tuple[str, ...],
        Meta(
            description="Labels of the metric: each combination of their values has its own alert, decided by the "
            "worst value."
        ),
    ] = (SOURCE,)
    above: Annotated[float | None, Meta(description="The condition is true while the metric is above this.")] = None
    below: Annotated[float | None, Meta(description="The condition is true while the metric is below this.")] = None
    resolve_above: Annotated[
        float | None,
        Meta(
            description="Once true, the condition stays true while the metric is above this (hysteresis); by "
            "default `above`."
        ),
    ] = None
    resolve_below: Annotated[
        float | None,
        Meta(
            description="Once true, the condition stays true while the metric is below this (hysteresis); by "
            "default `below`."
        ),
    ] = None
    increase: Annotated[
        bool,
        Meta(description="Use how much a counter rose within `window_s`; without it, its current value."),
    ] = False

    condition: ClassVar[str] = (
        "the pipeline's own metric `metric` is `above` or `below` the limit; the window is used only with `increase`"
    )
    one_alert_for: ClassVar[str] = "each combination of the labels in `by`"

    def faults(self) -> Iterator[InvalidValueError]:
        """A name with our prefix that we do not have, no limit or two, and a hysteresis the wrong way round."""
        if self.metric.startswith(PREFIX) and not is_known(self.metric):
            hint = did_you_mean(self.metric, OURS, "docs/reference/alerting.md lists them")
            yield InvalidValueError(
                "metric", f"neither the consumer nor the alerter has a metric {self.metric!r}; {hint}"
            )
        for number, label in enumerate(self.by):
            # It is also a field of alerts, which the filters of routes and silences use.
            if not label.isidentifier() or label.startswith("_") or keyword.iskeyword(label):
                yield InvalidValueError(f"by[{number}]", f"an alert cannot have a label {label!r}")
        if (self.above is None) is (self.below is None):
            yield InvalidValueError("above", "give either above or below")
            return
        if self.above is None and self.resolve_above is not None:
            yield InvalidValueError("resolve_above", "goes with above")
        elif self.above is not None and self.resolve_above is not None and self.resolve_above > self.above:
            yield InvalidValueError("resolve_above", "must be at most above")
        if self.below is None and self.resolve_below is not None:
            yield InvalidValueError("resolve_below", "goes with below")
        elif self.below is not None and self.resolve_below is not None and self.resolve_below < self.below:
            yield InvalidValueError("resolve_below", "must be at least below")

    @property
    def log(self) -> Log | None:
        """It looks at metrics, not at lines."""
        return None

    @property
    def fields(self) -> tuple[str, ...]:
        """The labels whose values are the key."""
        return self.by

    @property
    def why_not_testable(self) -> str:
        """Requests cannot set such a number on purpose."""
        return "it is about the pipeline itself, and requests cannot set its metrics"

    @property
    def remark(self) -> str:
        """A name that does not begin like ours cannot be checked."""
        if is_known(self.metric):
            return ""
        return f"{self.metric} is not a metric of the consumer or the alerter: a page in metrics.sources must have it"

    def counter(self) -> Callable[[Lines], Counts]:
        """Count no line."""
        return lambda _: {}

    def new_window(self) -> Readings:
        """Return an empty set of readings."""
        return Readings(self.window_s if self.increase else 0)

    def observed(self, seen: Observation) -> dict[object, list[Number]]:
        """Return the numbers that the rule is about, by key."""
        found: dict[object, list[Number]] = {}
        for number in seen.numbers:
            if number.name == self.metric and all(number.labels.get(k, "") == v for k, v in self.match.items()):
                values = tuple(number.labels.get(label, "") for label in self.by)
                found.setdefault(values[0] if len(values) == 1 else values, []).append(number)
        return found

    def possible(self, window: Window) -> bool:
        """Lines cannot fulfil the condition."""
        del window
        return False

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the latest second if the number is beyond the limit."""
        return self._beyond(window, first, last, self.above, self.below)

    def still_holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the latest second if the number is beyond the limit that ends the condition."""
        above = self.above if self.resolve_above is None else self.resolve_above
        return self._beyond(
            window, first, last, above, self.below if self.resolve_below is None else self.resolve_below
        )

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Check the whole pipeline."""
        del labels
        return "obsctl health"

    def _beyond(
        self, window: Window, first: int, last: int, above: float | None, below: float | None
    ) -> Iterator[tuple[int, Measure]]:
        if not isinstance(window, Readings) or first > last:
            return
        values = [value for series in window.series.values() if (value := self._value(series, last)) is not None]
        # In a measure a greater value is worse.
        if above is not None and values and max(values) > above:
            yield last, Measure(max(values), 0, 0)
        if below is not None and values and min(values) < below:
            yield last, Measure(-min(values), 0, 0)

    def _value(self, series: Series, now: int) -> float | None:
        """Return a series' value; None while it is not known."""
        if not self.increase:
            return series.readings[-1].value
        # Whether the rise is too small can only be judged over a whole window.
        if self.below is not None and series.readings[0].second > now - self.window_s:
            return None
        return series.rise()
