"""The section ``notifications`` of alerter.yml: who hears of an alert, how often, and when not.

The fields' metadata is their only description; docs/reference/notifications.md is tested against it.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from obsctl.alerter.alerts import Level
from obsctl.core.settings import Section

_Filter = Annotated[str, Meta(max_length=8192)]
#: YAML reads 22:00 without quotes as a number to the base 60, which is the minute of the day.
Time = Annotated[str, Meta(pattern="^(?:[01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")] | Annotated[int, Meta(ge=60, le=1440)]


class Day(enum.StrEnum):
    """A day of the week, in the order of :meth:`datetime.date.weekday`."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class RouteOptions(Section, frozen=True, kw_only=True):
    """Where some alerts go, and in which groups."""

    name: Annotated[str, Meta(min_length=1, description="Name of the route; unique.")]
    match: Annotated[_Filter, Meta(description="Filter of the alerts that it takes; empty for all.")] = ""
    severities: Annotated[tuple[Level, ...], Meta(description="Severities that it takes; empty for all.")] = ()
    channels: Annotated[
        tuple[str, ...], Meta(description="Names of the channels; an empty list for what is not to be sent.")
    ]
    group_by: Annotated[
        tuple[str, ...],
        Meta(
            description="Alerts with equal values of these are one group: rule, kind, severity, incident or labels; "
            "with [] all alerts of the route are one group."
        ),
    ] = ("rule",)
    group_wait_s: Annotated[
        float, Meta(ge=0, le=300, description="How long the first message of a group waits for more alerts (seconds).")
    ] = 1.0
    group_interval_s: Annotated[
        float,
        Meta(ge=1, le=86400, description="The least time between two messages of a group (seconds), but for severity."),
    ] = 60.0
    group_interval_max_s: Annotated[
        float,
        Meta(
            ge=1,
            le=86400,
            description="The time between two messages of a group that goes on changing doubles up to this (seconds).",
        ),
    ] = 900.0
    repeat_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=2592000,
            description="A group that goes on firing is reported again after this time (seconds), then after twice "
            "the time, and so on; 0 for never.",
        ),
    ] = 3600.0
    repeat_max_s: Annotated[
        float, Meta(ge=60, le=2592000, description="The longest time between two repetitions (seconds).")
    ] = 86400.0
    fail_over: Annotated[
        str, Meta(description="Channel that gets the messages as well while one of channels cannot deliver.")
    ] = ""
    fail_over_after_min: Annotated[
        int, Meta(ge=1, le=1440, description="How long a channel must have been unable to deliver for that (minutes).")
    ] = 5


class InhibitionOptions(Section, frozen=True, kw_only=True):
    """Alerts that explain others."""

    name: Annotated[str, Meta(min_length=1, description="Name of the inhibition; unique.")]
    source: Annotated[_Filter, Meta(min_length=1, description="Filter of the alerts that explain others.")]
    target: Annotated[_Filter, Meta(min_length=1, description="Filter of the alerts that are not sent meanwhile.")]
    equal: Annotated[
        tuple[str, ...],
        Meta(description="Both must have these (rule, kind, severity, incident or labels), with equal values."),
    ] = ()
    keep_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="How long the inhibition outlives its source (seconds)."),
    ] = 120.0


class MuteWindowOptions(Section, frozen=True, kw_only=True):
    """Times at which some alerts are not sent."""

    name: Annotated[str, Meta(min_length=1, description="Name of the mute window; unique.")]
    match: Annotated[_Filter, Meta(description="Filter of the alerts that it holds back; empty for all.")] = ""
    severities: Annotated[
        tuple[Level, ...], Meta(description="Severities that it holds back; an empty list for all.")
    ] = (Level.INFO, Level.WARNING)
    days: Annotated[
        tuple[Day, ...], Meta(min_length=1, description="Days on which it begins: mon, tue, wed, thu, fri, sat, sun.")
    ] = tuple(Day)
    begin: Annotated[Time, Meta(description="Time of day at which it begins (HH:MM).")] = msgspec.field(name="from")
    end: Annotated[
        Time, Meta(description="Time of day at which it ends (HH:MM, up to 24:00); before from: on the next day.")
    ] = msgspec.field(name="to")
    zone: Annotated[str, Meta(description="Time zone of days and times, a name of the IANA data base.")] = "UTC"


class NotifyOptions(Section, frozen=True, kw_only=True):
    """What alerter.yml says in ``notifications``."""

    routes: Annotated[
        tuple[RouteOptions, ...],
        Meta(description="Each alert takes the first one that fits; by default one route, to all channels."),
    ] = ()
    inhibitions: Annotated[
        tuple[InhibitionOptions, ...], Meta(description="Alerts that explain others; by default none.")
    ] = ()
    mute_windows: Annotated[
        tuple[MuteWindowOptions, ...], Meta(description="Times at which alerts wait; by default none.")
    ] = ()
