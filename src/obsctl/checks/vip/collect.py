"""Who holds the virtual address: every node is asked over ssh, and the address itself from here."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from dataclasses import dataclass
from typing import Any

from obsctl.checks.ask import ssh
from obsctl.checks.ask.http import get, words
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.core.errors import MissingDependencyError
from obsctl.core.report import Fault
from obsctl.fleet.model import Fleet, Host, Vip

#: Set by Nginx to its host's inventory name (the role's `nginx_balancer_header`).
HEADER = "X-Balancer"
#: For each node over ssh, in seconds.
SSH_DEADLINE_S = 4.0
#: For an answer of nginx, in seconds: above the second that it gives a dead back end to connect.
HTTP_DEADLINE_S = 2.5
_LOCAL_DEADLINE_S = 1.0
_MARK = "--- keepalived, nginx"
_QUESTION = (
    "PATH=$PATH:/usr/sbin:/sbin; export LC_ALL=C; "
    f"ip -j addr show && echo '{_MARK}' && systemctl is-active keepalived nginx; true"
)


_SSH_SILENT = ssh.Answer(failure=f"no answer over ssh within {SSH_DEADLINE_S:g} s")


@dataclass
class _Sighting:
    """What the threads find out about one node; until they do, it is silent."""

    ssh: ssh.Answer = _SSH_SILENT
    nginx_failure: str = f"no answer within {HTTP_DEADLINE_S:g} s"
    balancer: str = ""


def collect_vip(fleet: Fleet) -> VipSnapshot:
    """Ask all nodes of the group lb and the VIP itself, all at the same time.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    if fleet.vip is None:
        fault = Fault(code="VIP_NOT_CONFIGURED", object="vip", summary="the inventory names no VIP (fleet_vip)")
        return VipSnapshot(vip="", errors=(fault,))
    vip, port = fleet.vip.address, fleet.vip.port
    nodes = fleet.group("lb")
    sightings = [_Sighting() for _ in nodes]
    through_vip = _Sighting()
    missing: list[MissingDependencyError] = []
    threads = [threading.Thread(target=_knock, args=(vip, port, through_vip), daemon=True)]
    for node, sighting in zip(nodes, sightings, strict=True):
        threads.append(threading.Thread(target=_ask, args=(node, sighting, missing), daemon=True))
        if not fleet.vip.exclusive:
            threads.append(threading.Thread(target=_knock, args=(node.address, port, sighting), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SSH_DEADLINE_S + 1)
    if missing:
        raise missing[0]
    return VipSnapshot(
        vip=vip,
        port=port,
        nodes=tuple(_node(node, sighting, fleet.vip) for node, sighting in zip(nodes, sightings, strict=True)),
        vip_failure=through_vip.nginx_failure,
        answered_by=through_vip.balancer,
        neighbour_mac=_neighbour(vip),
    )


def _ask(node: Host, sighting: _Sighting, missing: list[MissingDependencyError]) -> None:
    try:
        sighting.ssh = ssh.run(node, _QUESTION, deadline_s=SSH_DEADLINE_S)
    except MissingDependencyError as error:
        missing.append(error)


def _knock(address: str, port: int, sighting: _Sighting) -> None:
    try:
        # Any status will do: a 502 is nginx speaking about the back ends, which are another check's matter.
        answer = get(address, port, "/", deadline_s=HTTP_DEADLINE_S)
    except (OSError, http.client.HTTPException) as error:
        sighting.nginx_failure = words(error)
    else:
        sighting.nginx_failure = ""
        sighting.balancer = (answer.getheader(HEADER) or "").strip()


def _node(node: Host, sighting: _Sighting, vip: Vip) -> LbNode:
    answer = sighting.ssh
    addresses, _, states = answer.output.partition(_MARK)
    keepalived, nginx = (*states.split(), "", "")[:2]
    interfaces = _json(addresses)
    failure = answer.failure
    if not failure and not interfaces:
        failure = "its answer to `ip -j addr` cannot be read"
    return LbNode(
        name=node.name,
        address=node.address,
        priority=node.keepalived.priority if node.keepalived else None,
        failure=failure,
        holds_vip=any(info.get("local") == vip.address for nic in interfaces for info in nic.get("addr_info", [])),
        keepalived=keepalived,
        macs=tuple(sorted({nic["address"].lower() for nic in interfaces if nic.get("link_type") == "ether"})),
        nginx_failure=_unit_failure(nginx) if vip.exclusive else sighting.nginx_failure,
    )


def _unit_failure(nginx: str) -> str:
    """Return why the node's nginx cannot take over, from its unit's state; where it listens on the VIP alone."""
    return "" if nginx == "active" else f"its unit is {nginx or 'unknown'}"


def _neighbour(address: str) -> str:
    """Return the hardware address that this machine last heard for the address, or an empty string."""
    try:
        done = subprocess.run(
            ["ip", "-j", "neigh", "show", "to", address],
            capture_output=True,
            text=True,
            timeout=_LOCAL_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next((str(entry["lladdr"]).lower() for entry in _json(done.stdout) if entry.get("lladdr")), "")


def _json(text: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(text)
    except ValueError:
        return []
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
