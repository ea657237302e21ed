"""What all rules share: which lines they evaluate, under which key they count them, and when a window meets the
condition.

A rule has no state and no clock; :mod:`obsctl.alerter.evaluation.engine` holds the windows and has the rule judge
them.
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

#: The longest window, seconds; all its seconds are stored for each key.
LONGEST_WINDOW_S = 3600
#: A message is read some time after its window: the command in it covers this many more minutes.
_AROUND_MIN = 10
#: Lines with their seconds of event time.
Lines = Sequence[tuple[int, Line]]
#: What a rule adds to its windows, by key (as in the line) and second: counts (:mod:`obsctl.alerter.windows.window`),
#: or values for a kind's own windows.
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

    #: Description of the option that names the kind, for the documentation.
    tag_text: ClassVar[str] = "What is counted, and when the condition is true."
    #: When the condition is true, in one sentence, for the documentation.
    condition: ClassVar[str] = ""
    #: What one alert is about, for the documentation.
    one_alert_for: ClassVar[str] = "the fleet"
    #: The most keys that are counted at a time; None: the limit for all rules.
    most_keys: ClassVar[int | None] = None
    #: The option whose value a window is compared with; empty if a kind does not compare with a number.
    limit: ClassVar[str] = ""
    #: Whether the condition can start only because time passes; then it is also judged at each step of the event
    #: clock.
    clocked: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if faults := list(self.faults()):
            raise InvalidOptionsError(faults)

    def faults(self) -> Iterator[InvalidValueError]:
        """Yield the faults of options that have the right type but cannot work, with the option as key."""
        yield from ()

    @property
    def kind(self) -> str:
        """The rule's ``kind`` in alerter.yml."""
        return str(self.__struct_config__.tag)

    @property
    def id(self) -> str:
        """Name and all options: a rule with other options does not use this one's counts."""
        options = hashlib.blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()
        return f"{self.name}:{options}"

    @property
    def why_not_testable(self) -> str:
        """Why requests through the VIP cannot make the condition true; empty if they can."""
        if self.clocked:
            return "requests can only end the condition, not start it"
        if self.log is not Log.ACCESS:
            return "no request can choose a line of the error log"
        return ""

    @property
    def remark(self) -> str:
        """What the rule's author should know although it is not a fault; empty for nothing."""
        return ""

    @property
    def log(self) -> Log | None:
        """Which lines the rule looks at; None: it looks at the pipeline's own numbers."""
        return Log.ACCESS

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose values are the key."""
        return ()

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters in its options; an empty one matches every line."""
        return ()

    @property
    def concerns(self) -> str:
        """A filter that matches every line that is counted; empty if any line may be counted."""
        return ""

    @property
    def reads(self) -> frozenset[str]:
        """The fields of a line that decide how it is counted; rules that look at lines override this."""
        return frozenset()

    @property
    def keep_s(self) -> int:
        """How long counts are needed (seconds before the latest window's end)."""
        return self.window_s

    @property
    def remembers_s(self) -> int:
        """How old a line can be that still affects the result at a moment (seconds before it)."""
        return self.keep_s

    def labels(self, key: Any) -> dict[str, str]:
        """Return a key of the counts with the names of its fields."""
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
        """Return the keys that are watched even if no line has had them yet."""
        return ()

    def possible(self, window: Window) -> bool:
        """Whether the condition could be true in any window of these counts; a cheap no saves the sums."""
        raise NotImplementedError

    def holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the windows that end from ``first`` to ``last``, inclusive, and fulfil the condition, in order.

        Yields:
            The window's last second, and what it shows.
        """
        for end, count in window.sliding(first, last, self.window_s):
            measure = self.measure(count)
            if self.holds(measure):
                yield end, measure

    def still_holding(self, window: Window, first: int, last: int) -> Iterator[tuple[int, Measure]]:
        """Yield the windows that keep a condition going; with a hysteresis these are more than those that start it."""
        return self.holding(window, first, last)

    def is_hit(self, count: Any) -> bool:
        """Whether a line that was counted as this count is a hit."""
        return hits(count) > 0

    def measure(self, count: int) -> Measure:
        """Return the measure of a count."""
        return Measure(float(hits(count)), hits(count), total(count))

    def holds(self, measure: Measure) -> bool:
        """Whether a window with this measure fulfils the condition."""
        raise NotImplementedError

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Return the command that a person should run after a message.

        Args:
            labels: the alert's labels whose values need no quoting (:func:`obsctl.alerter.messages.commands.exact`).
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
    """A rule whose options say which lines are counted and what one alert is about."""

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
        """An invalid filter, and fields that the lines do not have."""
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
        """The fields of its lines."""
        return TABLES[self.lines]

    @property
    def filters(self) -> tuple[str, ...]:
        """The one filter."""
        return (self.filter,)

    @property
    def concerns(self) -> str:
        """The filter: lines that do not match are not counted."""
        return self.filter

    @property
    def reads(self) -> frozenset[str]:
        """The fields of the key and of the filters."""
        trees = [parse(text, self.table) for text in self.filters if text]
        return frozenset(self.by).union(*(fields_of(tree, self.table) for tree in trees))

    def predicate(self, option: str) -> Callable[[Line], bool] | None:
        """Return the function that says whether a line matches the filter in an option; None if the option is empty.

        Raises:
            InvalidValueError: the filter is invalid, or not valid for these lines.
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
        """Count the lines that match the filter."""
        return lines_counter(key_of(self.by, LINE_TYPES[self.lines]), self.predicate("filter"), self.hit_predicate())

    def values(self, of: str) -> Callable[[Lines], Iterator[tuple[tuple[Any, int], str]]]:
        """Return the function that yields key, second and a field's value for each line that matches the filter."""
        fits, value = self.predicate("filter"), operator.attrgetter(of)
        key = key_of(self.by, LINE_TYPES[self.lines])

        def found(lines: Lines) -> Iterator[tuple[tuple[Any, int], str]]:
            for second, line in lines:
                if fits is None or fits(line):
                    yield (key(line) if key is not None else (), second), str(value(line))

        return found

    def hit_predicate(self) -> Callable[[Line], bool] | None:
        """Return the function that says whether a line is a hit; None: each line that matches the filter is one."""
        return None

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Search for the lines."""
        return search_command(self.lines, self.window_s, labels, self.filter)


def raised(check: Callable[..., object], *arguments: object) -> list[InvalidValueError]:
    """Return the error that a check raises as a list of one fault; empty if it raises none."""
    try:
        check(*arguments)
    except InvalidValueError as fault:
        return [fault]
    return []


def search_command(log: Log, window_s: int, labels: Mapping[str, str], *filters: str) -> str:
    """Return the command that shows the lines which match some filters and have these values, as one line for a shell.

    A chat's markup changes text with a backslash in it. If the filters have one, only the values select the lines.

    Args:
        log: which lines.
        window_s: length of the rule's window, seconds.
        labels: values of fields.
        filters: of the rule; empty ones are ignored.
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
        key: returns a line's key; None: all lines have the same key, the fleet.
        matches: whether the rule looks at a line; None: at every line.
        is_hit: whether a line is a hit; None: every line is.
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
    """Return the function that extracts a line's key: one text, or a tuple of several; None for no fields."""
    if not fields:
        return None
    values: Callable[[Line], Any] = operator.attrgetter(*fields)
    types = typing.get_type_hints(line)
    (table,) = (TABLES[log] for log, kind in LINE_TYPES.items() if kind is line)
    # In a list of servers, the last entry is the one that answered.
    forms = [entries_last if table.fields[field].many else str for field in fields]
    if all(form is str and types[field] is str for form, field in zip(forms, fields, strict=True)):
        return values
    if len(forms) == 1:
        form = forms[0]
        return lambda one: form(values(one))
    return lambda one: tuple(form(value) for form, value in zip(forms, values(one), strict=True))


def entries_last(text: str) -> str:
    """Return the last entry of a list of servers; nginx writes `` : `` where a request went to another server group."""
    return text[max(text.rfind(", ") + 2, text.rfind(" : ") + 3) :] if ", " in text or " : " in text else text
