"""The stretches of time of a search: without gaps, without overlaps, as long as the answers allow."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.search.windows import Window, Windows
from obsctl.store.mysql.stretch import FIRST_S

NOW = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


def _all(windows: Windows, took_s: float) -> list[Window]:
    found = []
    while (window := windows.next()) is not None:
        found.append(window)
        windows.looked(window, took_s)
    return found


@given(
    st.floats(0.001, 7 * 86400),
    st.none() | st.floats(-86400, 86400),
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 2.0, 30.0]), min_size=1, max_size=5),
)
def test_they_cover_the_whole_time_once(back_s: float, until_s: float | None, answers: list[float]) -> None:
    until = None if until_s is None else NOW + datetime.timedelta(seconds=until_s)
    since = min(NOW, until or NOW) - datetime.timedelta(seconds=back_s)
    windows, end, number = Windows(since, until, NOW), until, 0
    while (window := windows.next()) is not None and number < 2000:
        assert window.end == end
        assert since <= window.begin < (window.end or NOW)
        windows.looked(window, answers[number % len(answers)])
        assert windows.reached == window.begin
        end, number = window.begin, number + 1
    if number < 2000:
        assert windows.reached == since


def test_the_first_is_short_and_takes_lines_of_clocks_that_are_ahead() -> None:
    window = Windows(NOW - HOUR, None, NOW).next()
    assert window == Window(NOW - datetime.timedelta(seconds=FIRST_S), None)


@pytest.mark.parametrize(("took_s", "most"), [(0.0, 4), (0.15, 20), (0.5, 60)])
def test_quick_answers_make_them_longer(took_s: float, most: int) -> None:
    assert len(_all(Windows(NOW - HOUR, None, NOW), took_s)) <= most


def test_slow_answers_make_them_shorter_but_not_endlessly() -> None:
    windows = Windows(NOW - HOUR, None, NOW)
    widths = []
    for _ in range(6):
        window = windows.next()
        assert window is not None
        widths.append((windows.reached - window.begin).total_seconds())
        windows.looked(window, 8.0)
    assert widths == [60.0, 6.0, 1.0, 1.0, 1.0, 1.0]


def test_a_beginning_in_the_future_has_none() -> None:
    assert Windows(NOW + HOUR, None, NOW).next() is None
