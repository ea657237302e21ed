"""Which kinds of channels there are, and the list ``channels`` of alerter.yml or of the inventory as channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from obsctl.alerter import channels
from obsctl.alerter.channels.channel import ChannelOptions
from obsctl.alerter.kinds import Kinds
from obsctl.core.config_file import InvalidValueError
from obsctl.core.errors import ConfigError

KINDS = Kinds(channels, ChannelOptions)


def parse_channels(entries: Iterable[Mapping[str, Any]], where: str) -> list[ChannelOptions]:
    """Return the list ``channels`` of the inventory as channels.

    Args:
        entries: the inventory's dictionaries.
        where: named in errors.

    Raises:
        ConfigError: an unknown type or option, one missing or of another type, or a name used twice.
    """
    try:
        return KINDS.read(entries, "channels")
    except InvalidValueError as fault:
        raise ConfigError(f"{where}: {fault.key}: {fault}", hint=fault.hint) from None
