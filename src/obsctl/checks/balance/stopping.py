"""Decides when a run of requests can end early, because more requests would not change the result."""

from __future__ import annotations

from typing import NamedTuple

from obsctl.checks.balance import model
from obsctl.checks.balance.model import Expectation
from obsctl.checks.balance.snapshot import BackendTally

#: After this many failures without a success the run ends.
ONLY_ERRORS = 10
#: If a back end is slow, the run ends after this many seconds; the shares are judged by the answers so far.
SLOW_RUN_S = 10.0


class Progress(NamedTuple):
    """The state of a run.

    Attributes:
        sent: number of requests.
        failed: those without an answer and those with status 500 or above.
        tallies: of the answers.
        direct: why back ends that were asked directly did not answer.
        expected: of the balancer; None while its configuration has not been read.
        took_s: since the beginning.
    """

    sent: int
    failed: int
    tallies: tuple[BackendTally, ...]
    direct: dict[str, str]
    expected: Expectation | None
    took_s: float


def reason(seen: Progress) -> str:
    """Return why the run can end, in a few words; empty while it must continue."""
    if seen.failed >= ONLY_ERRORS and not any(tally.answers for tally in seen.tallies):
        return "all requests failed"
    counts = model.named(seen.tallies)
    silent = model.silent(counts, seen.expected) if seen.expected is not None else []
    if silent and not seen.failed:
        return f"{', '.join(silent)} clearly gets no requests"
    if model.plainly_failing(seen.failed, seen.sent):
        culprits = sorted({*silent, *model.dead(counts, seen.direct)})
        if culprits:
            return f"requests clearly fail, and {', '.join(culprits)} answers none"
    answered = sum(counts.values())
    if answered in model.LOOK_AFTER and seen.expected is not None:
        uneven = model.skew(counts, seen.expected)
        if uneven is not None:
            return f"the share of {uneven.backend} is clearly uneven"
    if seen.took_s > SLOW_RUN_S and (slow := model.slow(seen.tallies)):
        return f"{', '.join(one.backend for one in slow)} is clearly slow"
    return ""
