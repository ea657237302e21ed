"""The result of one attempt to deliver a message."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact

#: How many codes of one channel are counted separately; a webhook's receiver may answer with any text.
_MOST_CODES = 30
#: Stands for all other codes.
OTHER_CODES = "other"


class Verdict(enum.StrEnum):
    """The outcome of an attempt; only the vendor's own success code is a delivery."""

    DELIVERED = "delivered"
    #: Address and secret are right, but there were too many messages: retry later.
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
        """Whether another robot of the same group may succeed at once."""
        return self in (Verdict.REFUSED, Verdict.THROTTLED)


@dataclass(frozen=True)
class Delivery:
    """The outcome of one attempt.

    Attributes:
        verdict: the outcome.
        code: the vendor's own code (``errcode``, HTTP or SMTP status), empty without an answer.
        summary: what happened, in one sentence without secrets.
        hint: what to do about it; empty when all recipients have the message.
        retry_after_s: how long the other side asks to wait before a retry, seconds; None where it does not say.
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


class Attempts:
    """Counts a channel's attempts by outcome, since the start; read by other threads."""

    def __init__(self) -> None:
        self.by_outcome: Counter[tuple[str, str]] = Counter()

    def add(self, delivery: Delivery) -> None:
        """Count an attempt under its verdict and code."""
        place = (delivery.verdict.value, delivery.code)
        if place not in self.by_outcome and len(self.by_outcome) >= _MOST_CODES:
            place = (delivery.verdict.value, OTHER_CODES)
        # Replaced, not changed in place: other threads may be iterating over it.
        self.by_outcome = self.by_outcome + Counter([place])


def attempted(send: Callable[[], Delivery], *, on_bug: Verdict = Verdict.UNKNOWN) -> Delivery:
    """Return the outcome of an attempt, also where the attempt could not be made.

    Args:
        send: reads the secrets and makes the attempt.
        on_bug: the verdict when ``send`` raises an unexpected error, after which it is unknown whether something was
            sent.
    """
    try:
        return send()
    except ConfigError as error:
        return Delivery(Verdict.REFUSED, "", f"not sent: {redact(str(error))}", error.hint)
    except Exception as error:
        # An error in one attempt must not end the thread. Its text may hold a secret, so only its type is shown.
        return Delivery(
            on_bug,
            "",
            f"internal error ({type(error).__name__}) while sending",
            "a bug in obsctl: report it with journalctl -u obsctl-alerter -n 100",
        )
