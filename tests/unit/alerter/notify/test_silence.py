"""Stage silence, and the stored silences."""

from __future__ import annotations

import pytest

from obsctl.alerter.alerts import Level
from obsctl.alerter.notify import silences
from obsctl.alerter.notify.silences import Silence, Silences, SilenceState
from obsctl.core.errors import ConfigError, RefusedError, UsageError
from tests.unit.alerter.notify.world import T, World, read, route


def silence(filter: str = "client_addr:192.0.2.1", *, starts: float = T, ends: float = T + 600) -> Silence:  # noqa: A002
    _, made = silences.add(
        (), filter=filter, starts=starts, ends=ends, author="li", reason="load test", now=min(T, starts), read=read
    )
    return made


def test_what_is_silenced_is_not_sent_and_the_rest_is() -> None:
    world = World(route())
    world.silences = (silence(),)
    world.start("192.0.2.1")
    world.start("192.0.2.2")
    (said,) = world.run(10)
    assert [alert.labels["client_addr"] for alert in said.alerts] == ["192.0.2.2"]
    assert world.suppressed == [("silence", world.silences[0].id, 0)]
    assert world.notifier.suppressed == {"silence": 1}


def test_what_still_fires_when_the_silence_ends_is_sent_then() -> None:
    world = World(route())
    world.silences = (silence(),)
    world.start("192.0.2.1")
    assert world.run(599) == []
    (said,) = world.run(10)
    assert (said.reason, said.since) == ("first", T)


def test_what_came_and_went_in_silence_is_a_record() -> None:
    world = World(route())
    world.silences = (silence(),)
    for _ in range(3):
        world.start("192.0.2.1")
        world.run(10)
        world.end("192.0.2.1")
        world.run(10)
    assert world.run(900, step=1) == []
    assert world.sums() == (0, 0, 3)


def test_an_end_in_silence_is_told_when_the_silence_ends() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(10)
    world.silences = (silence(),)
    world.end("192.0.2.1")
    assert world.run(500) == []
    world.silences = silences.expire(world.silences, world.silences[0].id, author="li", now=world.now)
    (said,) = world.run(5)
    assert (said.reason, said.resolved, said.ended) == ("resolved", 1, T + 10)


def test_a_silence_that_begins_later_holds_back_repetitions() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(10)
    world.silences = (silence(starts=T + 100, ends=T + 8000),)
    assert world.run(7950, step=1) == []
    assert [said.reason for said in world.run(8000, step=1)] == ["repeat"]


def test_one_that_gets_too_bad_for_the_silence_is_sent() -> None:
    world = World(route())
    world.silences = (silence("rule:rate AND severity:warning"),)
    world.start("192.0.2.1")
    assert world.run(10) == []
    world.severity(Level.CRITICAL, "192.0.2.1")
    (said,) = world.run(5)
    assert (said.reason, said.severity) == ("first", "critical")


def test_a_restart_keeps_what_is_silenced_silent() -> None:
    world = World(route())
    world.silences = (silence(),)
    world.start("192.0.2.1")
    world.run(10)
    records = len(world.suppressed)
    world.restart()
    assert world.run(100) == []
    assert len(world.suppressed) == records
    world.silences = ()
    assert len(world.run(5)) == 1


def test_a_filter_that_cannot_be_read_any_more_is_named_once_and_silences_nothing() -> None:
    world = World(route())
    world.silences = (Silence(id="old", filter="vhost:a", starts=T, ends=T + 600, author="li", reason="-", created=T),)
    world.start("192.0.2.1")
    assert len(world.run(10)) == 1
    (problem,) = [problem for outcome in world.outcomes for problem in outcome.problems]
    assert "the silence old suppresses nothing" in problem
    assert "there is no field vhost" in problem


def test_silences_are_added_ended_and_listed() -> None:
    first, one = silences.add((), filter="rule:rate", ends=T + 600, author="li", reason="load test", now=T, read=read)
    both, two = silences.add(
        first, filter="rule:errors", starts=T + 50, ends=T + 100, author="li", reason="deploy", now=T, read=read
    )
    assert one.id != two.id
    assert silences.listed(both, T) == [two, one]
    assert [one.state(T), two.state(T)] == [SilenceState.ACTIVE, SilenceState.PENDING]
    over = silences.expire(both, two.id, author="wang", now=T + 10)
    assert silences.listed(over, T + 10, [SilenceState.ACTIVE]) == [one]
    (ended,) = silences.listed(over, T + 10, [SilenceState.ENDED])
    assert (ended.ends, ended.ended_by, ended.starts) == (T + 10, "wang", T + 10)
    assert one.state(T + 600) is SilenceState.ENDED
    # Old ones are forgotten when a new one comes.
    late = T + 40 * 86400.0
    kept, three = silences.add(over, filter="rule:rate", ends=late + 1, author="li", reason="-", now=late, read=read)
    assert kept == (three,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"author": " "}, "a silence needs an author"),
        ({"reason": ""}, "a silence needs a reason"),
        ({"reason": "x" * 501}, "501 characters"),
        ({"ends": T}, "over before it begins"),
        ({"starts": T + 700.0}, "over before it begins"),
        ({"ends": T + 400 * 86400.0}, "at most 366 days are allowed"),
        ({"filter": "vhost:a"}, "there is no field vhost"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    good = {"filter": "rule:rate", "ends": T + 600.0, "author": "li", "reason": "load test", "now": T, "read": read}
    with pytest.raises((UsageError, ConfigError), match=words):
        silences.add((), **(good | changes))  # type: ignore[arg-type]


def test_an_end_of_nothing_is_refused() -> None:
    stored: Silences = (silence(),)
    with pytest.raises(UsageError, match="no silence 'x'"):
        silences.expire(stored, "x", author="li", now=T)
    over = silences.expire(stored, stored[0].id, author="li", now=T + 1)
    with pytest.raises(UsageError, match="has ended already"):
        silences.expire(over, stored[0].id, author="li", now=T + 2)


def test_there_are_not_too_many() -> None:
    stored: Silences = ()
    for number in range(silences.MOST):
        stored, _ = silences.add(
            stored, filter="rule:rate", ends=T + 600, author="li", reason=f"{number}", now=T, read=read
        )
    with pytest.raises(RefusedError, match="500 silences"):
        silences.add(stored, filter="rule:rate", ends=T + 600, author="li", reason="one more", now=T, read=read)
