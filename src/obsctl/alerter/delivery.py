"""What became of one attempt to deliver a message."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """The outcome of an attempt; only the vendor's own success code is a delivery."""

    DELIVERED = "delivered"
    #: Right address and right secret, but too many messages: later.
    THROTTLED = "throttled"
    #: The server said "not now": a fault of its own, greylisting, a full disk.
    DEFERRED = "deferred"
    #: The vendor said no, and will say no again until a person changes something.
    REFUSED = "refused"
    #: The answer points to another address, which is never followed.
    REDIRECTED = "redirected"
    #: The message did not arrive: no connection, or a service that is out of order.
    UNREACHABLE = "unreachable"
    #: Sent, but not answered: it may or may not have arrived.
    UNKNOWN = "unknown"

    @property
    def permanent(self) -> bool:
        """Whether trying again soon is pointless."""
        return self in (Verdict.REFUSED, Verdict.REDIRECTED)

    @property
    def of_one_robot(self) -> bool:
        """Whether another robot of the same group may have better luck at once."""
        return self in (Verdict.REFUSED, Verdict.THROTTLED)


@dataclass(frozen=True)
class Delivery:
    """The outcome of one attempt.

    Attributes:
        verdict: the outcome.
        code: the vendor's own code (``errcode``, HTTP or SMTP status), empty without an answer.
        summary: what happened, in one sentence without secrets.
        hint: what to do about it, empty when everybody has the message.
        retry_after_s: how long the other side wants to be left alone, seconds; None where it says nothing.
    """

    verdict: Verdict
    code: str
    summary: str
    hint: str = ""
    retry_after_s: float | None = None

    @property
    def delivered(self) -> bool:
        """Whether the vendor said that it has the message."""
        return self.verdict is Verdict.DELIVERED
