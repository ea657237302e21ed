"""Tests of rules on the wire: which hop failed, and whose clock the times are of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obsctl.checks.wire.collect import Test, take_page
from obsctl.checks.wire.judge import HOPS, describe_wire, failed_hop, judge_wire, times
from obsctl.checks.wire.send import rate_of
from obsctl.checks.wire.snapshot import LeftOut, RuleSeen, WireSnapshot
from obsctl.core.report import Severity, Status, verdict
from obsctl.core.rule_test import (
    BODY_BYTES,
    LONGEST_DELAY_S,
    Arrival,
    Burst,
    Plan,
    Request,
    RunOnPage,
    TestsOnPage,
    is_mark,
)
from obsctl.fleet.model import Fleet

T = 1_800_000_000.0
MARK = "0123456789ab0123456789abcdef"
FLEET = Fleet(inventory="our hosts")
PASSED = RuleSeen(
    rule="slow pages",
    mark=MARK,
    planned=20,
    sent=20,
    answered=20,
    began=T,
    answered_at=T + 0.01,
    lines=20,
    shipped_at=T + 0.6,
    deadline_s=60,
    run=RunOnPage(
        mark=MARK,
        rule="slow pages",
        lines=20,
        seen_at=T + 0.7,
        true_at=T + 0.9,
        decided_at=T + 1.1,
        channels=(Arrival(channel="ops", state="delivered", at=T + 1.4, attempts=1, verdict="delivered"),),
    ),
)


def run(**changes: Any) -> RunOnPage:
    assert PASSED.run is not None
    return msgspec.structs.replace(PASSED.run, **changes)


def seen(**changes: Any) -> RuleSeen:
    return msgspec.structs.replace(PASSED, **changes)


def judged(rule: RuleSeen, **snapshot: Any) -> tuple[str, Severity, str, str]:
    (finding,) = judge_wire(FLEET, WireSnapshot(rules=(rule,), **snapshot))
    assert finding.evidence["hop"] == failed_hop(rule)
    return finding.code, finding.severity, finding.summary, finding.hint


def test_a_message_that_arrived_is_no_finding() -> None:
    snapshot = WireSnapshot(target="198.18.0.100:80", rules=(PASSED,), left_out=(LeftOut(rule="quiet", reason="time"),))
    assert judge_wire(FLEET, snapshot) == []
    assert verdict([], snapshot.errors) is Status.OK
    passed, left_out = describe_wire(snapshot)["rules"]
    assert passed["hops"] == {
        "answered": 0.01,
        "shipped": 0.6,
        "read": 0.7,
        "fired": 0.9,
        "decided": 1.1,
        "accepted": 1.4,
    }
    assert (passed["passed"], passed["failed_hop"], passed["channels"]) == (True, None, {"ops": "delivered"})
    assert (left_out["passed"], left_out["why_not"]) == (None, "time")


NOTHING_SEEN: dict[str, Any] = {"answered_at": 0.0, "shipped_at": 0.0}
WRONG = {"status 502 instead of 503": 8}
REFUSED = Arrival(channel="ops", state="pending", attempts=1, verdict="refused", summary="no")
NOT_YET: dict[str, Any] = {"true_at": 0.0, "decided_at": 0.0, "channels": ()}


@pytest.mark.parametrize(
    ("rule", "hop", "says"),
    [
        (seen(sent=0, answered=0, began=0.0, lines=0, run=None, **NOTHING_SEEN), "answered", "0 of 20"),
        (seen(answered=12, lines=12, wrong=WRONG, run=run(lines=12, **NOT_YET)), "answered", "502"),
        (seen(lines=0, shipped_at=0.0, run=None), "shipped", "0 of 20 lines"),
        (seen(lines=11, run=run(lines=11, **NOT_YET)), "shipped", "11 of 20 lines"),
        (seen(run=None), "read", "no alerter has read"),
        (seen(run=run(rule="", **NOT_YET)), "read", "it runs others than the inventory has"),
        (seen(run=run(**NOT_YET)), "fired", "did not begin"),
        (seen(run=run(left_out=7, **NOT_YET)), "fired", "7 lines were left out"),
        (seen(run=run(decided_at=0.0, channels=(), held="for 180 s")), "decided", "held by for 180 s"),
        (seen(run=run(decided_at=0.0, channels=(), held="route nobody")), "decided", "route nobody has no channel"),
        (seen(run=run(channels=())), "accepted", "in no outbox"),
        (seen(run=run(channels=(REFUSED,))), "accepted", "ops: refused: no"),
    ],
)  # fmt: skip
def test_the_first_hop_that_was_not_reached_is_named(rule: RuleSeen, hop: str, says: str) -> None:
    if not rule.run or not rule.run.channels:
        assert times(rule)["accepted"] is None
    code, severity, summary, hint = judged(rule)
    assert (failed_hop(rule), code, severity) == (hop, HOPS[hop], Severity.CRITICAL)
    assert says in summary
    assert hint.count("'our hosts'") == hint.count("ansible-playbook")


def test_a_message_without_any_channel_was_not_accepted() -> None:
    assert failed_hop(seen(run=run(channels=()))) == "accepted"


def test_one_channel_of_two_is_not_enough() -> None:
    late = Arrival(channel="mail", state="sending", attempts=1)
    assert PASSED.run is not None
    rule = seen(run=run(channels=(*PASSED.run.channels, late)))
    _, _, summary, hint = judged(rule)
    assert "mail: sending" in summary
    assert "--channel mail" in hint
    assert "--channel ops" not in hint


def test_a_vendors_rate_limit_is_a_warning() -> None:
    late = Arrival(channel="ops", state="pending", attempts=1, verdict="throttled", summary="too many")
    code, severity, _, _ = judged(seen(run=run(channels=(late,))))
    assert (code, severity) == ("ALERT_TEST_NOT_ACCEPTED", Severity.WARNING)


def test_a_condition_that_held_with_fewer_answers_passes() -> None:
    """Two requests of twenty failed, and eighteen were enough."""
    assert failed_hop(seen(answered=18, lines=18, wrong={"status 502 instead of 503": 2})) == ""


def test_why_the_sending_stopped_is_said() -> None:
    rule = seen(answered=0, answered_at=0.0, lines=0, shipped_at=0.0, run=None)
    assert "a back end" in judged(rule, stopped="status 200 from a back end")[2]


@pytest.fixture
def test() -> Test:
    plan = Plan(rule="slow pages", digest=MARK[12:], bursts=(Burst(requests=(Request(),)),), takes_s=0)
    return Test(plan, MARK, 60)


@pytest.mark.parametrize(("ahead_s", "moved_s"), [(0.0, 0.0), (0.1, 0.0), (-0.2, 0.0), (30.0, -30.0), (-7.0, 7.0)])
def test_times_are_by_this_machines_clock(test: Test, ahead_s: float, moved_s: float) -> None:
    """What a clock is off by less than the question took cannot be seen, and is not corrected."""
    page = TestsOnPage(now=T + 10 + ahead_s, runs=(run(), RunOnPage(mark="another one")))
    take_page(page, {MARK: test}, T + 9.7, T + 10.3)
    assert test.run is not None
    assert test.run.seen_at == pytest.approx(T + 0.7 + moved_s)
    assert test.run.channels[0].at == pytest.approx(T + 1.4 + moved_s)


def test_a_time_that_is_none_stays_none(test: Test) -> None:
    take_page(TestsOnPage(now=T + 500, runs=(run(**NOT_YET),)), {MARK: test}, T, T + 0.2)
    assert test.run is not None
    assert (test.run.true_at, test.run.decided_at) == (0.0, 0.0)


def test_a_test_is_over_when_no_channel_has_more_to_say(test: Test) -> None:
    assert not test.over
    for state, verdict_, over in (
        ("delivered", "delivered", True),
        ("pending", "refused", True),
        ("pending", "unreachable", False),
        ("sending", "", False),
        ("dead", "refused", True),
    ):
        test.run = run(channels=(Arrival(channel="ops", state=state, attempts=1, verdict=verdict_),))
        assert test.over is over, state


def test_an_answer_is_never_faster_than_it_has_to_be() -> None:
    """nginx sends a piece, waits a second, and so on; at the turn of a second it may send two pieces at once."""
    for delay_s in range(1, LONGEST_DELAY_S + 1):
        for head in (150, 260):
            pieces = -(-(BODY_BYTES + head) // rate_of(delay_s))
            assert delay_s <= pieces - 2, "one wait may be left out"
            assert pieces - 1 <= delay_s + 1.5


def test_the_page_may_say_more_and_less_than_is_known() -> None:
    assert msgspec.json.decode(b'{"new": 1, "runs": [{"mark": "x", "newer": 2}]}', type=TestsOnPage).runs[0].lines == 0
    assert is_mark(MARK)
