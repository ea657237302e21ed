"""Finds who holds the virtual address: asks every node over ssh, and the address itself from here.

A failover takes about three seconds, and a sample in the middle of it shows no holder, or two. So an unstable state is
sampled again before it is judged.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import msgspec

from obsctl.checks.ask import ssh
from obsctl.checks.ask.by_deadline import ask_until
from obsctl.checks.ask.http import HEALTH_PATH, refusal_of, words
from obsctl.checks.ask.web import Scheme, Web, web
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.checks.web_refusal import Refusal
from obsctl.core.errors import MissingDependencyError
from obsctl.core.report import Fault
from obsctl.fleet import passwords
from obsctl.fleet.model import Fleet, Host, Vip

#: Time limit for each node over ssh, seconds.
SSH_DEADLINE_S = 4.0
#: Time limit for an answer of nginx, seconds: more than the second that it allows for connecting to a dead back end.
#: An nginx that does not know the path below asks a back end.
HTTP_DEADLINE_S = 1.5
_LOCAL_DEADLINE_S = 1.0
#: How long an unstable state is sampled again, seconds since the first look: a failover ends within this time. It
#: takes three seconds after a host's failure, and five after nginx's, because keepalived's check has to fail twice.
PATIENCE_S = 6.0
_AGAIN_AFTER_S = 0.5
#: How often it is sampled if two nodes hold the address, which in a failover lasts for a moment at most.
_LOOKS_AT_TWO = 3
_MARK = "--- keepalived, nginx"
# The queue of keepalived's raw socket for VRRP (IP protocol 112, 0x70) is nearly always empty: if packets stay in it,
# keepalived no longer reads them. Old iproute2 (EL 7) writes no JSON.
_UNREAD = """awk '$2 ~ /:0070$/ {split($5, queue, ":"); print queue[2]}' /proc/net/raw | sort | tail -n 1"""
_QUESTION = (
    "PATH=$PATH:/usr/sbin:/sbin; export LC_ALL=C; "
    f"unread=$({_UNREAD}); "
    "{ ip -j addr show 2>/dev/null || { ip -o addr show && ip -o link show; }; } && "
    f"echo '{_MARK}' && systemctl is-active keepalived nginx; "
    # Unknown values print nothing.
    "say() { [ $# -lt $least ] || echo $*; }; "
    "for unit in keepalived nginx; do main=$(systemctl show -p MainPID $unit | sed 's/.*=//'); "
    "least=3; say processes $unit $(ps -o stat= --pid $main --ppid $main 2>/dev/null); done; "
    "least=2; say vrrp $(timeout 1 journalctl -u keepalived -o cat --no-pager -r -n 20000 2>/dev/null "
    "| grep -m 1 -o '(vip) Entering [A-Z]* STATE'); "
    f"sleep 0.2; least=3; say unread $unread $({_UNREAD})"
)
_entered = re.compile(r"Entering ([A-Z]+) STATE").search
_plain_address = re.compile(r"^\d+:\s+([^\s@]+)\S*\s+inet6?\s+([0-9a-fA-F.:]+)(?:\s+peer\s+\S*?)?(?:/(\d+))?\s").match
_plain_mac = re.compile(r"link/ether ([0-9a-fA-F:]{17})").search


@dataclass
class _Sighting:
    """What the threads find out about one node; until then it counts as silent."""

    ssh: ssh.Answer
    nginx_failure: str = f"no answer within {HTTP_DEADLINE_S:g} s"
    balancer: str = ""
    refusal: Refusal | None = None


def collect_vip(fleet: Fleet, *, scheme: Scheme = "") -> VipSnapshot:
    """Ask all nodes of the group lb and the VIP at the same time, repeatedly while a failover may be in progress.

    Args:
        scheme: how nginx is asked; empty for as the inventory says.

    Raises:
        MissingDependencyError: there is no ssh client.
        ConfigError: nginx does not answer that way, or the trusted certificates cannot be read.
    """
    if fleet.vip is None:
        fault = Fault(code="VIP_NOT_CONFIGURED", object="vip", summary="the inventory names no VIP (fleet_vip)")
        return VipSnapshot(vip="", errors=(fault,))
    asked_by = web(fleet.vip, scheme, to_back_ends=False)
    began = time.monotonic()
    first = seen = _look(fleet.vip, asked_by, fleet.group("lb"))
    looks = 1
    while _may_change(seen, looks) and time.monotonic() - began < PATIENCE_S:
        time.sleep(_AGAIN_AFTER_S)
        # A node that did not answer would take its whole time limit once more.
        asked = {node.name for node in first.nodes if not node.failure}
        again = _look(fleet.vip, asked_by, [host for host in fleet.group("lb") if host.name in asked])
        by_name = {node.name: node for node in again.nodes}
        seen = msgspec.structs.replace(
            again,
            nodes=tuple(by_name.get(node.name, node) for node in first.nodes),
            first_holders=_holders(first),
            watched_s=round(time.monotonic() - began, 1),
        )
        looks += 1
    return seen


def _holders(seen: VipSnapshot) -> tuple[str, ...]:
    return tuple(node.name for node in seen.nodes if not node.failure and node.holds_vip)


def _may_change(seen: VipSnapshot, looks: int) -> bool:
    """Return whether a further look may show another state: some keepalived works, and the state is not healthy."""
    alive = any(node.keepalived == "active" and not node.keepalived_hangs for node in seen.nodes if not node.failure)
    holders = _holders(seen)
    if not alive or (len(holders) > 1 and looks >= _LOOKS_AT_TWO):
        return False
    if len(holders) != 1:
        # A node that cannot be asked may hold the address, now and at the next look.
        return bool(holders or seen.vip_failure or not any(node.failure for node in seen.nodes))
    by_name = seen.answered_by in {"", *holders}
    return bool(seen.vip_failure) or not by_name


def _look(wanted: Vip, asked_by: Web, nodes: Sequence[Host]) -> VipSnapshot:
    vip = wanted.address
    sightings = [_Sighting(ssh.silent(node, SSH_DEADLINE_S)) for node in nodes]
    through_vip = _Sighting(ssh.Answer())
    missing: list[MissingDependencyError] = []
    header = wanted.balancer_header
    questions = [partial(_probe, vip, asked_by, header, through_vip)]
    for node, sighting in zip(nodes, sightings, strict=True):
        questions.append(partial(_ask, node, sighting, missing))
        if not wanted.exclusive:
            questions.append(partial(_probe, node.address, asked_by, header, sighting))
    passwords.prepare(nodes)
    ask_until(time.monotonic() + SSH_DEADLINE_S + 1, questions)
    if missing:
        raise missing[0]
    return VipSnapshot(
        vip=vip,
        port=asked_by.port,
        nodes=tuple(_node(node, sighting, wanted) for node, sighting in zip(nodes, sightings, strict=True)),
        vip_failure=through_vip.nginx_failure,
        refusal=through_vip.refusal,
        answered_by=through_vip.balancer,
        neighbour_mac=_neighbour(vip),
    )


def _ask(node: Host, sighting: _Sighting, missing: list[MissingDependencyError]) -> None:
    try:
        sighting.ssh = ssh.run(node, _QUESTION, deadline_s=SSH_DEADLINE_S)
    except MissingDependencyError as error:
        missing.append(error)


def _probe(address: str, asked_by: Web, header: str, sighting: _Sighting) -> None:
    try:
        # Any status counts as an answer: an nginx that does not know the path yet asks a back end, which other checks
        # judge.
        answer = asked_by.get(address, HEALTH_PATH, deadline_s=HTTP_DEADLINE_S)
    except (OSError, http.client.HTTPException) as error:
        sighting.refusal = refusal_of(error)
        # A balancer whose certificate we refuse does answer: it is not silent.
        sighting.nginx_failure = "" if sighting.refusal is not None else words(error)
    else:
        sighting.nginx_failure = ""
        sighting.balancer = (answer.getheader(header) or "").strip() if header else ""


def _node(node: Host, sighting: _Sighting, vip: Vip) -> LbNode:
    answer = sighting.ssh
    addresses, _, rest = answer.output.partition(_MARK)
    keepalived, nginx, *said = (*rest.strip().splitlines(), "", "")
    facts = _facts(said)
    interfaces = read_interfaces(addresses)
    failure = answer.failure
    if not failure and not interfaces:
        failure = "its answer to `ip addr` cannot be read"
    carried = [
        f"{vip.address}/{prefix} dev {interface.name}"
        for interface in interfaces
        for address, prefix in interface.addresses
        if address == vip.address
    ]
    nginx_hangs = nginx.strip() == "active" and _stopped(facts["processes nginx"])
    return LbNode(
        name=node.name,
        address=node.address,
        priority=node.keepalived.priority if node.keepalived else None,
        failure=failure,
        failure_kind=answer.kind,
        hint=answer.hint,
        holds_vip=bool(carried),
        vip_on=carried[0] if carried else "",
        also_on=tuple(carried[1:]),
        keepalived=keepalived.strip(),
        keepalived_hangs=_hangs(facts) if keepalived.strip() == "active" else "",
        vrrp=entered[1] if (entered := _entered(facts["vrrp"])) else "",
        macs=tuple(sorted({interface.mac for interface in interfaces if interface.mac})),
        nginx_failure=_unit_failure(nginx.strip(), hangs=nginx_hangs) if vip.exclusive else sighting.nginx_failure,
        nginx_hangs=nginx_hangs,
        refusal=sighting.refusal,
    )


def _facts(lines: Sequence[str]) -> defaultdict[str, str]:
    """Return the values that the script prints after the units' states, by their names; missing ones are left out."""
    facts: defaultdict[str, str] = defaultdict(str)
    for line in lines:
        for name in ("processes keepalived", "processes nginx", "vrrp", "unread"):
            if line == name or line.startswith(f"{name} "):
                facts[name] = line[len(name) :].strip()
    return facts


def _stopped(states: str) -> bool:
    """Return whether one of the processes is stopped, by its state in ``ps``."""
    return any(state.upper().startswith("T") for state in states.split())


def _hangs(facts: Mapping[str, str]) -> str:
    """Return the evidence that keepalived hangs; empty if it does not."""
    if _stopped(facts["processes keepalived"]):
        return "its processes are stopped"
    queues = facts["unread"].split()
    if len(queues) == 2 and all(set(queue) - {"0"} for queue in queues):
        return "it does not read what the others send"
    return ""


class Interface(NamedTuple):
    """A network interface, its hardware address if it has one, and its addresses with the lengths of their prefixes."""

    name: str
    mac: str
    addresses: list[tuple[str, str]]


def read_interfaces(text: str) -> list[Interface]:
    """Return the interfaces of a host.

    Args:
        text: of ``ip -j addr show``, or of ``ip -o addr show`` and ``ip -o link show`` if ``ip`` has no JSON.
    """
    if text.lstrip().startswith("["):
        return [
            Interface(
                str(nic.get("ifname")),
                str(nic.get("address", "")).lower() if nic.get("link_type") == "ether" else "",
                [(str(info.get("local")), str(info.get("prefixlen"))) for info in nic.get("addr_info", [])],
            )
            for nic in _json(text)
        ]
    found: dict[str, Interface] = {}
    for line in text.splitlines():
        if match := _plain_address(line):
            name, address, prefix = match.groups()
            found.setdefault(name, Interface(name, "", [])).addresses.append((address, prefix or "32"))
        elif (mac := _plain_mac(line)) and (name := line.split(":")[1].strip().partition("@")[0]):
            found[name] = found.get(name, Interface(name, "", []))._replace(mac=mac[1].lower())
    return list(found.values())


def _unit_failure(nginx: str, *, hangs: bool) -> str:
    """Return why the node's nginx cannot take over, by its unit's state, if nginx listens only on the VIP."""
    if hangs:
        return "its processes are stopped"
    return "" if nginx == "active" else f"its unit is {nginx or 'unknown'}"


def _neighbour(address: str) -> str:
    """Return the address's hardware address in this machine's neighbour table, or an empty string."""
    try:
        done = subprocess.run(
            ["ip", "neigh", "show", "to", address],
            capture_output=True,
            text=True,
            timeout=_LOCAL_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\blladdr ([0-9a-fA-F:]{17})", done.stdout)
    return found[1].lower() if found else ""


def _json(text: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(text)
    except ValueError:
        return []
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
