"""What a module of this package declares to be a log format: ``FORMAT``, which ``registry`` finds by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from obsctl.lines.formats.line import Parsed

#: Parses a line or raises LineError.
Parse = Callable[[str], Parsed]


class Format(NamedTuple):
    """A log format.

    Attributes:
        name: what the shipper puts into ``fields.log_format``.
        lines: what lines it reads, for the documentation.
        parser: returns the parse function for hosts whose clocks show the given IANA zone; only formats whose lines
            name no zone need it.
    """

    name: str
    lines: str
    parser: Callable[[str], Parse]
