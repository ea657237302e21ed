"""Exactly one node holds the virtual address, it is the one that answers, and another could take over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

_ACTIVE = "active"


def judge_vip(fleet: Fleet, seen: VipSnapshot) -> list[Finding]:
    """Return what is wrong with the virtual address.

    A node that answers neither over ssh nor on its port 80 is taken for dead: redundancy is lost. One whose nginx
    answers and that cannot be asked may hold the address as well, so the answer is then unknown.
    """
    if not seen.vip:
        return []
    asked = [node for node in seen.nodes if not node.failure]
    holders = [node for node in asked if node.holds_vip]
    return [
        *_holders(seen, asked, holders),
        *_answering(seen, asked, holders),
        *_services(asked, holders),
        *_unreachable(fleet, seen),
    ]


def _holders(seen: VipSnapshot, asked: Sequence[LbNode], holders: Sequence[LbNode]) -> Iterator[Finding]:
    names = [node.name for node in holders]
    left_behind = [node for node in holders if node.keepalived != _ACTIVE]
    if not seen.nodes:
        yield Finding(
            code="VIP_HOLDER_UNKNOWN",
            severity=Severity.UNKNOWN,
            object=f"vip/{seen.vip}",
            summary="the inventory names no balancer host that could be asked",
            hint="put the balancers into the inventory's group lb",
        )
    elif len(holders) > 1:
        yield Finding(
            code="VIP_SPLIT_BRAIN",
            severity=Severity.CRITICAL,
            object=f"vip/{seen.vip}",
            summary=f"{len(holders)} nodes hold it at once: {', '.join(names)}"
            + "".join(f"; keepalived does not run on {n.name}, the address was left behind there" for n in left_behind),
            evidence={
                "holders": names,
                "left_behind": [node.name for node in left_behind],
                "neighbour_mac": seen.neighbour_mac,
            },
            hint="; ".join(
                f"on {node.name}: ip addr del {node.vip_on or f'{seen.vip} (with its prefix and device)'} && "
                "systemctl start keepalived"
                for node in left_behind
            )
            or "VRRP does not get through between them (IP protocol 112 in the firewalls, unicast_peer), or keepalived "
            "hangs on one (systemctl restart keepalived there); until then: systemctl stop keepalived on all but one",
        )
    elif not holders and asked and (len(asked) == len(seen.nodes) or seen.vip_failure):
        yield Finding(
            code="VIP_NO_HOLDER",
            severity=Severity.CRITICAL,
            object=f"vip/{seen.vip}",
            summary=f"none of the {len(asked)} balancers that answered holds it",
            evidence={"asked": [node.name for node in asked], "keepalived": {n.name: n.keepalived for n in asked}},
            hint="a failover takes about three seconds: obsctl verify vip --watch 2 --until ok waits for its end; if "
            f"it stays, on {', '.join(node.name for node in asked)}: journalctl -u keepalived -n 30; "
            "systemctl status nginx",
        )
    elif not holders and not seen.vip_failure:
        yield Finding(
            code="VIP_HOLDER_UNKNOWN",
            severity=Severity.UNKNOWN,
            object=f"vip/{seen.vip}",
            summary="it answers, but none of the balancers that could be asked holds it: one of the others must"
            if asked
            else "it answers, but no balancer could be asked over ssh whether it holds it",
            evidence={"asked": [node.name for node in asked]},
            hint="make ssh to the hosts named in the other findings work, then: obsctl verify vip",
        )


def _answering(seen: VipSnapshot, asked: Sequence[LbNode], holders: Sequence[LbNode]) -> Iterator[Finding]:
    if seen.vip_failure and (holders or not asked):
        yield Finding(
            code="VIP_UNREACHABLE",
            severity=Severity.CRITICAL,
            object=f"vip/{seen.vip}",
            summary=f"nothing answers on port {seen.port} from here: {seen.vip_failure}",
            evidence={"holders": [node.name for node in holders], "reason": seen.vip_failure},
            hint=(f"on {holders[0].name}: systemctl status nginx; " if holders else "")
            + f"here: ip neigh show to {seen.vip} shows which machine gets the packets",
        )
    receiver = receiver_of(seen)
    if receiver is not None and holders and receiver not in holders:
        yield Finding(
            code="VIP_HOLDER_MISMATCH",
            severity=Severity.CRITICAL if seen.vip_failure else Severity.WARNING,
            object=f"vip/{seen.vip}",
            summary=f"{holders[0].name} holds it, but packets from here reach {receiver.name}",
            evidence={"holder": holders[0].name, "reached": receiver.name, "neighbour_mac": seen.neighbour_mac},
            hint="this machine keeps a stale neighbour entry, because the new holder's gratuitous ARP was lost: "
            f"ip neigh flush to {seen.vip}",
        )


def _services(asked: Sequence[LbNode], holders: Sequence[LbNode]) -> Iterator[Finding]:
    for node in asked:
        if node.nginx_failure:
            yield _service_down(
                "VIP_NGINX_DOWN",
                node,
                f"nginx does not answer there ({node.nginx_failure})",
                while_holding=" and the node holds the VIP" if node in holders else "",
                evidence={"reason": node.nginx_failure},
                commands="systemctl status nginx; nginx -t",
            )
    for node in asked:
        if node.keepalived != _ACTIVE:
            yield _service_down(
                "VIP_KEEPALIVED_DOWN",
                node,
                f"keepalived is {node.keepalived or 'not installed'}",
                while_holding=": the address stays there even if nginx fails" if node in holders else "",
                evidence={"unit": node.keepalived},
                commands="systemctl status keepalived; journalctl -u keepalived -n 30",
            )


def _service_down(
    code: str, node: LbNode, what: str, *, while_holding: str, evidence: dict[str, Any], commands: str
) -> Finding:
    """Return the finding about a balancer without one of its services: critical on the one that holds the VIP.

    Args:
        code: of the finding.
        node: the balancer.
        what: which service does not work, and how that was seen.
        while_holding: what that means on the holder; empty on another balancer.
        evidence: what was seen.
        commands: what shows more, on the balancer.
    """
    return Finding(
        code=code,
        severity=Severity.CRITICAL if while_holding else Severity.WARNING,
        object=f"host/{node.name}",
        summary=what + (while_holding or ": it cannot take over"),
        evidence={"holds_vip": bool(while_holding), **evidence},
        hint=f"on {node.name}: {commands}",
    )


def _unreachable(fleet: Fleet, seen: VipSnapshot) -> Iterator[Finding]:
    for node in seen.nodes:
        if not node.failure:
            continue
        dead = bool(node.nginx_failure)
        host = fleet.host(node.name)
        yield Finding(
            code="LB_NODE_UNREACHABLE" if dead else "LB_NODE_NOT_ASKED",
            severity=Severity.WARNING if dead else Severity.UNKNOWN,
            object=f"host/{node.name}",
            summary=f"answers neither over ssh ({node.failure}) nor on port {seen.port}: it cannot take over"
            if dead
            else f"its nginx answers, but obsctl cannot ask over ssh whether it holds the VIP: {node.failure}",
            evidence={"ssh": node.failure, "nginx": node.nginx_failure},
            hint=f"ping {node.address}; if nothing answers, look at its console"
            if dead
            else (fleet.login_hint(host) if host else f"this must work without a question: ssh {node.address} true"),
        )


def receiver_of(seen: VipSnapshot) -> LbNode | None:
    """Return the node that gets what is sent to the VIP from here, if that can be known.

    The name in the answer's header comes first, then the neighbour table, which a router on the way makes useless.
    """
    if seen.answered_by:
        return next((node for node in seen.nodes if node.name == seen.answered_by), None)
    if not seen.neighbour_mac:
        return None
    return next((node for node in seen.nodes if seen.neighbour_mac in node.macs), None)


def describe_vip(_fleet: Fleet, seen: VipSnapshot) -> dict[str, Any]:
    """Return the report's data: the holder, who answers, and a row a node."""
    receiver = receiver_of(seen)
    holders = [node.name for node in seen.nodes if not node.failure and node.holds_vip]
    return {
        "metrics": {"holders": len(holders), "nodes": len(seen.nodes), "vip_answers": int(not seen.vip_failure)},
        "vip": {
            "address": seen.vip,
            "holder": holders[0] if len(holders) == 1 else None,
            "holders": holders,
            "answers": not seen.vip_failure,
            "answered_by": receiver.name if receiver else None,
        },
        "nodes": [
            {
                "node": node.name,
                "address": node.address,
                "holds_vip": None if node.failure else node.holds_vip,
                "keepalived": None if node.failure else node.keepalived or "absent",
                "nginx": "up" if not node.nginx_failure else "down",
                "priority": node.priority,
                "failure": node.failure or node.nginx_failure or None,
            }
            for node in seen.nodes
        ],
    }
