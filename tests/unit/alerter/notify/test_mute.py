"""Stage mute: what can wait is not sent at certain times."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from obsctl.alerter.alerts import Level
from obsctl.alerter.notify.mute import is_on
from tests.unit.alerter.notify.world import T, World, planned, route


def on(window: dict[str, Any], local: str, zone: str = "Asia/Shanghai") -> bool:
    """Whether a window is on at a local time."""
    (made,) = planned({"mute_windows": [{"name": "w", "zone": zone, **window}]}).mute_windows
    return is_on(made, datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp())


# 2027-01-15 is a Friday.
@pytest.mark.parametrize(
    ("window", "local", "expected"),
    [
        ({"from": "12:00", "to": "13:30"}, "2027-01-15 11:59:59", False),
        ({"from": "12:00", "to": "13:30"}, "2027-01-15 12:00:00", True),
        ({"from": "12:00", "to": "13:30"}, "2027-01-15 13:29:59", True),
        ({"from": "12:00", "to": "13:30"}, "2027-01-15 13:30:00", False),
        ({"from": "22:00", "to": "07:00", "days": ["fri"]}, "2027-01-15 21:59:59", False),
        ({"from": "22:00", "to": "07:00", "days": ["fri"]}, "2027-01-15 22:00:00", True),
        ({"from": "22:00", "to": "07:00", "days": ["fri"]}, "2027-01-16 06:59:59", True),
        ({"from": "22:00", "to": "07:00", "days": ["fri"]}, "2027-01-16 07:00:00", False),
        ({"from": "22:00", "to": "07:00", "days": ["fri"]}, "2027-01-15 06:00:00", False),
        ({"from": "00:00", "to": "24:00", "days": ["sat", "sun"]}, "2027-01-15 23:59:59", False),
        ({"from": "00:00", "to": "24:00", "days": ["sat", "sun"]}, "2027-01-16 00:00:00", True),
        ({"from": "00:00", "to": "24:00", "days": ["sat", "sun"]}, "2027-01-17 23:59:59", True),
        ({"from": "22:00", "to": "00:00"}, "2027-01-15 23:59:59", True),
        ({"from": "22:00", "to": "00:00"}, "2027-01-16 00:00:00", False),
        # YAML reads 22:00 and 7:30 without quotes as numbers to the base 60.
        ({"from": 22 * 60, "to": 7 * 60 + 30}, "2027-01-16 07:29:59", True),
        ({"from": 22 * 60, "to": 7 * 60 + 30}, "2027-01-16 07:30:00", False),
    ],
)
def test_when_a_window_is_on(window: dict[str, Any], local: str, expected: bool) -> None:
    assert on(window, local) is expected


def test_the_zone_counts_and_so_does_its_summer_time() -> None:
    window = {"name": "w", "from": "08:00", "to": "09:00", "zone": "Europe/Berlin"}
    (made,) = planned({"mute_windows": [window]}).mute_windows
    assert is_on(made, datetime.fromisoformat("2027-01-15T07:30:00Z").timestamp())
    assert not is_on(made, datetime.fromisoformat("2027-07-15T07:30:00Z").timestamp())
    assert is_on(made, datetime.fromisoformat("2027-07-15T06:30:00Z").timestamp())


def test_an_hour_that_comes_twice_is_muted_twice_and_one_that_is_left_out_is_not() -> None:
    (made,) = planned(
        {"mute_windows": [{"name": "w", "from": "02:00", "to": "03:00", "zone": "Europe/Berlin"}]}
    ).mute_windows

    def minutes(day: str) -> int:
        begin = datetime.fromisoformat(f"{day}T00:00:00Z").timestamp() - 7200
        return sum(is_on(made, begin + 60 * minute) for minute in range(8 * 60))

    assert (minutes("2027-10-31"), minutes("2027-03-28"), minutes("2027-06-01")) == (120, 0, 60)


def muted() -> World:
    # T is 08:00 UTC.
    return World(route() | {"mute_windows": [{"name": "breakfast", "from": "07:00", "to": "08:10"}]})


def test_what_still_fires_at_the_end_is_sent_then() -> None:
    world = muted()
    world.start("192.0.2.1")
    assert world.run(599) == []
    (said,) = world.run(5)
    assert (said.reason, said.since) == ("first", T)
    assert world.suppressed == [("mute", "breakfast", 0)]


def test_what_came_and_went_meanwhile_is_a_record() -> None:
    world = muted()
    world.start("192.0.2.1")
    world.run(100)
    world.end("192.0.2.1")
    assert world.run(900) == []
    assert world.sums() == (0, 0, 1)


def test_what_is_critical_does_not_wait_unless_the_window_says_so() -> None:
    world = muted()
    world.start("192.0.2.1", severity=Level.CRITICAL)
    assert len(world.run(2)) == 1
    world = World(route() | {"mute_windows": [{"name": "breakfast", "from": "07:00", "to": "08:10", "severities": []}]})
    world.start("192.0.2.1", severity=Level.CRITICAL)
    assert world.run(2) == []


def test_an_end_waits_as_well() -> None:
    world = World(route() | {"mute_windows": [{"name": "tea", "from": "08:01", "to": "08:10"}]})
    world.start("192.0.2.1")
    world.run(30)
    world.now = T + 61.0
    world.end("192.0.2.1")
    assert world.run(500) == []
    assert [said.reason for said in world.run(60)] == ["resolved"]


def test_a_window_that_is_gone_after_a_restart_holds_nothing() -> None:
    world = muted()
    world.start("192.0.2.1")
    world.run(10)
    world.restart(route())
    assert len(world.run(5)) == 1
