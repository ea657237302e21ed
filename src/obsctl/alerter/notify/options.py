"""The section ``notifications`` of alerter.yml: who is notified of an alert, how often, and when not.

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
#: YAML reads 22:00 without quotes as a base-60 number, which is the minute of the day.
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

    name: Annotated[str, Meta(min_length=1, description="Name of the route; must be unique.")]
    match: Annotated[_Filter, Meta(description="Filter for the alerts that take this route; empty for all.")] = ""
    severities: Annotated[tuple[Level, ...], Meta(description="Severities that take this route; empty for all.")] = ()
    channels: Annotated[
        tuple[str, ...], Meta(description="Names of the channels; an empty list for alerts that are not to be sent.")
    ]
    group_by: Annotated[
        tuple[str, ...],
        Meta(
            description="Alerts with equal values for these form one group: rule, kind, severity, incident or labels; "
            "with [] all alerts of the route form one group."
        ),
    ] = ("rule",)
    group_wait_s: Annotated[
        float, Meta(ge=0, le=300, description="How long the first message of a group waits for more alerts (seconds).")
    ] = 1.0
    group_interval_s: Annotated[
        float,
        Meta(
            ge=1,
            le=86400,
            description="The minimum time between two messages of a group (seconds), except when the severity rises.",
        ),
    ] = 60.0
    group_interval_max_s: Annotated[
        float,
        Meta(
            ge=1,
            le=86400,
            description="While a group keeps changing, the time between its messages doubles up to this (seconds).",
        ),
    ] = 900.0
    repeat_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=2592000,
            description="A group that keeps firing is reported again after this time (seconds), then after twice "
            "the time, and so on; 0 for never.",
        ),
    ] = 3600.0
    repeat_max_s: Annotated[
        float, Meta(ge=60, le=2592000, description="The maximum time between two repetitions (seconds).")
    ] = 86400.0
    fail_over: Annotated[
        str, Meta(description="Channel that also gets the messages while one of the route's channels cannot deliver.")
    ] = ""
    fail_over_after_min: Annotated[
        int,
        Meta(
            ge=1,
            le=1440,
            description="How long a channel must have been unable to deliver before that happens (minutes).",
        ),
    ] = 5


class InhibitionOptions(Section, frozen=True, kw_only=True):
    """Alerts that explain others."""

    name: Annotated[str, Meta(min_length=1, description="Name of the inhibition; must be unique.")]
    source: Annotated[_Filter, Meta(min_length=1, description="Filter for the alerts that inhibit others.")]
    target: Annotated[_Filter, Meta(min_length=1, description="Filter for the alerts that are suppressed meanwhile.")]
    equal: Annotated[
        tuple[str, ...],
        Meta(description="Both alerts must have equal values for these (rule, kind, severity, incident or labels)."),
    ] = ()
    keep_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="How long the inhibition lasts after its source has ended (seconds)."),
    ] = 120.0


class MuteWindowOptions(Section, frozen=True, kw_only=True):
    """Times at which some alerts are not sent."""

    name: Annotated[str, Meta(min_length=1, description="Name of the mute window; must be unique.")]
    match: Annotated[_Filter, Meta(description="Filter for the alerts that it suppresses; empty for all.")] = ""
    severities: Annotated[
        tuple[Level, ...], Meta(description="Severities that it suppresses; an empty list for all.")
    ] = (Level.INFO, Level.WARNING)
    days: Annotated[
        tuple[Day, ...], Meta(min_length=1, description="Days on which it begins: mon, tue, wed, thu, fri, sat, sun.")
    ] = tuple(Day)
    begin: Annotated[Time, Meta(description="Time of day at which it begins (HH:MM).")] = msgspec.field(name="from")
    end: Annotated[
        Time, Meta(description="Time of day at which it ends (HH:MM, up to 24:00); before from: on the next day.")
    ] = msgspec.field(name="to")
    zone: Annotated[str, Meta(description="Time zone of the days and times, a name from the IANA database.")] = "UTC"


class NotifyOptions(Section, frozen=True, kw_only=True):
    """What alerter.yml says in ``notifications``."""

    routes: Annotated[
        tuple[RouteOptions, ...],
        Meta(
            description="Each alert takes the first route that matches; by default there is one route, to all channels."
        ),
    ] = ()
    inhibitions: Annotated[
        tuple[InhibitionOptions, ...], Meta(description="Alerts that inhibit others; by default none.")
    ] = ()
    mute_windows: Annotated[
        tuple[MuteWindowOptions, ...],
        Meta(description="Times at which alerts are held until the window ends; by default none."),
    ] = ()
