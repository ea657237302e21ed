"""The options of the stages, checked and with their filters parsed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from obsctl.alerter.alerts import Alert
from obsctl.alerter.notify.filters import FIELDS, Filter, ReadFilter, compiled
from obsctl.alerter.notify.options import (
    Day,
    InhibitionOptions,
    MuteWindowOptions,
    NotifyOptions,
    RouteOptions,
)
from obsctl.core.config_file import InvalidValueError
from obsctl.core.nearest import did_you_mean

#: Name of the only route if the file has no routes.
DEFAULT_ROUTE = "default"
_DAYS = tuple(Day)
#: Minutes in a day.
_DAY_MIN = 1440


@dataclass(frozen=True)
class Route:
    """A route with its filter parsed.

    Attributes:
        options: from the file.
        takes: whether an alert takes this route.
    """

    options: RouteOptions
    takes: Filter


@dataclass(frozen=True)
class Inhibition:
    """An inhibition with its filters parsed.

    Attributes:
        options: from the file.
        source: whether an alert inhibits others.
        target: whether an alert can be inhibited.
    """

    options: InhibitionOptions
    source: Filter
    target: Filter


@dataclass(frozen=True)
class MuteWindow:
    """A mute window with its filter parsed.

    Attributes:
        name: its name.
        holds_back: whether it applies to an alert.
        days: numbers of the days on which it begins, Monday is 0.
        begin: minute of the day.
        end: minute of the day; not after ``begin`` if the window spans midnight.
        zone: time zone of ``begin`` and ``end``.
    """

    name: str
    holds_back: Filter
    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo


@dataclass(frozen=True)
class Plan:
    """What the stages are to do.

    Attributes:
        routes: by name, in the file's order; the last one takes every alert.
        inhibitions: in the file's order.
        mute_windows: in the file's order.
        for_s: how long an alert must fire before it is sent, seconds, by rule; 0 for a rule that is not in it.
        read: parses the filters of silences.
    """

    routes: dict[str, Route]
    inhibitions: tuple[Inhibition, ...]
    mute_windows: tuple[MuteWindow, ...]
    for_s: Mapping[str, float]
    read: ReadFilter

    @property
    def single(self) -> tuple[str, ...]:
        """The routes with one channel and no fail-over channel."""
        return tuple(
            name
            for name, route in self.routes.items()
            if len(route.options.channels) == 1 and not route.options.fail_over
        )

    def route_of(self, alert: Alert) -> Route:
        """Return the first route that takes the alert."""
        return next(route for route in self.routes.values() if route.takes(alert))


def plan(
    options: NotifyOptions,
    *,
    channels: Collection[str],
    labels: Collection[str],
    for_s: Mapping[str, float],
    read: ReadFilter,
    key: str = "notifications",
) -> Plan:
    """Check the options and parse their filters.

    Args:
        options: from the file.
        channels: names of all channels, in the file's order.
        labels: names of all labels that alerts of the configured rules have.
        for_s: how long an alert must fire before it is sent, seconds, by rule.
        read: parses a filter.
        key: place of the options in the file, for errors.

    Raises:
        InvalidValueError: something that cannot work.
    """
    known = (*FIELDS, *labels)
    routes = options.routes or (RouteOptions(name=DEFAULT_ROUTE, channels=tuple(channels)),)
    for place, entries in (
        ("routes", routes),
        ("inhibitions", options.inhibitions),
        ("mute_windows", options.mute_windows),
    ):
        _unique((entry.name for entry in entries), f"{key}.{place}")
    last = routes[-1]
    if last.match or last.severities:
        raise InvalidValueError(
            f"{key}.routes[{len(routes) - 1}].{'match' if last.match else 'severities'}",
            f"the last route must match every alert (of {last.name})",
            hint="add a route without match and severities after it; with channels: [] for alerts that are not "
            "to be sent",
        )
    return Plan(
        routes={
            route.name: _route(route, f"{key}.routes[{number}]", channels, known, read)
            for number, route in enumerate(routes)
        },
        inhibitions=tuple(
            _inhibition(entry, f"{key}.inhibitions[{number}]", known, read)
            for number, entry in enumerate(options.inhibitions)
        ),
        mute_windows=tuple(
            _mute_window(entry, f"{key}.mute_windows[{number}]", read)
            for number, entry in enumerate(options.mute_windows)
        ),
        for_s=for_s,
        read=read,
    )


def _route(
    options: RouteOptions, key: str, channels: Collection[str], known: Collection[str], read: ReadFilter
) -> Route:
    for number, channel in enumerate(options.channels):
        _among(channel, channels, f"{key}.channels[{number}]", "channel")
    if len(set(options.channels)) < len(options.channels):
        raise InvalidValueError(f"{key}.channels", f"a channel is given twice (of {options.name})")
    if options.fail_over:
        _among(options.fail_over, channels, f"{key}.fail_over", "channel")
        if options.fail_over in options.channels:
            raise InvalidValueError(
                f"{key}.fail_over", f"{options.fail_over} is one of the route's own channels (of {options.name})"
            )
    if options.group_interval_max_s < options.group_interval_s:
        raise InvalidValueError(f"{key}.group_interval_max_s", f"is less than group_interval_s (of {options.name})")
    if 0 < options.repeat_max_s < options.repeat_after_s:
        raise InvalidValueError(f"{key}.repeat_max_s", f"is less than repeat_after_s (of {options.name})")
    for number, field in enumerate(options.group_by):
        _among(field, known, f"{key}.group_by[{number}]", "field of alerts")
    return Route(options, compiled(options.match, options.severities, f"{key}.match", read))


def _inhibition(options: InhibitionOptions, key: str, known: Collection[str], read: ReadFilter) -> Inhibition:
    for number, field in enumerate(options.equal):
        _among(field, known, f"{key}.equal[{number}]", "field of alerts")
    return Inhibition(
        options,
        compiled(options.source, (), f"{key}.source", read),
        compiled(options.target, (), f"{key}.target", read),
    )


def _mute_window(options: MuteWindowOptions, key: str, read: ReadFilter) -> MuteWindow:
    try:
        zone = ZoneInfo(options.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidValueError(
            f"{key}.zone",
            f"there is no time zone {options.zone!r} on this machine (of {options.name})",
            hint="use a name such as Asia/Shanghai or Europe/Berlin; the machine needs the package tzdata",
        ) from None
    begin, end = _minute(options.begin), _minute(options.end)
    if begin == _DAY_MIN:
        raise InvalidValueError(f"{key}.from", f"a window begins before 24:00 (of {options.name})")
    if begin == end:
        raise InvalidValueError(
            f"{key}.to",
            f"is the same as from (of {options.name})",
            hint="for whole days use from: '00:00' and to: '24:00'",
        )
    return MuteWindow(
        name=options.name,
        holds_back=compiled(options.match, options.severities, f"{key}.match", read),
        days=frozenset(_DAYS.index(day) for day in options.days),
        begin=begin,
        end=end,
        zone=zone,
    )


def _minute(time: str | int) -> int:
    return time if isinstance(time, int) else int(time[:2]) * 60 + int(time[3:])


def _unique(names: Iterable[str], key: str) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            raise InvalidValueError(f"{key}[{number}].name", f"the name is used twice (of {name})")
        seen.add(name)


def _among(name: str, names: Collection[str], key: str, what: str) -> None:
    if name not in names:
        hint = did_you_mean(name, names, f"there are {', '.join(names)}" if names else "")
        raise InvalidValueError(key, f"there is no {what} {name!r}", hint=hint)
