"""When one rule would have fired for stored lines, as it is or with another limit or window.

Engine, rule, windows and stages are the alerter's own (:mod:`obsctl.alerter.replay.run`). Reading begins earlier than
the requested time, by as long as the rule remembers, so that its baseline is known from the first second on.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Generator
from typing import Any, NamedTuple

import msgspec

from obsctl.alerter.kinds import InvalidOptionsError
from obsctl.alerter.messages.message import utc
from obsctl.alerter.replay.from_store import StoredLines
from obsctl.alerter.replay.run import Condition, Position, Replayed, replaying
from obsctl.alerter.rules.rule import TABLES, Rule
from obsctl.core.config_file import InvalidValueError, located
from obsctl.query.named import is_relative
from obsctl.query.parse import parse

#: The longest time before the requested time for which lines are read, seconds.
_LONGEST_LEAD_S = 2 * 86_400
#: The most conditions that are listed: those that started last.
MOST_CONDITIONS = 200
#: The number of conditions at which the evaluation stops: all are in memory, and nobody wants a rule that fires so
#: often.
MOST_STARTED = 20_000
#: Earlier than any log; some days can be subtracted from it without going below the epoch.
_EARLIEST = datetime.datetime(1971, 1, 1, tzinfo=datetime.UTC)


class Question(NamedTuple):
    """What is asked.

    Attributes:
        rule: with the options to try; :func:`why_not` returns an empty text for it.
        since: conditions that start from here on count (UTC).
        until: until here (UTC).
        seconds: time limit for the answer.
    """

    rule: Rule
    since: datetime.datetime
    until: datetime.datetime
    seconds: float


class Outcome(msgspec.Struct, kw_only=True):
    """The answer.

    Attributes:
        rule: its name.
        options: the options that were used: its limit, if its kind has one, and its window.
        begin: conditions that started from here on count; None if nothing was evaluated.
        end: and until here.
        whole: whether this is all of the requested time, as far as the log goes back.
        too_many: whether it is not, because more than :data:`MOST_STARTED` conditions started; otherwise the time
            limit was exceeded.
        lines: how many were read, including those before ``begin``.
        ahead: lines that do not count, because they were stored a minute or more before their own time.
        late: lines that were stored five minutes or more after their own time; an alerter that reads them so late does
            not count them.
        fires: conditions that started.
        messages: about them, with the default stages.
        conditions: those that started, and those that were firing at the beginning, in the order of their starts; only
            the last ones if there are many.
        not_listed: how many conditions are missing in that list.
    """

    rule: str
    options: dict[str, Any]
    begin: str | None
    end: str | None
    whole: bool
    too_many: bool
    lines: int
    ahead: int
    late: int
    fires: int
    messages: int
    conditions: list[Condition]
    not_listed: int


def why_not(rule: Rule) -> str:
    """Return why stored lines cannot show whether a rule would have fired; empty if they can."""
    if rule.log is None:
        return "it looks at the pipeline's own numbers, which are in no line"
    if any(is_relative(parse(text, TABLES[rule.log])) for text in rule.filters if text):
        return "its filter uses relative times, which meant other times when the lines were read"
    if _lead_s(rule) > _LONGEST_LEAD_S:
        days = math.ceil(_lead_s(rule) / 86_400)
        return f"it depends on the lines of the {days} days before, and no more than two days are read for that"
    return ""


def altered(rule: Rule, *, limit: float | None, window_s: int | None) -> Rule:
    """Return a rule with another limit or window; None leaves it as it is.

    Args:
        rule: whose :attr:`Rule.limit` names the option that ``limit`` is the value of.
        limit: the value.
        window_s: length of the window, seconds.

    Raises:
        InvalidValueError: the rule's kind has no limit, or the value is not allowed; ``key`` is the option.
    """
    options: dict[str, Any] = msgspec.to_builtins(rule)
    if limit is not None:
        if not rule.limit:
            raise InvalidValueError("threshold", f"a rule of the kind {rule.kind} compares with no number")
        options[rule.limit] = int(limit) if float(limit).is_integer() else limit
    if window_s is not None:
        options["window_s"] = window_s
    try:
        return msgspec.convert(options, type(rule))
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise (cause.faults[0] if isinstance(cause, InvalidOptionsError) else located(error)) from None


def would_fire(cursor: Any, asked: Question) -> Generator[Position, None, Outcome]:
    """Yield the progress regularly, and return when the rule would have fired.

    Args:
        cursor: as :class:`StoredLines` takes it.
        asked: the question.

    Raises:
        pymysql.MySQLError: the database refuses a statement, or does not answer.
    """
    rule, since = asked.rule, max(asked.since, _EARLIEST)
    lead = datetime.timedelta(seconds=_lead_s(rule))
    lines = StoredLines(cursor, rule, since - lead, asked.until, seconds=asked.seconds)
    turns = replaying([rule], lines, since=lines.begin, until=lambda: lines.reached)
    too_many = False
    while True:
        try:
            position = next(turns)
        except StopIteration as end:
            replayed: Replayed = end.value
            break
        if position.fires > MOST_STARTED and not too_many:
            too_many = True
            lines.stop()
        yield position
    first, last = max(since.timestamp(), lines.begin), lines.reached
    seen = first < last
    began, ended = utc(first), utc(last)
    conditions = [one for one in replayed.conditions if one.started >= began or (one.ended or ended) >= began]
    messages = sum(began <= message.at <= ended for message in replayed.messages)
    return Outcome(
        rule=rule.name,
        options=options_of(rule),
        begin=utc(first) if seen else None,
        end=ended if seen else None,
        whole=lines.whole,
        too_many=too_many and not lines.whole,
        lines=lines.lines,
        ahead=lines.ahead,
        late=lines.late,
        fires=sum(one.started >= began for one in conditions) if seen else 0,
        messages=messages if seen else 0,
        conditions=[_open_where_on(one) for one in conditions[-MOST_CONDITIONS:]] if seen else [],
        not_listed=max(0, len(conditions) - MOST_CONDITIONS) if seen else 0,
    )


def options_of(rule: Rule) -> dict[str, Any]:
    """Return the options that :func:`altered` changes, with their values."""
    names = (rule.limit, "window_s") if rule.limit else ("window_s",)
    return {name: getattr(rule, name) for name in names}


def _open_where_on(condition: Condition) -> Condition:
    """Return a condition without its end if it was true where the lines end: more lines would have come."""
    return msgspec.structs.replace(condition, ended=None) if condition.still_on else condition


def _lead_s(rule: Rule) -> int:
    """Return how long before a moment reading must begin so that the moment is judged as by an alerter."""
    return rule.remembers_s + rule.for_s + rule.resolve_after_s
