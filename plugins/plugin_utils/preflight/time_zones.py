# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Time zones: that they exist, and that nginx's error lines are read in the zone in which nginx writes them."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from datetime import datetime

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem

#: The form of an IANA name: a path below the database that cannot leave it.
ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*\Z")
#: A day in January and one in July, in seconds since the epoch: two zones that agree on both are taken for the same.
ZONE_MOMENTS = ("1767225600", "1782864000")


def time_zones(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.hosts.items():
        for name in ("common_timezone", "consumer_error_log_timezone", "consumer_alert_timezone", "console_timezone"):
            zone = variables.get(name) if name in fleet.inventory_names.get(host, ()) else None
            if zone and not _zone_exists(fleet, host, str(zone)):
                yield Problem(
                    host,
                    f"{name} is {zone}, which is not a time zone that the host knows",
                    "use an IANA name, such as Asia/Shanghai; timedatectl list-timezones shows them",
                )


def _zone_exists(fleet: Fleet, host: str, zone: str) -> bool:
    return ZONE_NAME.match(zone) is not None and fleet.look(host).zones.get(zone, True)


def error_log_zone(fleet: Fleet) -> Iterator[Problem]:
    """Nginx's error lines name no zone: the one that the consumer reads them in must be that of every balancer."""
    for reader, consumer in fleet.group("consumer"):
        read_as = str(consumer.get("consumer_error_log_timezone") or "")
        for host, variables in fleet.group("lb"):
            own = str(variables.get("common_timezone") or "")
            clock = fleet.look(host).clock
            shown = {moment: _offset(own, moment) for moment in ZONE_MOMENTS} if own else dict(clock)
            wanted = {moment: _offset(read_as, moment) for moment in shown}
            # A zone that is unknown is another rule's matter.
            if shown == wanted or None in {*shown.values(), *wanted.values()}:
                continue
            offset = next(iter(shown.values()))
            yield Problem(
                host,
                f"its clock shows {own or offset}, but {reader} reads its error lines as {read_as}: their times would"
                " be wrong",
                "set common_timezone in group_vars/all to the balancers' zone; consumer_error_log_timezone follows it",
            )


def _offset(zone: str, moment: str) -> str | None:
    """Return a zone's distance from UTC as ``+0800`` at a moment (seconds since the epoch), None if unknown."""
    try:
        return datetime.fromtimestamp(int(moment), zoneinfo.ZoneInfo(zone)).strftime("%z")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
