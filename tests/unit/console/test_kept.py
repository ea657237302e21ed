"""Answers that take seconds: one thread asks, no request waits longer than agreed, and gets an older answer instead."""

from __future__ import annotations

import threading
import time

import pytest

from obsctl.console.kept import TOO_MANY, Answer, Kept, KeptEach, within
from obsctl.console.web.problems import ProblemError, given
from obsctl.core.errors import ObsctlError
from rig.waiting import wait_for


class Source:
    """Answers with a number that grows.

    Attributes:
        asked: how often it was asked.
        fault: raised in place of an answer, where it is set.
        open: an answer waits for it.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.fault: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def __call__(self) -> int:
        self.asked += 1
        mine = self.asked
        self.open.wait(20)
        if self.fault is not None:
            raise self.fault
        return mine


def test_an_answer_is_kept_and_asked_for_again_when_something_was_changed() -> None:
    source = Source()
    kept = Kept(source, 60)
    assert [kept.get(5).value, kept.get(5).value] == [1, 1]
    kept.forget()
    assert kept.get(5).value == 2


def test_many_who_wait_cause_one_question() -> None:
    source = Source()
    source.open.clear()
    kept = Kept(source, 60)
    found: list[int | None] = []
    waiting = [threading.Thread(target=lambda: found.append(kept.get(20).value)) for _ in range(10)]
    for one in waiting:
        one.start()
    wait_for("asked", lambda: source.asked == 1)
    source.open.set()
    for one in waiting:
        one.join(20)
    assert (found, source.asked) == ([1] * 10, 1)


def test_who_waits_too_long_gets_the_older_answer_with_the_reason() -> None:
    source = Source()
    kept = Kept(source, 0)
    first = kept.get(5)
    source.open.clear()
    began = time.monotonic()
    late = kept.get(0.1)
    assert time.monotonic() - began < 5
    assert (late.value, late.at) == (first.value, first.at)
    assert late.trouble is not None
    assert late.trouble.detail == "no answer within 0.1 s"
    source.open.set()


def test_an_older_answer_is_given_at_once_where_that_is_enough() -> None:
    source = Source()
    kept = Kept(source, 0)
    kept.get(5)
    source.open.clear()
    assert kept.get(20, stale_s=60) == kept.get(20, stale_s=60)
    source.open.set()
    wait_for("asked for the next", lambda: source.asked >= 2)


@pytest.mark.parametrize(
    ("fault", "says", "hint"),
    [
        (ObsctlError("no broker answers", hint="look"), "no broker answers", "look"),
        (ZeroDivisionError(), "internal error (ZeroDivisionError)", ""),
    ],
)
def test_a_failure_is_said_beside_the_older_answer(fault: Exception, says: str, hint: str) -> None:
    source = Source()
    kept = Kept(source, 0)
    kept.get(5)
    source.fault = fault
    failed = kept.get(5)
    assert failed.value == 1
    assert failed.trouble == (says, hint)
    source.fault = None
    assert kept.get(5).trouble is None


def test_what_is_changed_while_it_is_asked_is_asked_again() -> None:
    source = Source()
    source.open.clear()
    kept = Kept(source, 60)
    kept.get(0)
    wait_for("asked", lambda: source.asked == 1)
    kept.forget()
    source.open.set()
    assert kept.get(5).value == 1
    assert kept.get(5).value == 2


def test_of_many_questions_the_oldest_are_forgotten() -> None:
    sources = [Source() for _ in range(3)]
    each: KeptEach[int] = KeptEach(2, 2, 60)

    def ask(number: int) -> int | None:
        return each.get(number, sources[number], 5).value

    assert [ask(0), ask(1), ask(0), ask(2), ask(0), ask(1)] == [1, 1, 1, 1, 1, 2]


def test_different_questions_are_refused_while_many_are_asked() -> None:
    sources = [Source() for _ in range(3)]
    each: KeptEach[int] = KeptEach(10, 2, 0)
    for number in (0, 1):
        sources[number].open.clear()
        each.get(number, sources[number], 0.1)
    refused = each.get(2, sources[2], 5)
    assert (refused.trouble, sources[2].asked) == (TOO_MANY, 0)
    with pytest.raises(ProblemError) as problem:
        given(refused, "kafka-away")
    assert (problem.value.status, problem.value.code) == (429, "busy")
    sources[0].open.set()
    wait_for("a turn is free", lambda: each.get(0, sources[0], 5).value == 1)
    assert each.get(2, sources[2], 5).value == 1
    assert given(Answer(7, 1000.0, TOO_MANY), "kafka-away") == 7, "an older answer"
    sources[1].open.set()


def test_an_action_has_its_time() -> None:
    def failing() -> None:
        raise ValueError("no")

    assert within(5, lambda: 7) == 7
    with pytest.raises(ValueError, match="no"):
        within(5, failing)
    over = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.05, lambda: over.wait(20))
    over.set()
