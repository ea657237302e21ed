"""Tests of rules, from the first request to the channels' answers."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault
from obsctl.core.rule_test import RunOnPage


class RuleSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One rule's test; times are seconds since the epoch by this machine's clock, 0 for not reached.

    Attributes:
        rule: its name.
        mark: of the lines of its requests.
        planned: requests that make the condition true.
        sent: those that were sent.
        answered: those that nginx answered as requested.
        wrong: number of other answers, by their text.
        began: when the first request was sent.
        answered_at: when the first right answer came.
        lines: marked lines in Kafka.
        shipped_at: when the first of them was read there.
        run: the alerter's report, with times by this machine's clock; None if no alerter knows the test.
        deadline_s: the test's time limit, seconds from its first request.
    """

    rule: str
    mark: str
    planned: int
    sent: int = 0
    answered: int = 0
    wrong: dict[str, int] = {}
    began: float = 0.0
    answered_at: float = 0.0
    lines: int = 0
    shipped_at: float = 0.0
    run: RunOnPage | None = None
    deadline_s: float = 0.0


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is not tested, and why."""

    rule: str
    reason: str


class WireSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One run of tests.

    Attributes:
        target: address and port of the requests.
        stopped: why no further request was sent; empty if all were.
        rules: those that were tested.
        left_out: those that were not.
    """

    target: str = ""
    stopped: str = ""
    rules: tuple[RuleSeen, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    errors: tuple[Fault, ...] = ()
