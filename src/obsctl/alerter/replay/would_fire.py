"""When one rule would have fired for stored lines, as it is or with another limit or window.

The engine is the alerter's own, and so are rule, windows and stages (:mod:`obsctl.alerter.replay.run`). The reading
begins earlier than the time that is asked for, by what the rule remembers, so that what it compares with is known from
the first second on.
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

#: The longest time that lines are read before the asked time, seconds.
_LONGEST_LEAD_S = 2 * 86_400
#: Conditions that are listed at most, those that started last.
MOST_CONDITIONS = 200
#: Conditions after which the evaluation stops: all are in memory, and nobody wants a rule that fires so often.
MOST_STARTED = 20_000
#: No log is older; some days can be taken from it.
_EARLIEST = datetime.datetime(1971, 1, 1, tzinfo=datetime.UTC)


class Question(NamedTuple):
    """What is asked.

    Attributes:
        rule: as it would be; :attr:`why_not` of it is empty.
        since: conditions that start from here on count (UTC).
        until: until here (UTC).
        seconds: the time that the answer may take.
    """

    rule: Rule
    since: datetime.datetime
    until: datetime.datetime
    seconds: float


class Outcome(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        rule: its name.
        options: with which it was evaluated: its limit, if its kind has one, and its window.
        begin: conditions that started from here on count; None where nothing was evaluated.
        end: and until here.
        whole: whether that is all of the time that was asked for, as far as the log goes back.
        too_many: whether it is not, because more than :data:`MOST_STARTED` conditions started; else the time was over.
        lines: that were read, also before ``begin``.
        ahead: lines that do not count, because they were stored a minute and more before their own time.
        late: lines that were stored five minutes and more after it; an alerter that reads them so late leaves them out.
        fires: conditions that started.
        messages: about them, with the default stages.
        conditions: those that started, and those that were on at the beginning, in the order of their starts; the last
            ones where there are many.
        not_listed: how many conditions are missing there.
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
    """Return why stored lines cannot say whether a rule would have fired; empty where they can."""
    if rule.log is None:
        return "it looks at the pipeline's own numbers, which are in no line"
    if any(is_relative(parse(text, TABLES[rule.log])) for text in rule.filters if text):
        return "its filter compares with the present moment, which was another one when the lines were read"
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
        InvalidValueError: its kind has no limit, or the rule cannot be so; ``key`` is the option.
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
    """Yield how far it is again and again, and return when the rule would have fired.

    Args:
        cursor: as :class:`StoredLines` takes it.
        asked: what.

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
    """Return a condition without an end where it was on at the end of the lines: more of them would have come."""
    return msgspec.structs.replace(condition, ended=None) if condition.still_on else condition


def _lead_s(rule: Rule) -> int:
    """Return how long before a moment lines have to be read so that it is judged as an alerter did."""
    return rule.remembers_s + rule.for_s + rule.resolve_after_s
