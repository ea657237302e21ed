"""A run ends as soon as its answer is plain, and not before."""

from __future__ import annotations

import pytest

from obsctl.checks.balance import stopping
from obsctl.checks.balance.model import Expectation
from obsctl.checks.balance.snapshot import BackendTally

EVEN = Expectation(None, {"node1": 1, "node2": 1, "node3": 1}, 0, of_one_client=False)
ALIVE = {"node1": "", "node2": "", "node3": ""}


def tally(name: str, answers: int, errors: int = 0, p50_ms: float = 2.0, slower: int = 0) -> BackendTally:
    timed = answers + errors
    return BackendTally(
        name=name, answers=answers, errors=errors, p50_ms=p50_ms, p99_ms=p50_ms, timed=timed, slower=slower
    )


def reason(
    *tallies: BackendTally,
    unanswered: int = 0,
    direct: dict[str, str] | None = None,
    expected: Expectation | None = EVEN,
    took_s: float = 1.0,
) -> str:
    failed = unanswered + sum(one.errors for one in tallies)
    sent = unanswered + sum(one.answers + one.errors for one in tallies)
    return stopping.reason(stopping.Progress(sent, failed, tallies, direct or {}, expected, took_s))


@pytest.mark.parametrize("count", [1, 7, 20, 60, 100])
def test_a_sound_run_goes_on(count: int) -> None:
    assert reason(*(tally(name, count) for name in ALIVE)) == ""


def test_nothing_but_errors_ends_it() -> None:
    assert reason(tally("", 0, 9)) == ""
    assert reason(tally("", 0, 10)) == "all requests failed"
    assert reason(tally("", 0, 10), tally("node1", 1)) == ""


def test_a_back_end_without_requests_is_plain_after_twenty() -> None:
    for each, plain in ((9, False), (10, True)):
        found = reason(tally("node1", each), tally("node3", each))
        assert bool(found) is plain, each
    assert found == "node2 clearly gets no requests"


def test_before_the_configuration_is_known_nothing_is_said_of_shares() -> None:
    assert reason(tally("node1", 100), tally("node3", 20), expected=None) == ""


def test_a_back_end_that_the_configuration_leaves_out_is_not_waited_for() -> None:
    drained = EVEN._replace(weights={"node1": 1, "node2": 0, "node3": 1})
    assert reason(tally("node1", 40), tally("node3", 40), expected=drained) == ""
    hashed = EVEN._replace(of_one_client=True)
    assert reason(tally("node1", 60), expected=hashed) == ""


def test_workers_without_a_shared_zone_may_all_begin_with_the_same_back_end() -> None:
    unzoned = EVEN._replace(slack=16)
    assert reason(tally("node1", 16), tally("node3", 16), expected=unzoned) == ""
    assert reason(tally("node1", 40), tally("node3", 40), expected=unzoned)


def test_a_frozen_back_end_is_plain_once_the_others_answer_by_themselves() -> None:
    frozen = ALIVE | {"node2": "no answer in time"}
    two = (tally("node1", 2), tally("node3", 2))
    three = (tally("node1", 3), tally("node3", 3))
    assert reason(*two, unanswered=2, direct=frozen) == "", "two of six may be chance"
    assert reason(*three, unanswered=3, direct=ALIVE) == "", "the back end is well by itself"
    assert reason(*three, unanswered=3, direct=dict.fromkeys(ALIVE, "connection refused")) == "", "a firewall"
    assert reason(*three, unanswered=3, direct=frozen) == "requests clearly fail, and node2 answers none"


def test_an_uneven_share_ends_it_at_a_look_only() -> None:
    assert reason(tally("node1", 40), tally("node2", 10), tally("node3", 10)) == "the share of node1 is clearly uneven"
    assert reason(tally("node1", 41), tally("node2", 10), tally("node3", 10)) == ""


def test_a_slow_back_end_ends_it_when_the_run_takes_long() -> None:
    tallies = (tally("node1", 20), tally("node2", 20, p50_ms=500.0, slower=20), tally("node3", 20))
    assert reason(*tallies) == ""
    assert reason(*tallies, took_s=11.0) == "node2 is clearly slow"
    assert reason(tally("node1", 20), tally("node2", 20), tally("node3", 20), took_s=11.0) == ""
