"""The section notifications of alerter.yml: what is accepted, and how mistakes are named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obsctl.alerter.notify.options import Day, NotifyOptions
from obsctl.core.config_file import InvalidValueError
from tests.unit.alerter.notify.world import CHANNELS, planned

CHAT = {"name": "rest", "channels": ["chat"]}
WINDOW = {"name": "night", "from": "22:00", "to": "07:00"}
DOWN = {"name": "down", "source": "rule:down", "target": "rule:errors"}


def test_without_routes_all_alerts_go_to_all_channels() -> None:
    (route,) = planned().routes.values()
    assert (route.options.name, route.options.channels, route.options.group_by) == ("default", CHANNELS, ("rule",))


def test_without_channels_there_is_a_route_as_well() -> None:
    assert msgspec.convert({}, NotifyOptions) == NotifyOptions()
    assert planned({"routes": [{"name": "none", "channels": []}]}).routes["none"].options.channels == ()


def test_a_route_of_one_channel_without_another_is_named() -> None:
    routes = [
        CHAT | {"name": "a", "match": "rule:a", "fail_over": CHANNELS[1]},
        CHAT | {"name": "b", "match": "rule:b"},
        {"name": "c", "match": "rule:c", "channels": []},
        {"name": "d", "channels": list(CHANNELS)},
    ]
    assert planned({"routes": routes}).single == ("b",)
    assert planned().single == ()


def test_a_window_is_on_every_day_for_what_can_wait() -> None:
    window = msgspec.convert({"mute_windows": [WINDOW]}, NotifyOptions).mute_windows[0]
    assert window.days == tuple(Day)
    assert (window.severities, window.zone) == (("info", "warning"), "UTC")


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ({"routes": [CHAT, CHAT]}, "routes[1].name", "the name is used twice (of rest)"),
        ({"routes": [CHAT | {"channels": ["chatt"]}]}, "routes[0].channels[0]", "there is no channel 'chatt'"),
        ({"routes": [CHAT | {"channels": ["chat", "chat"]}]}, "routes[0].channels", "given twice"),
        ({"routes": [CHAT | {"fail_over": "pagr"}]}, "routes[0].fail_over", "there is no channel 'pagr'"),
        ({"routes": [CHAT | {"fail_over": "chat"}]}, "routes[0].fail_over", "one of the route's own channels"),
        ({"routes": [CHAT | {"group_by": ["ruel"]}]}, "routes[0].group_by[0]", "no field of alerts 'ruel'"),
        ({"routes": [CHAT | {"match": "rule"}]}, "routes[0].match", "the last route must match every alert"),
        ({"routes": [CHAT | {"severities": ["info"]}]}, "routes[0].severities", "the last route must match every"),
        ({"routes": [{**CHAT, "name": "a", "match": "x:y"}, CHAT]}, "routes[0].match", "there is no field x"),
        ({"routes": [CHAT | {"group_interval_s": 1000}]}, "routes[0].group_interval_max_s", "less than group_interval"),
        ({"routes": [CHAT | {"repeat_max_s": 60}]}, "routes[0].repeat_max_s", "less than repeat_after_s"),
        ({"inhibitions": [DOWN, DOWN]}, "inhibitions[1].name", "the name is used twice (of down)"),
        ({"inhibitions": [DOWN | {"source": "down"}]}, "inhibitions[0].source", "filter, column 1"),
        ({"inhibitions": [DOWN | {"target": "x:y"}]}, "inhibitions[0].target", "there is no field x"),
        ({"inhibitions": [DOWN | {"equal": ["upstraem"]}]}, "inhibitions[0].equal[0]", "no field of alerts 'upstraem'"),
        ({"mute_windows": [WINDOW, WINDOW]}, "mute_windows[1].name", "the name is used twice (of night)"),
        (
            {"mute_windows": [WINDOW | {"zone": "Asia/Shanghia"}]},
            "mute_windows[0].zone",
            "no time zone 'Asia/Shanghia'",
        ),
        ({"mute_windows": [WINDOW | {"zone": "../../etc/passwd"}]}, "mute_windows[0].zone", "no time zone"),
        ({"mute_windows": [WINDOW | {"zone": ""}]}, "mute_windows[0].zone", "no time zone ''"),
        ({"mute_windows": [WINDOW | {"to": "22:00"}]}, "mute_windows[0].to", "the same as from"),
        ({"mute_windows": [WINDOW | {"from": "24:00"}]}, "mute_windows[0].from", "begins before 24:00"),
        ({"mute_windows": [WINDOW | {"match": "x:y"}]}, "mute_windows[0].match", "there is no field x"),
    ],
)
def test_what_cannot_work_is_named_with_its_place(options: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(InvalidValueError) as fault:
        planned(options)
    assert fault.value.key == f"notifications.{key}"
    assert words in str(fault.value)


def test_a_wrong_name_has_a_suggestion() -> None:
    with pytest.raises(InvalidValueError) as fault:
        planned({"routes": [CHAT | {"group_by": ["client_adr"]}]})
    assert fault.value.hint == "did you mean client_addr?"


@pytest.mark.parametrize(
    "options",
    [
        {"route": []},
        {"routes": [CHAT | {"group_wait_s": -1}]},
        {"routes": [CHAT | {"repeat_after": 3}]},
        {"routes": [{"name": "x"}]},
        {"routes": [CHAT | {"severities": ["bad"]}]},
        {"inhibitions": [DOWN | {"source": ""}]},
        {"mute_windows": [WINDOW | {"from": "7:00"}]},
        {"mute_windows": [WINDOW | {"from": "25:00"}]},
        {"mute_windows": [WINDOW | {"to": 22}]},
        {"mute_windows": [WINDOW | {"days": []}]},
        {"mute_windows": [WINDOW | {"days": ["monday"]}]},
    ],
)
def test_what_has_a_wrong_type_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, NotifyOptions)
