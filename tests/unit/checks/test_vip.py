"""The VIP's verdict: one holder, who answers, and whether another could take over."""

from __future__ import annotations

import msgspec
import pytest

from obsctl.checks.vip.judge import describe_vip, judge_vip
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.core.report import Finding, Severity, Status, verdict
from obsctl.fleet.model import Fleet, Host, Ssh

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


def test_an_address_that_a_dead_keepalived_left_behind_is_named_with_its_removal() -> None:
    left = node(1, keepalived="failed", vip_on=f"{VIP}/24 dev eth0")
    (finding,) = (f for f in judge_vip(Fleet(), seen(left, node(2, holds_vip=True), node(3))) if "SPLIT" in f.code)
    assert "keepalived does not run on node1, the address was left behind there" in finding.summary
    assert finding.hint == f"on node1: ip addr del {VIP}/24 dev eth0 && systemctl start keepalived"
    assert finding.evidence["left_behind"] == ["node1"]


def test_a_node_that_cannot_be_asked_is_tried_by_hand_as_this_program_asks_it() -> None:
    fleet = Fleet(hosts=(Host(name="node3", address="198.18.0.13", ssh=Ssh(user="ops", port=2222)),))
    (finding,) = judge_vip(fleet, seen(node(1), node(2), node(3, failure="Permission denied (publickey)")))
    assert finding.hint.endswith("`ssh -p 2222 ops@198.18.0.13 true`")


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


def split(*nodes: LbNode) -> Finding:
    (finding,) = (f for f in judge_vip(Fleet(), seen(*nodes)) if f.code == "VIP_SPLIT_BRAIN")
    return finding


def test_a_frozen_keepalived_is_told_from_a_cut() -> None:
    frozen = node(1, vrrp="MASTER", keepalived_hangs="its processes are stopped")
    snapshot = seen(frozen, node(2, holds_vip=True, vrrp="MASTER"), node(3, vrrp="BACKUP"))
    (finding,) = judge_vip(Fleet(), snapshot)
    assert (finding.code, finding.severity) == ("VIP_SPLIT_BRAIN", Severity.CRITICAL)
    assert "keepalived hangs on node1 (its processes are stopped)" in finding.summary
    assert "node2 (priority 108) should keep it" in finding.summary
    assert finding.hint == "on node1: systemctl restart keepalived"
    assert (finding.evidence["hanging"], finding.evidence["rightful"]) == (["node1"], "node2")
    rows = describe_vip(Fleet(), snapshot)["nodes"]
    assert [(row["keepalived"], row["vrrp"]) for row in rows] == [
        ("frozen", "MASTER"), ("active", "MASTER"), ("active", "BACKUP"),
    ]  # fmt: skip


@pytest.mark.parametrize("vrrp", ["BACKUP", "FAULT"])
def test_an_address_added_by_hand_is_told_with_its_removal(vrrp: str) -> None:
    by_hand = node(2, holds_vip=True, vrrp=vrrp, vip_on=f"{VIP}/32 dev eth0", also_on=(f"{VIP}/32 dev lo",))
    finding = split(node(1, vrrp="MASTER"), by_hand, node(3, vrrp="BACKUP"))
    assert f"keepalived is {vrrp} on node2: the address was added there by hand" in finding.summary
    assert "node1 (priority 109) should keep it" in finding.summary
    assert finding.hint == f"on node2: ip addr del {VIP}/32 dev eth0 && ip addr del {VIP}/32 dev lo"
    assert "systemctl" not in finding.hint


def test_two_masters_are_a_cut_and_the_priority_says_who_keeps_the_address() -> None:
    low = node(2, holds_vip=True, vrrp="MASTER", vip_on=f"{VIP}/24 dev eth0")
    finding = split(low, node(1, vrrp="MASTER"), node(3, vrrp="BACKUP"))
    assert "keepalived is MASTER on node2, node1: they do not hear each other" in finding.summary
    assert finding.summary.endswith("node1 (priority 109) should keep it")
    assert "IP protocol 112" in finding.hint
    assert "until then on node2: systemctl stop keepalived" in finding.hint


def test_holders_whose_state_is_not_known_may_be_either() -> None:
    finding = split(node(1), node(2, holds_vip=True), node(3))
    assert "VRRP does not get through between them, or somebody added the address by hand" in finding.summary
    assert finding.evidence["rightful"] == "node1"


def test_each_of_three_holders_has_its_own_reason() -> None:
    left = node(1, keepalived="failed", vrrp="MASTER", vip_on=f"{VIP}/24 dev eth0")
    hand = node(2, holds_vip=True, vrrp="BACKUP", vip_on=f"{VIP}/32 dev eth0")
    finding = split(left, hand, node(3, holds_vip=True, vrrp="MASTER"))
    assert (finding.evidence["left_behind"], finding.evidence["by_hand"]) == (["node1"], ["node2"])
    assert "node3 (priority 107) should keep it" in finding.summary


@pytest.mark.parametrize(("holds", "severity"), [(True, Severity.CRITICAL), (False, Severity.WARNING)])
def test_a_frozen_keepalived_alone_is_down_whatever_systemd_says(holds: bool, severity: Severity) -> None:
    frozen = node(2, holds_vip=holds, vrrp="", keepalived_hangs="it does not read what the others send")
    (finding,) = judge_vip(Fleet(), seen(node(1, holds_vip=not holds), frozen, node(3), neighbour_mac=""))
    assert (finding.code, finding.severity, finding.object) == ("VIP_KEEPALIVED_DOWN", severity, "host/node2")
    assert "systemctl status" not in finding.hint


def test_a_frozen_nginx_is_restarted_not_asked_for_its_status() -> None:
    frozen = node(1, nginx_failure="no answer in time", nginx_hangs=True)
    findings = judge_vip(Fleet(), seen(frozen, node(2), node(3), vip_failure="no answer in time"))
    assert {f.code for f in findings} == {"VIP_UNREACHABLE", "VIP_NGINX_DOWN"}
    assert all("systemctl restart nginx" in f.hint and "systemctl status" not in f.hint for f in findings)
    assert describe_vip(Fleet(), seen(frozen))["nodes"][0]["nginx"] == "frozen"
    (slow,) = judge_vip(Fleet(), seen(node(1), node(2, nginx_failure="no answer in time"), node(3)))
    assert "systemctl status" not in slow.hint


def test_a_holder_that_is_about_to_lose_the_address_is_no_stale_entry() -> None:
    """Seen in the lab: nginx frozen on the holder, and another node took the address in the middle of the look."""
    frozen = node(1, nginx_failure="no answer in time", nginx_hangs=True)
    late = seen(frozen, node(2), node(3), vip_failure="no answer in time", neighbour_mac="02:00:00:00:00:02")
    assert codes(late) == {"VIP_UNREACHABLE": Severity.CRITICAL, "VIP_NGINX_DOWN": Severity.CRITICAL}


def test_the_only_holder_by_hand_is_a_finding_of_its_own() -> None:
    by_hand = node(2, holds_vip=True, vrrp="BACKUP", vip_on=f"{VIP}/24 dev eth0")
    taken = node(1, holds_vip=False, vrrp="MASTER")
    (finding,) = judge_vip(Fleet(), seen(taken, by_hand, node(3), neighbour_mac=""))
    assert (finding.code, finding.severity, finding.object) == ("VIP_BY_HAND", Severity.WARNING, "host/node2")
    assert "is MASTER on node1, where the address was removed" in finding.summary
    assert finding.hint == f"on node2: ip addr del {VIP}/24 dev eth0; on node1: systemctl restart keepalived"


def test_a_move_while_looking_is_said_and_is_no_fault() -> None:
    moved = seen(node(1, holds_vip=False), node(2, holds_vip=True), node(3), neighbour_mac="", watched_s=2.1)
    for before, words in ((("node1",), "it moved from node1 to node2"), ((), "no node held it, then node2 took it")):
        (finding,) = judge_vip(Fleet(), msgspec.structs.replace(moved, first_holders=before))
        assert (finding.code, finding.severity) == ("VIP_MOVED", Severity.INFO)
        assert finding.summary.startswith(words)
    assert judge_vip(Fleet(), msgspec.structs.replace(moved, first_holders=("node2",))) == []


def none_holds(**changes: object) -> Finding:
    nodes = [node(n, holds_vip=False, vrrp="BACKUP") for n in (1, 2, 3)]
    (finding,) = judge_vip(Fleet(), seen(*nodes, **{"neighbour_mac": "", **changes}))
    assert (finding.code, finding.severity) == ("VIP_NO_HOLDER", Severity.CRITICAL)
    return finding


def test_no_holder_and_yet_an_answer_is_said_so() -> None:
    finding = none_holds(answered_by="node2", watched_s=5.0, first_holders=())
    assert "yet something answers on it (node2 by its header)" in finding.summary
    assert "look again in 3 s" in finding.hint


def test_no_holder_for_longer_than_a_failover_says_how_long() -> None:
    finding = none_holds(vip_failure="no route to host", watched_s=5.2, first_holders=())
    assert "for 5 s now: longer than a failover takes" in finding.summary
    assert "--watch" not in finding.hint


def test_a_master_without_the_address_is_named() -> None:
    nodes = [node(1, holds_vip=False, vrrp="MASTER"), node(2, vrrp="BACKUP"), node(3, vrrp="BACKUP")]
    (finding,) = judge_vip(Fleet(), seen(*nodes, vip_failure="no route to host", neighbour_mac=""))
    assert "keepalived is MASTER on node1, so the address was removed there by hand" in finding.summary
    assert finding.hint == "on node1: systemctl restart keepalived"
