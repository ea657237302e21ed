"""The VIP's verdict: one holder, who answers, and whether another could take over."""

from __future__ import annotations

import pytest

from obsctl.checks.vip.judge import describe_vip, judge_vip
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.core.report import Severity, Status, verdict
from obsctl.fleet.model import Fleet

VIP = "198.18.0.100"


def node(number: int, **changes: object) -> LbNode:
    values: dict[str, object] = {
        "name": f"node{number}",
        "address": f"198.18.0.1{number}",
        "holds_vip": number == 1,
        "keepalived": "active",
        "macs": (f"02:00:00:00:00:0{number}",),
        "priority": 110 - number,
    }
    return LbNode(**{**values, **changes})  # type: ignore[arg-type]


def dead(number: int) -> LbNode:
    return node(number, failure="no answer", holds_vip=False, keepalived="", macs=(), nginx_failure="no answer")


def seen(*nodes: LbNode, **changes: object) -> VipSnapshot:
    values: dict[str, object] = {"vip": VIP, "nodes": nodes, "neighbour_mac": "02:00:00:00:00:01"}
    return VipSnapshot(**{**values, **changes})  # type: ignore[arg-type]


def codes(snapshot: VipSnapshot) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in judge_vip(Fleet(), snapshot)}


def test_one_holder_that_answers_is_ok() -> None:
    assert codes(seen(node(1), node(2), node(3))) == {}


def test_behind_a_router_nobody_knows_who_answers_and_that_is_fine() -> None:
    snapshot = seen(node(1), node(2), node(3), neighbour_mac="")
    assert codes(snapshot) == {}
    assert describe_vip(Fleet(), snapshot)["vip"]["answered_by"] is None


def test_two_holders_are_a_split_brain() -> None:
    (finding,) = judge_vip(Fleet(), seen(node(1), node(2, holds_vip=True), node(3)))
    assert (finding.code, finding.severity) == ("VIP_SPLIT_BRAIN", Severity.CRITICAL)
    assert finding.evidence["holders"] == ["node1", "node2"]


def test_no_holder_is_critical() -> None:
    snapshot = seen(node(1, holds_vip=False), node(2), node(3), vip_failure="no route to host", neighbour_mac="")
    assert codes(snapshot) == {"VIP_NO_HOLDER": Severity.CRITICAL}


def test_all_keepalived_stopped() -> None:
    nodes = [node(n, holds_vip=False, keepalived="inactive") for n in (1, 2, 3)]
    found = codes(seen(*nodes, vip_failure="no answer", neighbour_mac=""))
    assert found == {"VIP_NO_HOLDER": Severity.CRITICAL, "VIP_KEEPALIVED_DOWN": Severity.WARNING}


def test_a_dead_node_costs_redundancy_not_the_answer() -> None:
    findings = judge_vip(Fleet(), seen(node(1), node(2), dead(3)))
    assert [(f.code, f.object) for f in findings] == [("LB_NODE_UNREACHABLE", "host/node3")]
    assert verdict(findings, ()) is Status.WARNING


def test_the_dead_holder_before_anybody_took_over() -> None:
    found = codes(seen(dead(1), node(2), node(3), vip_failure="no answer"))
    assert found == {"VIP_NO_HOLDER": Severity.CRITICAL, "LB_NODE_UNREACHABLE": Severity.WARNING}


def test_a_node_that_cannot_be_asked_may_hold_it_too() -> None:
    findings = judge_vip(Fleet(), seen(node(1), node(2), node(3, failure="Permission denied (publickey)")))
    assert [(f.code, f.object) for f in findings] == [("LB_NODE_NOT_ASKED", "host/node3")]
    assert verdict(findings, ()) is Status.UNKNOWN


def test_it_answers_but_only_an_unasked_node_can_hold_it() -> None:
    found = codes(seen(node(1, failure="Permission denied"), node(2), node(3)))
    assert found == {"VIP_HOLDER_UNKNOWN": Severity.UNKNOWN, "LB_NODE_NOT_ASKED": Severity.UNKNOWN}


def test_an_inventory_without_balancers_is_not_ok() -> None:
    assert codes(seen()) == {"VIP_HOLDER_UNKNOWN": Severity.UNKNOWN}


def test_nobody_can_be_asked_and_nothing_answers() -> None:
    found = codes(seen(dead(1), dead(2), dead(3), vip_failure="no answer", neighbour_mac=""))
    assert found == {"VIP_UNREACHABLE": Severity.CRITICAL, "LB_NODE_UNREACHABLE": Severity.WARNING}


def test_nobody_can_be_asked_and_it_answers() -> None:
    findings = judge_vip(Fleet(), seen(dead(1), dead(2), dead(3), neighbour_mac=""))
    assert {f.code for f in findings} == {"VIP_HOLDER_UNKNOWN", "LB_NODE_UNREACHABLE"}
    assert verdict(findings, ()) is Status.UNKNOWN


def test_held_but_not_answering() -> None:
    found = codes(seen(node(1, nginx_failure="connection refused"), node(2), node(3), vip_failure="connection refused"))
    assert found == {"VIP_UNREACHABLE": Severity.CRITICAL, "VIP_NGINX_DOWN": Severity.CRITICAL}


@pytest.mark.parametrize(("silent", "severity"), [("", Severity.WARNING), ("no answer", Severity.CRITICAL)])
def test_a_stale_neighbour_entry_is_told(silent: str, severity: Severity) -> None:
    found = codes(seen(node(1), node(2), node(3), neighbour_mac="02:00:00:00:00:03", vip_failure=silent))
    assert found["VIP_HOLDER_MISMATCH"] is severity


def test_the_answers_own_word_counts_more_than_the_neighbour_table() -> None:
    assert codes(seen(node(1), node(2), node(3), answered_by="node1", neighbour_mac="02:00:00:00:00:03")) == {}
    found = codes(seen(node(1), node(2), node(3), answered_by="node2", neighbour_mac=""))
    assert found == {"VIP_HOLDER_MISMATCH": Severity.WARNING}


def test_a_backup_without_nginx_or_keepalived_cannot_take_over() -> None:
    found = codes(seen(node(1), node(2, nginx_failure="connection refused"), node(3, keepalived="failed")))
    assert found == {"VIP_NGINX_DOWN": Severity.WARNING, "VIP_KEEPALIVED_DOWN": Severity.WARNING}


def test_a_holder_without_keepalived_keeps_the_address_for_ever() -> None:
    assert codes(seen(node(1, keepalived="inactive"), node(2), node(3))) == {"VIP_KEEPALIVED_DOWN": Severity.CRITICAL}


def test_the_data_name_holder_and_who_answers() -> None:
    data = describe_vip(Fleet(), seen(node(1), node(2), dead(3)))
    assert data["vip"] == {
        "address": VIP,
        "holder": "node1",
        "holders": ["node1"],
        "answers": True,
        "answered_by": "node1",
    }
    assert data["nodes"][2]["holds_vip"] is None
