"""One log line at its own timestamp, with what tells it from every other: what rules evaluate."""

from __future__ import annotations

import msgspec

from obsctl.lines.formats.line import Line


class Event(msgspec.Struct, gc=False):
    """One line.

    Attributes:
        identity: the line's identity, 64 bits; a resend of the line has the same.
        time: seconds since the epoch, from the line.
        mark: of a test of a rule, which no real window may count; empty for every other line.
        line: the line, with the host that wrote it and, behind trusted proxies, the client.
    """

    identity: int
    time: float
    line: Line
    mark: str = ""
