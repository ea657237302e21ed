"""When the tables are looked after."""

from __future__ import annotations

import datetime

import pytest

from obsctl.consumer.housekeeping import seconds_to_upkeep


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [("12:00:00", 3600), ("23:00:05", 3600), ("23:30:00", 1805), ("23:59:59", 6), ("00:00:00", 5), ("00:00:05", 3600)],
)
def test_the_upkeep_runs_hourly_and_at_each_new_day(clock: str, seconds: float) -> None:
    assert seconds_to_upkeep(datetime.datetime.fromisoformat(f"2026-03-01T{clock}+00:00")) == seconds
