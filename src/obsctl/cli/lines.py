"""Shared by commands that show log lines: which log, and how its records are read."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from obsctl.core.errors import ConfigError

if TYPE_CHECKING:
    from obsctl.fleet.model import Fleet
    from obsctl.lines.line_reader import LineReader
    from obsctl.query.fields import Table


class Log(enum.StrEnum):
    """The log whose lines are shown."""

    ACCESS = "access"
    ERROR = "error"

    @property
    def table(self) -> Table:
        """The table of its lines, with their fields."""
        from obsctl.query.fields import ACCESS, ERROR

        return ACCESS if self is Log.ACCESS else ERROR


Filter = Annotated[str, typer.Argument(metavar="[FILTER]", show_default=False, help="Which lines (default: all).")]
OfLog = Annotated[
    Log, typer.Option("--log", case_sensitive=False, help="Lines of the access log, or of the error log.")
]


def line_reader(fleet: Fleet) -> LineReader:
    """Return a reader of records with the settings of the inventory's alerter.

    Raises:
        ConfigError: a setting in the inventory is invalid.
    """
    from obsctl.core.config_file import InvalidValueError
    from obsctl.core.settings import networks_of, zone_of
    from obsctl.lines.client_address import TrustedProxies
    from obsctl.lines.line_reader import LineReader

    said = fleet.alerter
    try:
        proxies = TrustedProxies(networks_of(said.trusted_proxies, "consumer_trusted_proxies"))
        zone_of(said.error_log_timezone, "consumer_error_log_timezone")
    except InvalidValueError as fault:
        raise ConfigError(f"the inventory: {fault.key}: {fault}", hint=fault.hint) from None
    return LineReader(proxies, said.error_log_timezone)
