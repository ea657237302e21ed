"""Types of which the daemons' configuration files are made: ports, names, networks, sections."""

from __future__ import annotations

import ipaddress
from datetime import UTC, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from obsctl.core.config_file import InvalidValueError

#: A TCP port.
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
#: A text that is not empty.
Name = Annotated[str, msgspec.Meta(min_length=1)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file: unknown keys are errors, because a mistyped key is a setting that silently does nothing."""


def zone_of(name: str, key: str) -> tzinfo:
    """Return a time zone by its IANA name.

    Raises:
        InvalidValueError: this machine does not know it.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidValueError(
            key,
            f"there is no time zone {name!r} on this machine",
            hint="use a name such as Asia/Shanghai or Europe/Berlin; the machine needs the package tzdata",
        ) from None


def networks_of(entries: tuple[str, ...], key: str) -> tuple[Network, ...]:
    """Return networks by their texts.

    Raises:
        InvalidValueError: one of the texts is none.
    """
    networks: list[Network] = []
    for number, entry in enumerate(entries):
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError as error:
            raise InvalidValueError(f"{key}[{number}]", str(error)) from None
    return tuple(networks)
