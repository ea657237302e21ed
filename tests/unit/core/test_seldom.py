"""A fault that lasts is logged now and then, and another one at once."""

from __future__ import annotations

import time

import pytest

from obsctl.core.journal import Seldom


def test_the_same_text_is_due_once_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    seldom = Seldom(30)
    assert [seldom.due("a"), seldom.due("a"), seldom.due("b")] == [True, False, True]
    now += 30
    assert not seldom.due("a")
    now += 1
    assert seldom.due("a")
