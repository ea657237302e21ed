"""A log line with its timestamp and its identity, as alert rules evaluate it."""

from __future__ import annotations

import msgspec

from obsctl.lines.formats.line import Line


class Event(msgspec.Struct, gc=False):
    """One line.

    Attributes:
        identity: 64 bits of the line's identity; a resend of the line has the same.
        time: seconds since the epoch, from the line.
        mark: of a rule test, whose lines must not count in real windows; empty for every other line.
        line: the line, with the host that wrote it and, behind trusted proxies, the client.
    """

    identity: int
    time: float
    line: Line
    mark: str = ""
