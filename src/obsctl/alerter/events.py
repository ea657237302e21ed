"""What a rule looks at: one request, at the time that its line states."""

from __future__ import annotations

from typing import NamedTuple


class Event(NamedTuple):
    """One request.

    Attributes:
        identity: the line's identity, 64 bits; a resend of the line has the same.
        time: seconds since the epoch, from the line.
        client: address of the client.
        status: HTTP status that was answered.
        host: inventory name of the host whose log holds the line.
    """

    identity: int
    time: float
    client: str
    status: int
    host: str
