"""Every TCP port of every host: what other hosts reach, and what listens, is what docs/reference/ports.md says."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rig.port_walk import arguments, beyond_loopback
from rig.rendered_role import RenderedNode
from tests.lab.conftest import INVENTORY, Fleet

#: Each host is walked from another one, all at the same time: no host's own firewall has to remember more than one.
ORIGINS = {"node1": "app1", "node2": "node1", "node3": "node2", "db1": "node3", "app1": "db1"}


def _listed(host: str) -> tuple[list[dict[str, Any]], dict[str, list[str]], str]:
    """Return the host's entries of the list, the groups, and its address."""
    node = RenderedNode(INVENTORY, host, "firewall")
    return node.value("query('obscraft.fleet.listeners')"), node.value("groups"), node.value("ansible_host")


def test_other_hosts_reach_the_listed_ports_and_no_other(fleet: Fleet) -> None:
    expected, walks = {}, {}
    with ThreadPoolExecutor(len(ORIGINS)) as pool:
        for host, origin in ORIGINS.items():
            sockets, groups, address = _listed(host)
            mine = {"anyone", *(group for group, members in groups.items() if origin in members)}
            expected[host] = sorted({socket["port"] for socket in sockets if mine & set(socket["sources"])})
            walks[host] = pool.submit(fleet.ssh, origin, *arguments(address), timeout=180)
    found = {host: json.loads(walk.result()) for host, walk in walks.items()}
    # "closed": the firewall let the connection through, and nothing listened.
    assert {host: (sorted(one["open"]), one["closed"]) for host, one in found.items()} == {
        host: (ports, []) for host, ports in expected.items()
    }


@pytest.mark.parametrize("host", ORIGINS)
def test_what_listens_beyond_loopback_is_listed(fleet: Fleet, host: str) -> None:
    sockets, _groups, _address = _listed(host)
    listed = {socket["port"] for socket in sockets if not socket["address"].startswith("127.")}
    assert beyond_loopback(fleet.ssh(host, "ss", "-Hltn")) == listed
