"""What rules look at: one line of a log, at the time that it states."""

from __future__ import annotations

import msgspec

from obsctl.lines.formats.line import Line


class Event(msgspec.Struct, gc=False):
    """One line.

    Attributes:
        identity: the line's identity, 64 bits; a resend of the line has the same.
        time: seconds since the epoch, from the line.
        line: the line, with the host that wrote it and, behind trusted proxies, the client.
    """

    identity: int
    time: float
    line: Line
