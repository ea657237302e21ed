"""Questions with a deadline: all are asked at once, and one that hangs is left behind."""

from __future__ import annotations

import threading
import time

from obsctl.checks.ask.by_deadline import ask_until

#: Seconds that a test waits only if something is wrong.
_HANGS_S = 60


def test_one_that_hangs_costs_the_others_nothing() -> None:
    ended, both = threading.Event(), threading.Barrier(2)
    answers: list[str] = []
    hung: list[threading.Thread] = []

    def hangs() -> None:
        hung.append(threading.current_thread())
        ended.wait(_HANGS_S)

    def answers_with(name: str) -> None:
        both.wait(_HANGS_S)  # goes on only where the other one is asked at the same time
        answers.append(name)

    try:
        ask_until(time.monotonic() + 2, [hangs, lambda: answers_with("a"), lambda: answers_with("b")])
        assert sorted(answers) == ["a", "b"]
        assert hung[0].is_alive()
        assert hung[0].daemon, "else it would keep the process alive"
    finally:
        ended.set()


def test_the_end_of_all_answers_is_not_waited_past() -> None:
    ask_until(time.monotonic() + 10 * _HANGS_S, [lambda: None])
    ask_until(time.monotonic() + 10 * _HANGS_S, [])
