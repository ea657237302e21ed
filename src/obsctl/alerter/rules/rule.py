"""What all rules share: which lines they evaluate, under which key they count them, and when a window meets the
condition.

A rule has no state and no clock; :mod:`obsctl.alerter.evaluation.engine` holds the windows and asks it.
"""

from __future__ import annotations

import enum
import hashlib
import math
import operator
import shlex
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

from obsctl.alerter.alerts import Level, Measure
from obsctl.alerter.kinds import InvalidOptionsError
from obsctl.alerter.windows.observation import Number, Observation
from obsctl.alerter.windows.window import HIT, LINE, Window, hits, total
from obsctl.core.config_file import InvalidValueError
from obsctl.core.nearest import did_you_mean
from obsctl.lines.formats.line import AccessLine, ErrorLine, Line
from obsctl.query.errors import QueryError
from obsctl.query.fields import ACCESS, ERROR, Field, Table
from obsctl.query.named import fields_of
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from obsctl.query.text import to_text
from obsctl.query.tree import Node, Term, conjunction

#: The longest window; all its seconds are kept for each key.
LONGEST_WINDOW_S = 3600
#: A message is read later than its window: the command in it shows lines of so many minutes more.
_AROUND_MIN = 10
#: Lines with their seconds of event time.
Lines = Sequence[tuple[int, Line]]
#: What the windows of the rule take, by key as the line holds it and second: counts
#: (:mod:`obsctl.alerter.windows.window`), or what a kind's own windows keep.
Counts = dict[tuple[Any, int], Any]


class Log(enum.StrEnum):
    """Which lines a rule looks at."""

    ACCESS = "access"
    ERROR = "error"


#: The fields of each log's lines, and what a line of it is.
TABLES: Mapping[Log, Table] = {Log.ACCESS: ACCESS, Log.ERROR: ERROR}
LINE_TYPES: Mapping[Log, type[Line]] = {Log.ACCESS: AccessLine, Log.ERROR: ErrorLine}


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all rules share; the fields are the options of alerter.yml."""

    name: Annotated[str, Meta(min_length=1, description="Name of the rule, shown in every message; must be unique.")]
    severity: Annotated[Level, Meta(description="Severity of its alerts, shown in every message.")] = Level.WARNING
    window_s: Annotated[
        int, Meta(ge=1, le=LONGEST_WINDOW_S, description="Length of the sliding window, 1 to 3600 seconds.")
    ] = 60
    resolve_after_s: Annotated[
        int, Meta(ge=1, description="The alert ends when the condition has been false for this long (seconds).")
    ] = 30
    for_s: Annotated[
        int,
        Meta(ge=0, le=86_400, description="The alert starts when the condition has been true for this long (seconds)."),
    ] = 0

    #: What the option that names the kind means: the documentation.
    tag_text: ClassVar[str] = "What is counted, and when the condition is true."
    #: When it holds, in one sentence: the documentation.
    condition: ClassVar[str] = ""
    #: Whom one alert is about: the documentation.
    one_alert_for: ClassVar[str] = "the fleet"
    #: Keys that are counted at a time, at the most; None: as many as all rules may.
    most_keys: ClassVar[int | None] = None
    #: The option that holds what a window is compared with; empty where a kind compares with no number.
    limit: ClassVar[str] = ""
    #: Whether time alone can start the condition; then it is judged at each step of the event clock as well.
    clocked: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if faults := list(self.faults()):
            raise InvalidOptionsError(faults)

    def faults(self) -> Iterator[InvalidValueError]:
        """Yield what cannot work although each option has the right type, with the option as key."""
        yield from ()

    @property
    def kind(self) -> str:
        """The rule's ``kind`` in alerter.yml."""
        return str(self.__struct_config__.tag)

    @property
    def id(self) -> str:
        """The rule and all its options: counts of another one are not its own."""
        options = hashlib.blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()
        return f"{self.name}:{options}"

    @property
    def why_not_testable(self) -> str:
        """Why requests through the VIP cannot make the condition happen; empty where they can."""
        if self.clocked:
            return "requests can only end the condition, not start it"
        if self.log is not Log.ACCESS:
            return "no request can choose a line of the error log"
        return ""

    @property
    def remark(self) -> str:
        """What those who wrote the rule should know although it is no fault; empty for nothing."""
        return ""

    @property
    def log(self) -> Log | None:
        """Which lines the rule looks at; None: at the pipeline's own numbers."""
        return Log.ACCESS

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose values are the key."""
        return ()

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters that its options hold; an empty one says nothing."""
        return ()

    @property
    def concerns(self) -> str:
        """A filter that fits each line which is counted; empty where any line of the log may be."""
        return ""

    @property
    def reads(self) -> frozenset[str]:
        """The fields of a line that decide how it is counted; a rule that looks at lines names them."""
        return frozenset()

    @property
    def keep_s(self) -> int:
        """For how long counts are needed (seconds before the latest window's end)."""
        return self.window_s

    @property
    def remembers_s(self) -> int:
        """How long before a moment a line may have been that still decides on it (seconds)."""
        return self.keep_s

    def labels(self, key: Any) -> dict[str, str]:
        """Return a key, as the counts have it, with the names of its fields."""
        values = key if len(self.fields) != 1 else (key,)
        return {field: str(value) for field, value in zip(self.fields, values, strict=True)}

    def counter(self) -> Callable[[Lines], Counts]:
        """Return the function that counts a batch of lines; made once, because it may be compiled."""
        raise NotImplementedError

    def observed(self, seen: Observation) -> Mapping[Any, Sequence[Number]]:
        """Return the pipeline's own numbers that the rule is about, by key; a rule that looks at lines has none."""
        del seen
        return {}

    def new_window(self) -> Window:
        """Return an empty window."""
        return Window()

    def expected(self) -> Sequence[Any]:
        """Return the keys that are watched although no line had them yet."""
        return ()

    def possible(self, window: Window) -> bool:
        """Whether any window within these counts could hold; a cheap no saves the sums."""
        raise NotImplementedError

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield those windows that end from ``first`` to ``last``, inclusive, and fulfil the condition, in order.

        Yields:
            The window's last second, and what it shows.
        """
        for end, count in window.sliding(first, last, self.window_s):
            measure = self.measure(count)
            if self.holds(measure):
                yield end, measure

    def still_holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the windows that keep a condition on; more than those that start it, where there is a hysteresis."""
        return self.holding(window, first, last)

    def is_hit(self, count: Any) -> bool:
        """Whether a line that was counted as this is one of those that the rule is about."""
        return hits(count) > 0

    def measure(self, count: int) -> Measure:
        """Return what a count shows."""
        return Measure(float(hits(count)), hits(count), total(count))

    def holds(self, measure: Measure) -> bool:
        """Whether a window that shows this fulfils the condition."""
        raise NotImplementedError

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Return the command that a person runs after a message.

        Args:
            labels: what the alert is about, as far as the values need no quoting (:func:`notify.commands.exact`).
        """
        raise NotImplementedError


class CountingRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A window holds at least ``threshold`` hits."""

    threshold: Annotated[int, Meta(ge=1, description="Number of hits in one window from which the condition is true.")]

    limit: ClassVar[str] = "threshold"

    def holds(self, measure: Measure) -> bool:
        """At least ``threshold`` hits."""
        return measure.hits >= self.threshold

    def possible(self, window: Window) -> bool:
        """A window never holds more than all windows together."""
        return hits(window.kept) >= self.threshold


class FilteredRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lines are looked at, and what one alert is about, say the options."""

    lines: Annotated[Log, Meta(description="Which log's lines are evaluated.")] = Log.ACCESS
    filter: Annotated[
        str,
        Meta(description="Only these lines count (docs/reference/query-language.md); empty for all."),
    ] = ""
    by: Annotated[
        tuple[str, ...],
        Meta(
            description="Fields of the line: each combination of their values is counted separately and has its "
            "own alert."
        ),
    ] = ()

    one_alert_for: ClassVar[str] = "each combination of the fields in `by`"

    def faults(self) -> Iterator[InvalidValueError]:
        """A filter that is none, and fields that the lines do not have."""
        yield from raised(self.predicate, "filter")
        for number, name in enumerate(self.by):
            yield from raised(self.field, f"by[{number}]", name)

    @property
    def log(self) -> Log:
        """Which lines the rule looks at."""
        return self.lines

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose values are the key."""
        return self.by

    @property
    def table(self) -> Table:
        """The fields that its lines have."""
        return TABLES[self.lines]

    @property
    def filters(self) -> tuple[str, ...]:
        """The one filter."""
        return (self.filter,)

    @property
    def concerns(self) -> str:
        """The filter: other lines are not counted."""
        return self.filter

    @property
    def reads(self) -> frozenset[str]:
        """The fields of the key and of the filters."""
        trees = [parse(text, self.table) for text in self.filters if text]
        return frozenset(self.by).union(*(fields_of(tree, self.table) for tree in trees))

    def predicate(self, option: str) -> Callable[[Line], bool] | None:
        """Return what says whether a line fits the filter of an option; None where the option is empty.

        Raises:
            InvalidValueError: it is no filter, or not one for these lines.
        """
        text = str(getattr(self, option))
        if not text:
            return None
        try:
            return compile_predicate(parse(text, self.table), self.table)
        except QueryError as error:
            hint = f" ({error.hint})" if error.hint else ""
            text = f"filter, column {error.column}: {error.problem}{hint}\n{error.pointer}"
            raise InvalidValueError(option, text) from None

    def field(self, option: str, name: str) -> Field:
        """Return the field that an option names.

        Raises:
            InvalidValueError: these lines have none of that name.
        """
        found = self.table.fields.get(name)
        if found is None:
            hint = did_you_mean(name, self.table.fields, f"there are {', '.join(self.table.fields)}")
            raise InvalidValueError(option, f"{self.lines.value} lines have no field {name!r}; {hint}")
        return found

    def counter(self) -> Callable[[Lines], Counts]:
        """Count the lines that fit the filter."""
        return lines_counter(key_of(self.by, LINE_TYPES[self.lines]), self.predicate("filter"), self.hit_predicate())

    def values(self, of: str) -> Callable[[Lines], Iterator[tuple[tuple[Any, int], str]]]:
        """Return the function that finds a field's value in each line that fits the filter, with key and second."""
        fits, value = self.predicate("filter"), operator.attrgetter(of)
        key = key_of(self.by, LINE_TYPES[self.lines])

        def found(lines: Lines) -> Iterator[tuple[tuple[Any, int], str]]:
            for second, line in lines:
                if fits is None or fits(line):
                    yield (key(line) if key is not None else (), second), str(value(line))

        return found

    def hit_predicate(self) -> Callable[[Line], bool] | None:
        """Return what says whether a line is a hit; None: each one that fits the filter."""
        return None

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Look at the lines."""
        return search_command(self.lines, self.window_s, labels, self.filter)


def raised(check: Callable[..., object], *arguments: object) -> list[InvalidValueError]:
    """Return what a check raises, as a list of one fault or none."""
    try:
        check(*arguments)
    except InvalidValueError as fault:
        return [fault]
    return []


def search_command(log: Log, window_s: int, labels: Mapping[str, str], *filters: str) -> str:
    """Return the command that shows the lines which fit some filters and have these values, one line for a shell.

    A chat's markup changes what has a backslash in it. Where the filters have one, the values alone say which lines.

    Args:
        log: which lines.
        window_s: length of the rule's window, seconds.
        labels: values of fields.
        filters: of the rule; empty ones say nothing.
    """
    wanted: list[Node] = [Term(field, value) for field, value in labels.items()]
    trees = [parse(text, TABLES[log]) for text in filters if text]
    texts = [to_text(conjunction(parts)) for parts in ([*trees, *wanted], wanted) if parts]
    text = next((text for text in texts if "\\" not in text and "'" not in text), "*")
    since = f"{_AROUND_MIN + math.ceil(window_s / 60)}m"
    of_log = ["--log", log.value] if log is not Log.ACCESS else []
    return shlex.join(["obsctl", "search", text, "--since", since, *of_log])


def lines_counter(
    key: Callable[[Line], Any] | None,
    matches: Callable[[Line], object] | None,
    is_hit: Callable[[Line], object] | None = None,
) -> Callable[[Lines], Counts]:
    """Return the function that counts a batch of lines.

    Args:
        key: of a line; None: all have the same one, the fleet.
        matches: whether the rule looks at the line; None: at every one.
        is_hit: whether it is one of those that the rule is about; None: every one.
    """

    def count(lines: Lines) -> Counts:
        looked_at = lines if matches is None else [entry for entry in lines if matches(entry[1])]
        all_ = by_place(looked_at)
        if is_hit is None:
            return {place: number * HIT for place, number in all_.items()}
        hits = by_place([entry for entry in looked_at if is_hit(entry[1])])
        return {place: number * LINE + hits[place] * (HIT - LINE) for place, number in all_.items()}

    def by_place(lines: Lines) -> Counter[tuple[Any, int]]:
        if key is None:
            return Counter([((), second) for second, _ in lines])
        return Counter([(key(line), second) for second, line in lines])

    return count


def key_of(fields: Sequence[str], line: type[Line]) -> Callable[[Line], Any] | None:
    """Return the function that takes a key out of a line: one text, or a tuple of several; None for no fields."""
    if not fields:
        return None
    values: Callable[[Line], Any] = operator.attrgetter(*fields)
    types = typing.get_type_hints(line)
    (table,) = (TABLES[log] for log, kind in LINE_TYPES.items() if kind is line)
    # Of a list of servers the last entry is the one that answered.
    forms = [entries_last if table.fields[field].many else str for field in fields]
    if all(form is str and types[field] is str for form, field in zip(forms, fields, strict=True)):
        return values
    if len(forms) == 1:
        form = forms[0]
        return lambda one: form(values(one))
    return lambda one: tuple(form(value) for form, value in zip(forms, values(one), strict=True))


def entries_last(text: str) -> str:
    """Return the last entry of a list of servers; nginx writes `` : `` where it passed a request to another group."""
    return text[max(text.rfind(", ") + 2, text.rfind(" : ") + 3) :] if ", " in text or " : " in text else text
