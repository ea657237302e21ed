"""Which requests through the virtual address make a rule's condition true, for each kind of rule; pure.

A kind that is not here cannot be tested (``why_not`` says why); a unit test lists these kinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from obsctl.alerter.rules.cardinality import Cardinality
from obsctl.alerter.rules.change import Change
from obsctl.alerter.rules.frequency import Frequency
from obsctl.alerter.rules.match import Match
from obsctl.alerter.rules.new_term import NewTerm
from obsctl.alerter.rules.percentile import Percentile
from obsctl.alerter.rules.ratio import Ratio
from obsctl.alerter.rules.requests_per_client import RequestsPerClient
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.rules.spike import KNOWN, Spike
from obsctl.alerter.rules.status_4xx import Status4xx
from obsctl.alerter.rules.status_5xx_share import Status5xxShare
from obsctl.alerter.wire.fitting import DEFAULTS, OF_EACH_LINE, SAME_AS, Fit, Values, World, request_of
from obsctl.core.rule_test import DELAY_SPREAD_S, Burst, Plan, Request
from obsctl.lines.formats.line import AccessLine
from obsctl.query.fields import ACCESS
from obsctl.query.parse import parse
from obsctl.query.tree import Node, Range

#: The most requests of one rule's test, and how many are sent a second, so that people's requests are not disturbed.
MOST_REQUESTS = 5000
PER_SECOND = 200
#: The most requests that are open at the same time.
LANES = 64
#: A second value must come in a later second than the first, even if a host's clock is a little off.
_LATER_S = 2.0


class CannotTestError(Exception):
    """No requests can make the rule's condition true; the text says why."""


def plan(rule: Rule, world: World) -> Plan:
    """Return the requests for a rule.

    Args:
        rule: the rule.
        world: the fields of their lines that they do not choose.

    Raises:
        CannotTestError: there are none.
    """
    make = _KINDS.get(type(rule))
    if reason := rule.why_not_testable:
        raise CannotTestError(reason)
    if make is None:
        raise CannotTestError(f"there is no test for rules of the kind {rule.kind}")
    bursts = list(make(rule, world))
    for burst in bursts:
        _possible(rule, burst)
    if (count := sum(burst.count for burst in bursts)) > MOST_REQUESTS:
        raise CannotTestError(f"it needs {count:,} requests, but at most {MOST_REQUESTS:,} are sent")
    last = bursts[-1]
    takes_s = max(last.at_s + sending_s(last), float(rule.for_s))
    return Plan(rule=rule.name, digest=digest_of(rule), bursts=tuple(bursts), takes_s=round(takes_s, 1))


def why_not(rule: Rule) -> str:
    """Return why requests through the virtual address cannot make a rule's condition true; empty if they can."""
    try:
        plan(rule, World())
    except CannotTestError as error:
        return str(error)
    return ""


def digest_of(rule: Rule) -> str:
    """Return the part of a mark that names the rule with all its options."""
    return rule.id.rpartition(":")[2]


def sending_s(burst: Burst) -> float:
    """Return how long it takes to send a burst and to receive the answers, seconds."""
    slowest = max(request.delay_s for request in burst.requests)
    took_s = slowest + DELAY_SPREAD_S if slowest else 0.0
    return max(burst.count / PER_SECOND, math.ceil(burst.count / LANES) * took_s)


def _possible(rule: Rule, burst: Burst) -> None:
    """Refuse a burst that does not fit into the rule's window.

    Raises:
        CannotTestError: it takes too long.
    """
    if burst.count > 1 and sending_s(burst) > max(1, rule.window_s - 1):
        raise CannotTestError(
            f"{burst.count:,} requests do not fit into {rule.window_s} s: at most {PER_SECOND} a second are sent"
            + (f", {LANES} slow ones at a time" if any(request.delay_s for request in burst.requests) else "")
        )


class _Wish(NamedTuple):
    """What the lines of a test must be like.

    Attributes:
        texts: filters that match them.
        by: fields that are equal in all of them.
        number: a field whose number is above a limit.
    """

    texts: Sequence[str] = ()
    by: Sequence[str] = ()
    number: tuple[str, float] | None = None


def _fit(wish: _Wish, world: World) -> tuple[Fit, Values]:
    trees: list[Node] = [parse(text, ACCESS) for text in wish.texts if text]
    wanted: Callable[[AccessLine], bool] = lambda _: True  # noqa: E731
    if wish.number is not None:
        name, above = wish.number
        # Only for proposing values; the line is compared with the unrounded number.
        trees.append(Range(name, math.floor(above) if above < 10**9 else 10**9, None, low_included=True))
        wanted = lambda line: getattr(line, name) > above  # noqa: E731
    fit = Fit(trees, world, wanted)
    values = fit.first()
    if values is None:
        named = [field for field in fit.not_chosen() if field not in SAME_AS]
        unchosen = f"; no request can choose {', '.join(named)}" if named else ""
        texts = " AND ".join(f"({text})" for text in wish.texts if text)
        what = f"{wish.number[0]} above {wish.number[1]:g}" if wish.number is not None else ""
        raise CannotTestError(
            f"no test request matches {' with '.join(part for part in (texts, what) if part)}{unchosen}"
        )
    return fit, values


def _same(by: Sequence[str], values: Values, count: int) -> Values:
    """Return the values of requests that have equal values of the fields ``by``, as many as wanted."""
    own = [field for field in by if field in OF_EACH_LINE]
    if own and count > 1:
        raise CannotTestError(f"each line has its own {own[0]}, so {count:,} of them are never counted together")
    if "client_request_id" in by and not values["client_request_id"]:
        return {**values, "client_request_id": "obscraft-test"}
    return values


def _alike(rule: Rule, wish: _Wish, world: World, count: int) -> Iterator[Burst]:
    """Yield bursts of equal requests for as long as the rule's ``for_s`` requires."""
    if count > MOST_REQUESTS:
        raise CannotTestError(f"it needs {count:,} requests, but at most {MOST_REQUESTS:,} are sent")
    _, values = _fit(wish, world)
    request = request_of(_same(wish.by, values, count))
    yield from _lasting(rule, Burst(requests=(request,), times=count))


def _lasting(rule: Rule, burst: Burst) -> Iterator[Burst]:
    """Yield a burst as often as needed for the condition to last ``for_s``."""
    every_s = max(1, rule.window_s // 2)
    at_s = 0
    while True:
        yield Burst(at_s=float(at_s), requests=burst.requests, times=burst.times)
        at_s += every_s
        if at_s >= rule.for_s:
            return


def _match(rule: Match, world: World) -> Iterator[Burst]:
    return _alike(rule, _Wish((rule.filter,), rule.by), world, 1)


def _frequency(rule: Frequency, world: World) -> Iterator[Burst]:
    return _alike(rule, _Wish((rule.filter,), rule.by), world, rule.threshold)


def _ratio(rule: Ratio, world: World) -> Iterator[Burst]:
    return _alike(rule, _Wish((rule.filter, rule.hits), rule.by), world, rule.min_lines)


def _percentile(rule: Percentile, world: World) -> Iterator[Burst]:
    return _alike(rule, _Wish((rule.filter,), rule.by, (rule.of, rule.above)), world, rule.min_lines)


def _status_4xx(rule: Status4xx, world: World) -> Iterator[Burst]:
    return _alike(rule, _Wish(("status:[400 TO 499]",)), world, rule.threshold)


def _status_5xx_share(rule: Status5xxShare, world: World) -> Iterator[Burst]:
    return _alike(rule, _Wish(("status:[500 TO 599]",)), world, rule.min_requests)


def _requests_per_client(rule: RequestsPerClient, world: World) -> Iterator[Burst]:
    if world.client and rule.ignores(world.client):
        raise CannotTestError(f"it ignores {world.client}, where the requests of the test come from")
    return _alike(rule, _Wish(()), world, rule.threshold)


def _spike(rule: Spike, world: World) -> Iterator[Burst]:
    """Yield one request, with which the rule's baseline begins, and many more once the baseline is long enough."""
    _, values = _fit(_Wish((rule.filter,), rule.by), world)
    known_s = math.ceil(rule.baseline_s * KNOWN)
    count = max(rule.min_lines, math.ceil(rule.factor * max(1.0, rule.window_s / known_s)))
    if count > MOST_REQUESTS:
        raise CannotTestError(f"it needs {count:,} requests, but at most {MOST_REQUESTS:,} are sent")
    if rule.for_s > rule.window_s:
        raise CannotTestError(f"a high rate is no longer a spike once it has lasted for {rule.for_s} s")
    request = request_of(_same(rule.by, values, count))
    yield Burst(requests=(request,))
    yield Burst(at_s=rule.window_s + known_s + _LATER_S, requests=(request,), times=count)


def _cardinality(rule: Cardinality, world: World) -> Iterator[Burst]:
    if rule.threshold > MOST_REQUESTS:
        raise CannotTestError(f"it needs {rule.threshold:,} requests, but at most {MOST_REQUESTS:,} are sent")
    requests = _different(rule.of, _Wish((rule.filter,), rule.by), world, rule.threshold)
    yield from _lasting(rule, Burst(requests=requests))


def _change(rule: Change, world: World) -> Iterator[Burst]:
    """Yield two values, in different seconds, because the partitions of a topic are read in any order."""
    _short(rule)
    one, other = _different(rule.of, _Wish((rule.filter,), rule.by), world, 2)
    yield Burst(requests=(one,))
    yield Burst(at_s=_LATER_S, requests=(other,))


def _new_term(rule: NewTerm, world: World) -> Iterator[Burst]:
    """Yield a value with which the rule begins to learn, and a new one after the time of learning."""
    _short(rule)
    wish = _Wish((rule.filter,))
    fields = [field for field in rule.by if field in DEFAULTS or field == "request_id"]
    for field in fields:
        try:
            one, other = _different(field, wish, world, 2)
        except CannotTestError:
            continue
        yield Burst(requests=(one,))
        yield Burst(at_s=rule.learn_s + _LATER_S, requests=(other,))
        return
    raise CannotTestError(f"a test request cannot have a new {', '.join(rule.by)}")


def _short(rule: Rule) -> None:
    """Refuse a rule with ``for_s`` if its condition is true for one moment only."""
    if rule.for_s >= rule.resolve_after_s:
        raise CannotTestError(
            f"it is true at one moment and ends {rule.resolve_after_s} s later, so it never lasts for {rule.for_s} s"
        )


def _different(of: str, wish: _Wish, world: World, count: int) -> tuple[Request, ...]:
    """Return requests whose lines have the wanted number of different values of a field."""
    fit, values = _fit(wish, world)
    if of in wish.by:
        raise CannotTestError(f"each {of} is counted separately, so it has only one value")
    values = _same(wish.by, values, count)
    if of == "request_id":
        return (request_of(values),) * count
    of = SAME_AS.get(of, of)
    if of not in DEFAULTS or of == "request_time":
        raise CannotTestError(f"a test request cannot choose {of}")
    found = fit.others(of, values, count)
    if len(found) < count:
        fits = f" that match {wish.texts[0]}" if wish.texts and wish.texts[0] else ""
        raise CannotTestError(f"it needs {count:,} different values of {of}{fits}, but a test has {len(found):,}")
    return tuple(request_of(values) for values in found)


_KINDS: Mapping[type[Rule], Callable[[Any, World], Iterator[Burst]]] = {
    Match: _match,
    Frequency: _frequency,
    Ratio: _ratio,
    Percentile: _percentile,
    Status4xx: _status_4xx,
    Status5xxShare: _status_5xx_share,
    RequestsPerClient: _requests_per_client,
    Spike: _spike,
    Cardinality: _cardinality,
    Change: _change,
    NewTerm: _new_term,
}
