"""Of some calls a person has one or some at a time, and all together a few."""

from __future__ import annotations

import pytest

from obsctl.console.web.problems import ProblemError
from obsctl.console.web.turns import PersonalTurns, SharedTurns


def refused(turns: PersonalTurns | SharedTurns, user_id: int) -> str:
    with pytest.raises(ProblemError) as problem:
        turns.take(user_id)
    assert (problem.value.status, problem.value.code) == (429, "busy")
    return str(problem.value)


def test_a_person_has_a_share_and_no_more() -> None:
    turns = SharedTurns(3, 2, "searches")
    turns.take(1)
    turns.take(1)
    assert refused(turns, 1) == "you have 2 searches running, the most for one person; end one of them"
    turns.take(2)
    assert refused(turns, 3) == "too many searches run at the same time; try again"
    turns.give_back(1)
    turns.take(3)
    turns.give_back(1)
    turns.take(1)
    assert "too many" in refused(turns, 1)


def test_a_person_has_one_and_all_together_have_a_few() -> None:
    turns = PersonalTurns(2, "evaluation", 60)
    turns.take(1)
    assert "your evaluation is still running" in refused(turns, 1)
    turns.take(2)
    assert "2 people have an evaluation running" in refused(turns, 3)
    turns.give_back(1)
    assert "your evaluation is still running" in refused(turns, 2)
    turns.take(3)
    assert "2 people" in refused(turns, 1)


def test_a_place_that_nobody_gives_back_is_free_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("obsctl.console.web.turns.time.monotonic", lambda: now)
    turns = PersonalTurns(1, "evaluation", 60)
    turns.take(1)
    now += 59
    refused(turns, 2)
    now += 2
    turns.take(2)
    turns.give_back(1)
    refused(turns, 3)
