"""Types of which the daemons' configuration files are made: ports, names, networks, sections."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

#: A TCP port.
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
#: A text that is not empty.
Name = Annotated[str, msgspec.Meta(min_length=1)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file: unknown keys are errors, because a mistyped key is a setting that silently does nothing."""
