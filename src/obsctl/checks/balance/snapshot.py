"""What was seen of the balancer: who answered each of many requests through the VIP."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class BackendTally(msgspec.Struct, frozen=True, kw_only=True):
    """The answers that named one back end.

    Attributes:
        name: as the back end names itself, empty for an answer that names none.
        answers: below status 500.
        errors: with status 500 or above.
        p50_ms: median over all its answers, from connecting to the last byte.
        p99_ms: 99th percentile of the same.
    """

    name: str
    answers: int
    errors: int
    p50_ms: float
    p99_ms: float


class BalancerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One run of requests through the VIP.

    Attributes:
        target: address and port that were asked.
        wanted: requests that were to be sent.
        sent: requests that were sent; fewer than wanted where there was no point in going on.
        failures: requests without any answer, by reason.
        lost: the run ended early because nothing answered (any more).
    """

    target: str
    wanted: int
    sent: int
    failures: dict[str, int] = {}
    lost: bool = False
    backends: tuple[BackendTally, ...] = ()
    errors: tuple[Fault, ...] = ()

    @property
    def answered(self) -> int:
        """How many requests got any answer."""
        return sum(tally.answers + tally.errors for tally in self.backends)
