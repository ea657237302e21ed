"""Spans of time as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import typer

from obsctl.cli.moments import duration, moment


@pytest.mark.parametrize(
    ("text", "span"), [("90m", timedelta(minutes=90)), ("2h", timedelta(hours=2)), ("7d", timedelta(days=7))]
)
def test_a_span(text: str, span: timedelta) -> None:
    assert duration(text) == span


@pytest.mark.parametrize("text", ["", "0h", "2", "h", "-1h", "1.5h", "2 h", "9999999d", "٣h", "2026-01-31"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not a duration"):
        duration(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00Z", "1969-12-31", "9999-01-01", "9999-12-31T23:59:59Z", "700000d"])
def test_a_time_that_no_line_can_have_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not in the years 1970 to 9998"):
        moment(text)
