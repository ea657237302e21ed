"""Exactly one node holds the virtual address, it is the one that answers, and another could take over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.checks.web_refusal import refused
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

_ACTIVE = "active"
#: A probe's text (:mod:`obsctl.checks.ask.failure`) for an accepted connection without an answer.
_TIMED_OUT = "no answer in time"


def judge_vip(fleet: Fleet, seen: VipSnapshot) -> list[Finding]:
    """Return the findings about the virtual address.

    A node that answers neither over ssh nor on its port 80 counts as dead: redundancy is lost. A node whose nginx
    answers but that cannot be asked over ssh may hold the address as well, so the result is then unknown. The rightful
    holder is the node whose keepalived runs and says that it is MASTER.
    """
    if not seen.vip:
        return []
    asked = [node for node in seen.nodes if not node.failure]
    holders = [node for node in asked if node.holds_vip]
    return [
        *_holders(seen, asked, holders),
        *_answering(seen, asked, holders),
        *_refused(fleet, seen, holders),
        *_moved(seen, holders),
        *_services(asked, holders),
        *_unreachable(fleet, seen),
    ]


def _holders(seen: VipSnapshot, asked: Sequence[LbNode], holders: Sequence[LbNode]) -> Iterator[Finding]:
    if not seen.nodes:
        yield Finding(
            code="VIP_HOLDER_UNKNOWN",
            severity=Severity.UNKNOWN,
            object=f"vip/{seen.vip}",
            summary="the inventory names no balancer host that could be asked",
            hint="put the balancers into the inventory's group lb",
        )
    elif len(holders) > 1:
        yield _split_brain(seen, holders)
    elif not holders and asked and (len(asked) == len(seen.nodes) or seen.vip_failure):
        yield _no_holder(seen, asked)
    elif not holders and not seen.vip_failure:
        names = [node.name for node in asked]
        yield Finding(
            code="VIP_HOLDER_UNKNOWN",
            severity=Severity.UNKNOWN,
            object=f"vip/{seen.vip}",
            summary=f"it answers, but {', '.join(names)} did not hold it when obsctl asked: another balancer does, or "
            "it was just moving to one of them"
            if names
            else "it answers, but no balancer could be asked over ssh whether it holds it",
            evidence={"asked": names},
            hint="run `obsctl verify vip` again; if it says the same, make ssh to the hosts of the other findings work",
        )
    if len(holders) == 1 and holders[0].added_by_hand:
        yield _by_hand(seen, holders[0], asked)


def _split_brain(seen: VipSnapshot, holders: Sequence[LbNode]) -> Finding:
    """Return the finding about several holders: why the wrong ones hold the address, and how to end that."""
    left_behind = [node for node in holders if node.keepalived != _ACTIVE]
    hanging = [node for node in holders if node.keepalived == _ACTIVE and node.keepalived_hangs]
    by_hand = [node for node in holders if node.keepalived == _ACTIVE and node.added_by_hand]
    rightful = [node for node in holders if node not in (*left_behind, *hanging, *by_hand)]
    why = [f"keepalived does not run on {node.name}, the address was left behind there" for node in left_behind]
    why += [
        f"keepalived hangs on {node.name} ({node.keepalived_hangs}): it does not give the address up"
        for node in hanging
    ]
    why += [f"keepalived is {node.vrrp} on {node.name}: the address was added there by hand" for node in by_hand]
    commands = [f"on {node.name}: {_removal(seen, node)} && systemctl start keepalived" for node in left_behind]
    commands += [f"on {node.name}: systemctl restart keepalived" for node in hanging]
    commands += [f"on {node.name}: {_removal(seen, node)}" for node in by_hand]
    first = max(rightful, key=lambda node: node.priority or 0, default=None)
    if len(rightful) > 1 and first is not None:
        others = ", ".join(node.name for node in rightful if node is not first)
        if all(node.vrrp == "MASTER" for node in rightful):
            why.append(
                f"keepalived is MASTER on {', '.join(node.name for node in rightful)}: they do not hear each other"
            )
        else:
            why.append("VRRP does not get through between them, or somebody added the address by hand")
        commands.append(
            f"let IP protocol 112 through between them (firewalls, unicast_peer); until then on {others}: "
            f"systemctl stop keepalived (and {_removal(seen, next(n for n in rightful if n is not first))} if the "
            "address stays)"
        )
    if first is not None and any(node.vrrp == "MASTER" for node in rightful):
        rank = f" (priority {first.priority})" if first.priority is not None else ""
        why.append(f"{first.name}{rank} should keep it")
    return Finding(
        code="VIP_SPLIT_BRAIN",
        severity=Severity.CRITICAL,
        object=f"vip/{seen.vip}",
        summary="; ".join([f"{len(holders)} nodes hold it at once: {', '.join(node.name for node in holders)}", *why]),
        evidence={
            "holders": [node.name for node in holders],
            "left_behind": [node.name for node in left_behind],
            "hanging": [node.name for node in hanging],
            "by_hand": [node.name for node in by_hand],
            "rightful": first.name if first is not None else None,
            "vrrp": {node.name: node.vrrp for node in holders},
            "neighbour_mac": seen.neighbour_mac,
        },
        hint="; ".join(commands),
    )


def _removal(seen: VipSnapshot, node: LbNode) -> str:
    """Return the command that removes the address from a node."""
    places = [node.vip_on or f"{seen.vip} (with its prefix and device)", *node.also_on]
    return " && ".join(f"ip addr del {place}" for place in places)


def _by_hand(seen: VipSnapshot, holder: LbNode, asked: Sequence[LbNode]) -> Finding:
    masters = [node.name for node in asked if node.vrrp == "MASTER" and not node.holds_vip]
    instead = f", and is MASTER on {', '.join(masters)}, where the address was removed" if masters else ""
    restart = f"; on {masters[0]}: systemctl restart keepalived" if masters else ""
    return Finding(
        code="VIP_BY_HAND",
        severity=Severity.WARNING,
        object=f"host/{holder.name}",
        summary=f"it holds the VIP although keepalived is {holder.vrrp} there{instead}: somebody added it by hand, and "
        "no failover takes it away",
        evidence={"vrrp": holder.vrrp, "on": [holder.vip_on, *holder.also_on], "masters": masters},
        hint=f"on {holder.name}: {_removal(seen, holder)}{restart}",
    )


def _no_holder(seen: VipSnapshot, asked: Sequence[LbNode]) -> Finding:
    masters = [node for node in asked if node.vrrp == "MASTER" and node.keepalived == _ACTIVE]
    names = ", ".join(node.name for node in asked)
    summary = f"none of the {len(asked)} balancers that answered holds it"
    hint = f"on {names}: journalctl -u keepalived -n 30; systemctl status nginx"
    if not seen.vip_failure:
        by = f" ({seen.answered_by} by its header)" if seen.answered_by else ""
        summary += (
            f", and yet something answers on it{by}: a failover in progress, or another machine with this address"
        )
        hint = f"look again in 3 s: obsctl verify vip; if it stays, here: ip neigh show to {seen.vip} shows the machine"
    elif masters:
        which = ", ".join(node.name for node in masters)
        summary += f"; keepalived is MASTER on {which}, so the address was removed there by hand"
        hint = f"on {masters[0].name}: systemctl restart keepalived"
    elif seen.watched_s:
        summary += f", for {seen.watched_s:.0f} s now: longer than a failover takes"
    else:
        hint = f"a failover takes about three seconds: obsctl verify vip --watch 2 --until ok waits for its end; {hint}"
    return Finding(
        code="VIP_NO_HOLDER",
        severity=Severity.CRITICAL,
        object=f"vip/{seen.vip}",
        summary=summary,
        evidence={
            "asked": [node.name for node in asked],
            "keepalived": {node.name: node.keepalived for node in asked},
            "vrrp": {node.name: node.vrrp for node in asked},
            "watched_s": seen.watched_s,
        },
        hint=hint,
    )


def _moved(seen: VipSnapshot, holders: Sequence[LbNode]) -> Iterator[Finding]:
    """Yield a finding that the address moved between the first look and this one, or was on no node for a while."""
    before = seen.first_holders
    if before is None or len(holders) != 1 or before == (holders[0].name,):
        return
    after = holders[0].name
    from_ = f"it moved from {', '.join(before)} to {after}" if before else f"no node held it, then {after} took it"
    yield Finding(
        code="VIP_MOVED",
        severity=Severity.INFO,
        object=f"vip/{seen.vip}",
        summary=f"{from_} while obsctl looked ({seen.watched_s:.1f} s): a failover has just ended",
        evidence={"before": list(before), "after": after, "watched_s": seen.watched_s},
        hint=f"on {after}: journalctl -u keepalived -n 30 says when and why",
    )


def _answering(seen: VipSnapshot, asked: Sequence[LbNode], holders: Sequence[LbNode]) -> Iterator[Finding]:
    if seen.vip_failure and (holders or not asked):
        yield Finding(
            code="VIP_UNREACHABLE",
            severity=Severity.CRITICAL,
            object=f"vip/{seen.vip}",
            summary=f"nothing answers on port {seen.port} from here: {seen.vip_failure}",
            evidence={"holders": [node.name for node in holders], "reason": seen.vip_failure},
            hint=(f"on {holders[0].name}: {_nginx_commands(holders[0])}; " if holders else "")
            + f"here: ip neigh show to {seen.vip} shows which machine gets the packets",
        )
    receiver = receiver_of(seen)
    # A holder whose nginx has failed is about to lose the address: if packets reach another node, a failover is in
    # progress.
    failing_over = bool(seen.vip_failure) and any(node.nginx_failure for node in holders)
    if receiver is not None and holders and receiver not in holders and not failing_over:
        yield Finding(
            code="VIP_HOLDER_MISMATCH",
            severity=Severity.CRITICAL if seen.vip_failure else Severity.WARNING,
            object=f"vip/{seen.vip}",
            summary=f"{holders[0].name} holds it, but packets from here reach {receiver.name}",
            evidence={"holder": holders[0].name, "reached": receiver.name, "neighbour_mac": seen.neighbour_mac},
            hint="this machine keeps a stale neighbour entry, because the new holder's gratuitous ARP was lost: "
            f"ip neigh flush to {seen.vip}",
        )


def _refused(fleet: Fleet, seen: VipSnapshot, holders: Sequence[LbNode]) -> Iterator[Finding]:
    """Yield findings about balancers that answer but whose TLS we refuse: clients of the fleet refuse them, too."""
    for node in seen.nodes:
        if node.refusal is not None:
            yield refused(
                fleet,
                node.refusal,
                about=f"host/{node.name}",
                address=node.address,
                port=seen.port,
                severity=Severity.CRITICAL if node in holders else Severity.WARNING,
            )
    # The holder's own finding covers this already.
    if seen.refusal is not None and not any(
        node.refusal is not None and node.refusal.kind == seen.refusal.kind for node in holders
    ):
        yield refused(
            fleet,
            seen.refusal,
            about=f"vip/{seen.vip}",
            address=seen.vip,
            port=seen.port,
            severity=Severity.CRITICAL,
        )


def _services(asked: Sequence[LbNode], holders: Sequence[LbNode]) -> Iterator[Finding]:
    for node in asked:
        if node.nginx_failure:
            hangs = " and hangs: its processes are stopped" if node.nginx_hangs else ""
            yield _service_down(
                "VIP_NGINX_DOWN",
                node,
                f"nginx does not answer there ({node.nginx_failure}){hangs}",
                while_holding=" and the node holds the VIP" if node in holders else "",
                evidence={"reason": node.nginx_failure, "hangs": node.nginx_hangs},
                commands=_nginx_commands(node),
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
        elif node.keepalived_hangs and not (node in holders and len(holders) > 1):
            # If it holds the address besides another node, that is the finding.
            yield _service_down(
                "VIP_KEEPALIVED_DOWN",
                node,
                f"keepalived hangs ({node.keepalived_hangs}), although systemd calls it active",
                while_holding=": the address stays there even if nginx fails" if node in holders else "",
                evidence={"unit": node.keepalived, "hangs": node.keepalived_hangs},
                commands="systemctl restart keepalived",
            )


def _nginx_commands(node: LbNode) -> str:
    """Return the commands for an nginx that does not answer: systemd does not notice that nginx hangs."""
    if node.nginx_hangs:
        return "systemctl restart nginx"
    if node.nginx_failure == _TIMED_OUT:
        return "tail /var/log/nginx/error.log; if it hangs: systemctl restart nginx"
    return "systemctl status nginx; nginx -t"


def _service_down(
    code: str, node: LbNode, what: str, *, while_holding: str, evidence: dict[str, Any], commands: str
) -> Finding:
    """Return the finding about a service that does not work on a balancer: critical on the holder of the VIP.

    Args:
        code: of the finding.
        node: the balancer.
        what: which service does not work, and the evidence for it.
        while_holding: what this means on the holder; empty on another balancer.
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
            hint=node.hint or (fleet.login_hint(host) if host else ""),
        )


def receiver_of(seen: VipSnapshot) -> LbNode | None:
    """Return the node that receives packets for the VIP from here, if known.

    First by the name in the answer's header, then by the neighbour table, which is useless behind a router.
    """
    if seen.answered_by:
        return next((node for node in seen.nodes if node.name == seen.answered_by), None)
    if not seen.neighbour_mac:
        return None
    return next((node for node in seen.nodes if seen.neighbour_mac in node.macs), None)


def describe_vip(_fleet: Fleet, seen: VipSnapshot) -> dict[str, Any]:
    """Return the report's data: the holder, who answers, and a row for each node."""
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
                "keepalived": None if node.failure else _keepalived(node),
                "vrrp": node.vrrp or None,
                "nginx": _nginx(node),
                "priority": node.priority,
                "failure": node.failure or node.nginx_failure or None,
            }
            for node in seen.nodes
        ],
    }


def _keepalived(node: LbNode) -> str:
    """Return the state of a node's keepalived in one word."""
    if node.keepalived == _ACTIVE and node.keepalived_hangs:
        return "frozen"
    return node.keepalived or "absent"


def _nginx(node: LbNode) -> str:
    if node.nginx_hangs:
        return "frozen"
    return "down" if node.nginx_failure else "up"
