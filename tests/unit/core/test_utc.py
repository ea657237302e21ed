"""Times as ISO 8601."""

from __future__ import annotations

import datetime

import pytest

from obsctl.core.utc import iso


def test_seconds_since_the_epoch() -> None:
    assert iso(1_767_225_600.25) == "2026-01-01T00:00:00+00:00"
    assert iso(1_767_225_600.25, "milliseconds") == "2026-01-01T00:00:00.250+00:00"


def test_a_time_of_another_zone_is_given_in_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert iso(datetime.datetime(2026, 1, 1, 2, tzinfo=zone)) == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e30, "9999-12-31T23:59:59+00:00"),
        (float("inf"), "9999-12-31T23:59:59+00:00"),
        (-1e30, "0001-01-01T00:00:00+00:00"),
        (float("nan"), "0001-01-01T00:00:00+00:00"),
    ],
)
def test_what_no_calendar_has_is_its_first_or_last_moment(seconds: float, text: str) -> None:
    """Clients choose the time stamps of their records."""
    assert iso(seconds) == text
