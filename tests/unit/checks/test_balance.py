"""The balancer's verdict: tables of chi-square, and neither noise nor large numbers alarm."""

from __future__ import annotations

import random

import msgspec
import pytest

from obsctl.checks.balance.judge import describe_balancer, judge_balancer
from obsctl.checks.balance.model import chi_square_p, evenness, shares, wilson
from obsctl.checks.balance.snapshot import BackendTally, BalancerConfig, BalancerSnapshot, Member, Upstream
from obsctl.core.report import Severity, Status, verdict
from obsctl.fleet.model import BackendNode, Fleet, Host, Vip

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
    assert "no back end is up" in finding.summary


def test_a_dead_vip_is_one_finding() -> None:
    (finding,) = judge_balancer(FLEET, seen(failures={"no route to host": 2}, lost=True))
    assert (finding.code, finding.severity) == ("VIP_UNREACHABLE", Severity.CRITICAL)
    assert "no route to host" in finding.summary


def test_a_dead_vip_has_the_name_that_verify_vip_gives_it() -> None:
    fleet = msgspec.structs.replace(FLEET, vip=Vip(address="192.0.2.100", port=8443))
    (finding,) = judge_balancer(fleet, seen(failures={"no route to host": 2}, lost=True))
    assert finding.object == "vip/192.0.2.100"


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


ADDRESSES = {f"node{i}": f"198.18.0.1{i}:8080" for i in (1, 2, 3)}


def config(node: str = "node1", *members: Member, workers: int = 2, failure: str = "", **of: object) -> BalancerConfig:
    members = members or tuple(Member(address=address) for address in ADDRESSES.values())
    upstream = Upstream(name="backends", **{"method": "least_conn", "zone": True, "members": members, **of})  # type: ignore[arg-type]
    limits = ("limit_req zone=web",) if node == "limited" else ()
    if failure:
        return BalancerConfig(node=node, failure=failure)
    return BalancerConfig(node=node, upstream=upstream, workers=workers, limits=limits)


def member(name: str, **changes: object) -> Member:
    return Member(address=ADDRESSES.get(name, name), **changes)  # type: ignore[arg-type]


def with_(snapshot: BalancerSnapshot, **changes: object) -> BalancerSnapshot:
    return msgspec.structs.replace(snapshot, **{"balancers": {"node1": snapshot.answered}, "marked": True, **changes})


def found(snapshot: BalancerSnapshot) -> list[tuple[str, Severity, str]]:
    return [(f.code, f.severity, f.object) for f in judge_balancer(FLEET, snapshot)]


def test_weights_of_the_configuration_are_what_is_expected() -> None:
    weighted = config("node1", member("node1", weight=4), member("node2"), member("node3"))
    assert found(with_(even(400, 100, 100), configs=(weighted,))) == []
    (uneven,) = judge_balancer(FLEET, with_(even(), configs=(weighted,)))
    assert (uneven.code, uneven.object, uneven.severity) == ("LB_SKEW", "backend/node1", Severity.WARNING)
    rows = describe_balancer(FLEET, with_(even(), configs=(weighted,)))["backends"]
    assert [row["expected_share"] for row in rows] == [0.6667, 0.1667, 0.1667]


def test_the_configuration_of_the_balancer_that_answers_counts() -> None:
    weighted = config("node2", member("node1", weight=4), member("node2"), member("node3"))
    plain = config("node1")
    assert [code for code, *_ in found(with_(even(), configs=(plain, weighted)))] == ["LB_CONFIG_DIFFERS"]
    snapshot = with_(even(400, 100, 100), configs=(plain, weighted), balancers={"node2": 600})
    assert [code for code, *_ in found(snapshot)] == ["LB_CONFIG_DIFFERS"]


def test_without_a_shared_zone_each_worker_may_begin_with_the_first_member() -> None:
    # 60 requests over 16 workers: a quarter of the turns is begun and not ended.
    unzoned = config(zone=False, workers=16)
    snapshot = even(28, 20, 12)
    assert found(with_(snapshot, configs=(unzoned,))) == []
    assert [code for code, *_ in found(with_(even(300, 200, 100), configs=(unzoned,)))] == ["LB_SKEW"]


@pytest.mark.parametrize("method", ["ip_hash", "hash"])
def test_one_client_of_a_hashed_balancer_proves_nothing_and_is_said_so(method: str) -> None:
    direct = {"node1": "", "node2": "", "node3": ""}
    snapshot = with_(seen(("node2", 600, 0)), configs=(config(method=method),), direct=direct)
    assert found(snapshot) == []
    data = describe_balancer(FLEET, snapshot)
    assert (data["chi_square_p"], data["detects"], data["method"]) == (None, None, method)
    assert any("prove nothing; when asked directly, 3 of 3" in note["note"] for note in data["notes"])
    direct["node3"] = "connection refused"
    (finding,) = judge_balancer(FLEET, with_(seen(("node2", 600, 0)), configs=(config(method=method),), direct=direct))
    assert (finding.code, finding.object) == ("LB_BACKEND_SILENT", "backend/node3")


def test_least_conn_with_several_at_a_time_follows_the_speed() -> None:
    snapshot = with_(even(252, 100, 248), configs=(config(),), lanes=8)
    assert found(snapshot) == [("LB_SKEW", Severity.INFO, "backend/node2")]
    assert found(with_(even(252, 100, 248), configs=(config(method="round_robin"),), lanes=8))[0][1] is Severity.WARNING


def slow_one(p50: float, others: float, slower: int = 40, timed: int = 40) -> BalancerSnapshot:
    snapshot = even(40, 40, 40)
    tallies = [
        msgspec.structs.replace(
            tally, timed=timed, p50_ms=p50 if tally.name == "node2" else others,
            slower=slower if tally.name == "node2" else timed // 2,
        )
        for tally in snapshot.backends
    ]  # fmt: skip
    return with_(snapshot, backends=tuple(tallies), configs=(config(),), wanted=600)


def test_a_slow_back_end_is_named() -> None:
    (finding,) = judge_balancer(FLEET, slow_one(502.6, 2.67))
    assert (finding.code, finding.severity, finding.object) == (
        "LB_SLOW_BACKEND",
        Severity.WARNING,
        "backend/node2",
    )
    assert finding.summary == "half of its answers took 503 ms or more, the others' 2.7 ms"


@pytest.mark.parametrize(
    ("p50", "others", "slower", "timed"),
    [(51.0, 3.0, 40, 40), (140.0, 60.0, 40, 40), (502.0, 2.67, 28, 40), (502.0, 2.67, 8, 8), (502.0, 2.67, 0, 0)],
    ids=["48 ms more", "not three times", "by chance", "too few", "of an earlier release"],
)
def test_what_differs_little_or_by_chance_is_not_slow(p50: float, others: float, slower: int, timed: int) -> None:
    assert found(slow_one(p50, others, slower, timed)) == []


def test_a_run_that_was_cut_hides_no_proved_fault() -> None:
    """It was UNKNOWN, above a slow back end and an uneven share."""
    findings = judge_balancer(FLEET, msgspec.structs.replace(slow_one(502.6, 2.67), late=True))
    assert [(f.code, f.severity) for f in findings] == [
        ("LB_SLOW_BACKEND", Severity.WARNING),
        ("LB_RUN_CUT", Severity.INFO),
    ]
    assert verdict(findings, ()) is Status.WARNING
    (alone,) = judge_balancer(FLEET, with_(even(40, 40, 40), late=True, wanted=600))
    assert (alone.code, alone.severity) == ("LB_RUN_CUT", Severity.UNKNOWN)


def test_a_frozen_back_end_is_named_after_few_requests() -> None:
    """Three of nine unanswered, no name in any of them: the back ends asked by themselves say whose they are."""
    snapshot = with_(
        seen(("node1", 3, 0), ("node3", 3, 0), failures={"no answer in time": 3}),
        wanted=600,
        ended="requests clearly fail, and node2 answers none",
        direct={"node1": "", "node2": "no answer in time", "node3": ""},
        configs=(config(),),
    )
    findings = judge_balancer(FLEET, snapshot)
    assert [(f.code, f.severity, f.object) for f in findings] == [
        ("LB_BACKEND_SILENT", Severity.CRITICAL, "backend/node2"),
        ("LB_ERRORS", Severity.CRITICAL, "lb"),
    ]
    assert "systemctl restart obs-backend" in findings[0].hint
    assert "systemctl status" not in findings[0].hint


def test_back_ends_that_cannot_be_asked_from_here_prove_nothing() -> None:
    refused = dict.fromkeys(("node1", "node2", "node3"), "connection refused")
    assert found(with_(even(), direct=refused, configs=(config(),))) == []
    few = with_(seen(("node1", 3, 0), ("node3", 3, 0)), direct=refused, configs=(config(),))
    assert found(few) == [("LB_TOO_FEW_ANSWERS", Severity.UNKNOWN, "lb")]


STRANGER = "198.18.0.99:8080"


@pytest.mark.parametrize("options", [{}, {"backup": True}])
def test_a_dead_member_that_the_inventory_does_not_know_is_named(options: dict[str, bool]) -> None:
    strange = config("node1", *config().upstream.members, member(STRANGER, **options))  # type: ignore[union-attr]
    snapshot = with_(even(), configs=(strange, config("node2")), retried={STRANGER: 2})
    (finding,) = judge_balancer(FLEET, snapshot)
    assert (finding.code, finding.severity, finding.object) == (
        "LB_MEMBER_UNKNOWN",
        Severity.WARNING,
        f"backend/{STRANGER}",
    )
    assert "nginx on node1 lists 198.18.0.99:8080" in finding.summary
    assert "2 requests had to be retried on another back end" in finding.summary


def test_a_live_member_without_a_name_is_one_finding_with_its_address() -> None:
    strange = config("node1", *config().upstream.members, member(STRANGER))  # type: ignore[union-attr]
    nameless = BackendTally(
        name="", answers=150, errors=0, p50_ms=1, p99_ms=2, upstream=STRANGER, balancer=True, statuses={"200": 150}
    )
    good = even(150, 150, 150)
    snapshot = with_(good, backends=(nameless, *good.backends), sent=600, configs=(strange,))
    (finding,) = judge_balancer(FLEET, snapshot)
    assert (finding.code, finding.severity, finding.object) == (
        "LB_UNKNOWN_BACKEND",
        Severity.CRITICAL,
        f"backend/{STRANGER}",
    )
    assert "nginx got them from 198.18.0.99:8080, which is not a back end of the fleet" in finding.summary


def test_a_wrong_process_at_a_back_ends_address_is_one_finding() -> None:
    wrong = BackendTally(name="intruder7", answers=200, errors=0, p50_ms=1, p99_ms=2, upstream=ADDRESSES["node1"])
    rest = seen(("node2", 200, 0), ("node3", 200, 0))
    snapshot = with_(rest, backends=(wrong, *rest.backends), sent=600, configs=(config(),))
    (finding,) = judge_balancer(FLEET, snapshot)
    assert (finding.code, finding.object) == ("LB_UNKNOWN_BACKEND", "backend/intruder7")
    assert "which is node1's address" in finding.summary
    assert finding.hint.startswith("on node1: ss -ltnp")


def test_a_back_end_that_a_balancer_does_not_list_is_named() -> None:
    short = config("node2", member("node1"), member("node3"))
    snapshot = with_(even(), configs=(config(), short))
    assert found(snapshot) == [("LB_MEMBER_MISSING", Severity.WARNING, "backend/node2")]
    in_charge = with_(seen(("node1", 300, 0), ("node3", 300, 0)), configs=(short,), balancers={"node2": 600})
    assert found(in_charge) == [("LB_MEMBER_MISSING", Severity.CRITICAL, "backend/node2")]


def test_a_member_that_is_marked_down_is_a_note() -> None:
    drained = config("node1", member("node1"), member("node2", down=True), member("node3"))
    snapshot = with_(seen(("node1", 300, 0), ("node3", 300, 0)), configs=(drained,))
    assert found(snapshot) == []
    assert "node2 gets no requests because of nginx's configuration" in str(describe_balancer(FLEET, snapshot)["notes"])


def test_a_configuration_that_cannot_be_read_is_a_note() -> None:
    snapshot = with_(even(), configs=(config("node1", failure="Permission denied (publickey)"),))
    assert found(snapshot) == []
    assert "Permission denied" in str(describe_balancer(FLEET, snapshot)["notes"])


def limited(status: str, refused: int, node: str = "node1") -> BalancerSnapshot:
    failed = status >= "500"
    own = BackendTally(
        name="", answers=0 if failed else refused, errors=refused if failed else 0, p50_ms=1, p99_ms=2,
        balancer=True, statuses={status: refused},
    )  # fmt: skip
    rest = even(20, 20, 20)
    snapshot = with_(rest, backends=(own, *rest.backends), sent=refused + 60, configs=(config(node),))
    return msgspec.structs.replace(snapshot, balancers={node: snapshot.answered})


@pytest.mark.parametrize(("status", "node"), [("429", "node1"), ("429", "limited"), ("503", "limited")])
def test_nginxs_own_limit_is_no_foreign_server(status: str, node: str) -> None:
    findings = judge_balancer(FLEET, limited(status, 540, node))
    assert [(f.code, f.severity) for f in findings] == [("LB_RATE_LIMITED", Severity.WARNING)]
    assert "refused 540 of 600 requests" in findings[0].summary


def test_503_without_any_limit_is_an_error() -> None:
    assert [code for code, *_ in found(limited("503", 540))] == ["LB_ERRORS"]


def test_answers_of_nginx_itself_are_told_from_a_foreign_server() -> None:
    own = BackendTally(name="", answers=600, errors=0, p50_ms=1, p99_ms=2, balancer=True, statuses={"301": 600})
    snapshot = with_(seen(("", 600, 0)), backends=(own,), configs=(config(),))
    finding = judge_balancer(FLEET, snapshot)[0]
    assert (finding.code, finding.object) == ("LB_UNKNOWN_BACKEND", "backend/(none)")
    assert "600 answers (status 301) came from nginx itself" in finding.summary


@pytest.mark.parametrize(("count", "severity"), [(3, Severity.INFO), (6, Severity.WARNING)])
def test_requests_that_were_passed_on_are_told_apart(count: int, severity: Severity) -> None:
    snapshot = with_(even(), retried={ADDRESSES["node3"]: count}, configs=(config(),))
    assert found(snapshot) == [("LB_RETRIES", severity, "backend/node3")]


def test_requests_passed_on_by_a_silent_back_end_are_part_of_its_finding() -> None:
    snapshot = with_(seen(("node1", 300, 0), ("node3", 300, 0)), retried={ADDRESSES["node2"]: 2}, configs=(config(),))
    (finding,) = judge_balancer(FLEET, snapshot)
    assert "nginx asked it 2 times without success and retried the requests on another back end" in finding.summary


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"method": "ip_hash"}, "ip_hash instead of least_conn"),
        ({"zone": False}, "without a shared zone"),
        (
            {"members": (member("node1", weight=3), member("node2"), member("node3"))},
            ":8080 with weight 3 instead of 1",
        ),
        ({"members": (member("node1", down=True), member("node2"), member("node3"))}, ":8080 is marked down"),
    ],
)
def test_balancers_are_compared_with_each_other(changes: dict[str, object], difference: str) -> None:
    snapshot = with_(even(), configs=(config(), config("node2", **changes), config("node3")))  # type: ignore[arg-type]
    (finding,) = judge_balancer(FLEET, snapshot)
    assert (finding.code, finding.severity, finding.object) == ("LB_CONFIG_DIFFERS", Severity.WARNING, "host/node2")
    assert difference in finding.summary


def test_requests_that_count_as_traffic_are_said_to() -> None:
    data = describe_balancer(FLEET, with_(even(), marked=False, unmarked="no secret"))
    assert data["counted_as_traffic"] is True
    assert data["notes"] == [{"note": "the 600 requests count as traffic, in roll-ups and for alert rules: no secret"}]
    assert describe_balancer(FLEET, with_(even()))["notes"] == []


def test_a_port_of_its_own_is_a_back_ends_address() -> None:
    fleet = Fleet(
        vip=FLEET.vip,
        hosts=tuple(msgspec.structs.replace(host, backend=BackendNode(port=9000)) for host in FLEET.hosts),
    )
    members = tuple(Member(address=f"198.18.0.1{i}:9000") for i in (1, 2, 3))
    assert judge_balancer(fleet, with_(even(), configs=(config("node1", *members),))) == []
    codes = {finding.code for finding in judge_balancer(fleet, with_(even(), configs=(config(),)))}
    assert codes == {"LB_MEMBER_UNKNOWN", "LB_MEMBER_MISSING"}
