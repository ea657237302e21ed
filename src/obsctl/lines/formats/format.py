"""The declaration of a log format: each module of this package has one named ``FORMAT``, which ``registry`` finds."""

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
        lines: which lines it reads, for the documentation.
        parser: returns the parse function for hosts whose clocks are in the given IANA zone; only formats without a
            zone in their lines use it.
    """

    name: str
    lines: str
    parser: Callable[[str], Parse]
