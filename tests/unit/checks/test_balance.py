"""The balancer's verdict: tables of chi-square, and neither noise nor large numbers alarm."""

from __future__ import annotations

import random

import pytest

from obsctl.checks.balance.judge import chi_square_p, describe_balancer, evenness, judge_balancer, shares, wilson
from obsctl.checks.balance.snapshot import BackendTally, BalancerSnapshot
from obsctl.core.report import Severity, Status, verdict
from obsctl.fleet.model import Fleet, Host, Vip

FLEET = Fleet(
    vip=Vip(address="198.18.0.100"),
    hosts=tuple(Host(name=f"node{i}", address=f"198.18.0.1{i}", groups=("lb", "backend")) for i in (1, 2, 3)),
)


def seen(*counts: tuple[str, int, int], failures: dict[str, int] | None = None, lost: bool = False) -> BalancerSnapshot:
    tallies = tuple(BackendTally(name=n, answers=a, errors=e, p50_ms=1.0, p99_ms=2.0) for n, a, e in counts)
    sent = sum(a + e for _, a, e in counts) + sum((failures or {}).values())
    return BalancerSnapshot(
        target="198.18.0.100:80", wanted=600, sent=sent, failures=failures or {}, lost=lost, backends=tallies
    )


def even(n1: int = 200, n2: int = 200, n3: int = 200) -> BalancerSnapshot:
    return seen(("node1", n1, 0), ("node2", n2, 0), ("node3", n3, 0))


# Critical values as printed in statistical tables (NIST/SEMATECH e-Handbook, 1.3.6.7.4), to three decimals.
@pytest.mark.parametrize(
    ("freedom", "p", "value"),
    [
        (1, 0.05, 3.841), (1, 0.01, 6.635), (1, 0.001, 10.828),
        (2, 0.10, 4.605), (2, 0.05, 5.991), (2, 0.01, 9.210),
        (3, 0.05, 7.815), (3, 0.01, 11.345),
        (4, 0.01, 13.277), (5, 0.05, 11.070), (10, 0.01, 23.209),
        (15, 0.05, 24.996), (50, 0.05, 67.505), (100, 0.01, 135.807),
    ],
)  # fmt: skip
def test_chi_square_agrees_with_the_printed_tables(freedom: int, p: float, value: float) -> None:
    assert chi_square_p(value, freedom) == pytest.approx(p, rel=2e-3)


def test_chi_square_at_its_ends() -> None:
    assert chi_square_p(0, 3) == 1.0
    assert chi_square_p(5_000, 2) == 0.0
    assert 0 <= chi_square_p(100_000, 201) < 1e-300
    with pytest.raises(ValueError, match="no chi-square"):
        chi_square_p(-1, 2)
    with pytest.raises(ValueError, match="no chi-square"):
        chi_square_p(1, 0)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998 (Stat. Med. 17), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_the_published_examples(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_without_trials_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_an_even_balancer_is_ok() -> None:
    assert judge_balancer(FLEET, even()) == []
    assert judge_balancer(FLEET, even(199, 201, 200)) == []


def test_a_significant_but_small_deviation_is_no_finding() -> None:
    snapshot = even(21_000, 20_000, 19_000)
    assert evenness([21_000, 20_000, 19_000]) < 1e-6
    assert judge_balancer(FLEET, snapshot) == []


def test_a_large_but_insignificant_deviation_is_no_finding() -> None:
    assert evenness([24, 17, 19]) > 0.01
    assert judge_balancer(FLEET, even(24, 17, 19)) == []


def test_a_large_and_significant_deviation_names_the_back_end() -> None:
    (finding,) = judge_balancer(FLEET, even(252, 100, 248))
    assert (finding.code, finding.severity, finding.object) == ("LB_SKEW", Severity.WARNING, "backend/node2")
    assert finding.evidence["p"] < 0.01
    assert finding.evidence["deviation"] == -0.5


def test_the_unzoned_balancer_of_sixteen_workers_is_seen_with_enough_requests() -> None:
    # Without `zone` each worker starts at the first server: .42/.33/.24 of 60 requests over 16 workers.
    assert [f.code for f in judge_balancer(FLEET, even(252, 198, 150))] == ["LB_SKEW"]


@pytest.mark.parametrize("missing", ["node1", "node2", "node3"])
def test_a_silent_back_end_is_critical_and_the_others_are_not_skewed_by_it(missing: str) -> None:
    snapshot = seen(*((f"node{i}", 300, 0) for i in (1, 2, 3) if f"node{i}" != missing))
    (finding,) = judge_balancer(FLEET, snapshot)
    assert (finding.code, finding.severity, finding.object) == (
        "LB_BACKEND_SILENT",
        Severity.CRITICAL,
        f"backend/{missing}",
    )


def test_a_stranger_is_critical() -> None:
    snapshot = seen(("node1", 150, 0), ("node2", 150, 0), ("node3", 150, 0), ("node9", 150, 0))
    (finding,) = judge_balancer(FLEET, snapshot)
    assert (finding.code, finding.object) == ("LB_UNKNOWN_BACKEND", "backend/node9")
    assert [share.backend for share in shares(FLEET, snapshot)] == ["node1", "node2", "node3", "node9"]


def test_good_answers_without_a_name_come_from_something_else() -> None:
    codes = {f.code for f in judge_balancer(FLEET, seen(("", 600, 0)))}
    assert codes == {"LB_UNKNOWN_BACKEND", "LB_TOO_FEW_ANSWERS"}


@pytest.mark.parametrize(("errors", "severity"), [(6, Severity.WARNING), (60, Severity.CRITICAL)])
def test_errors_are_counted_and_weighed(errors: int, severity: Severity) -> None:
    snapshot = seen(("node1", 200, 0), ("node2", 200 - errors, errors), ("node3", 200, 0))
    (finding,) = judge_balancer(FLEET, snapshot)
    assert (finding.code, finding.severity) == ("LB_ERRORS", severity)
    assert finding.evidence["by_backend"] == {"node2": errors}


def test_errors_of_nginx_itself_do_not_shift_the_shares() -> None:
    snapshot = seen(("", 0, 10), ("node1", 200, 0), ("node2", 200, 0), ("node3", 200, 0))
    assert [f.code for f in judge_balancer(FLEET, snapshot)] == ["LB_ERRORS"]


def test_only_errors_say_that_no_back_end_is_alive() -> None:
    (finding,) = judge_balancer(FLEET, seen(("", 0, 30)))
    assert finding.code == "LB_ERRORS"
    assert "no back end is alive" in finding.summary


def test_a_dead_vip_is_one_finding() -> None:
    (finding,) = judge_balancer(FLEET, seen(failures={"no route to host": 2}, lost=True))
    assert (finding.code, finding.severity) == ("VIP_UNREACHABLE", Severity.CRITICAL)
    assert "no route to host" in finding.summary


def test_a_vip_lost_on_the_way_is_told_beside_the_rest() -> None:
    snapshot = seen(("node1", 50, 0), ("node2", 50, 0), ("node3", 50, 0), failures={"no answer in time": 4}, lost=True)
    assert [f.code for f in judge_balancer(FLEET, snapshot)] == ["VIP_UNREACHABLE", "LB_ERRORS"]


def test_too_few_answers_are_unknown_not_ok() -> None:
    findings = judge_balancer(FLEET, even(4, 4, 4))
    assert [f.code for f in findings] == ["LB_TOO_FEW_ANSWERS"]
    assert verdict(findings, ()) is Status.UNKNOWN


def test_random_balancing_over_many_runs_raises_hardly_an_alarm() -> None:
    # Even a balancer that throws dice stays below one false alarm in a hundred runs; a turn by turn one has none.
    dice = random.Random(7)  # noqa: S311 - dice, not keys
    alarms = 0
    for _ in range(300):
        counts = [0, 0, 0]
        for _ in range(600):
            counts[dice.randrange(3)] += 1
        alarms += bool(judge_balancer(FLEET, even(*counts)))
    assert alarms <= 3


def test_the_data_hold_what_the_contract_names() -> None:
    data = describe_balancer(FLEET, even(252, 100, 248))
    assert data["backends"][1] == {
        "backend": "node2",
        "got": 100,
        "expected_share": 0.3333,
        "got_share": 0.1667,
        "deviation": -0.5,
        "ci95": [0.139, 0.1986],
        "errors": 0,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
    }
    assert data["metrics"]["got_node2"] == 100


def test_without_an_answer_there_are_no_shares() -> None:
    data = describe_balancer(FLEET, seen(failures={"connection refused": 2}, lost=True))
    assert {row["got_share"] for row in data["backends"]} == {None}
    assert data["chi_square_p"] is None
