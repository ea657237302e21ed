"""Who may reach what, tried from the hosts themselves; and rules that are the same on disk and in the kernel."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.conftest import NODES, ONE_OF_EACH, Fleet, wait_for

ADDRESS = {"node1": "198.18.0.11", "node2": "198.18.0.12", "db1": "198.18.0.21", "app1": "198.18.0.31"}
#: Nothing of ours listens there; a host that is not closed would answer with a reset.
UNUSED = 7777
#: Ports of a balancer: which hosts beside its peers may come, and which may not.
BALANCER_PORTS = {
    "http": (80, ("peer", "db1", "app1"), ()),
    "backend": (8080, ("peer",), ("db1", "app1")),
    "https": (443, ("peer", "db1", "app1"), ()),
    "Kafka's clients": (9094, ("peer", "app1"), ("db1",)),
    "broker": (9095, ("peer",), ("db1", "app1")),
    "controller": (9096, ("peer",), ("db1", "app1")),
    "ssh": (22, (), ("peer", "db1", "app1")),
    "unused": (UNUSED, (), ("peer", "db1", "app1")),
}
PEER = dict(zip(ONE_OF_EACH, reversed(ONE_OF_EACH), strict=True))


def reaches(fleet: Fleet, origin: str, address: str, port: int) -> bool:
    """Return whether a TCP connection from a host succeeds."""
    script = (
        "import socket, sys\n"
        "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close(); print('open')\n"
        "except ConnectionRefusedError: print('nobody listens')\n"
        "except OSError as error: print('refused', error)\n"
    )
    said = fleet.ssh(origin, "python3", "-c", script, address, str(port)).strip()
    # A reset comes from the host itself: it got through the firewall.
    return not said.startswith("refused")


def _is_open_for(fleet: Fleet, host: str, port: int, allowed: tuple[str, ...], refused: tuple[str, ...]) -> None:
    answers = {origin: reaches(fleet, origin, ADDRESS[host], port) for origin in (*allowed, *refused)}
    assert answers == {**dict.fromkeys(allowed, True), **dict.fromkeys(refused, False)}


@pytest.mark.parametrize("host", ONE_OF_EACH)
@pytest.mark.parametrize("service", BALANCER_PORTS)
def test_a_balancers_port_is_open_for_those_it_is_for(fleet: Fleet, host: str, service: str) -> None:
    port, allowed, refused = BALANCER_PORTS[service]
    peer = PEER[host]
    named = [tuple(peer if name == "peer" else name for name in names) for names in (allowed, refused)]
    _is_open_for(fleet, host, port, *named)


def test_the_databases_port_is_open_for_the_consumer(fleet: Fleet) -> None:
    _is_open_for(fleet, "db1", 3306, ("app1",), ONE_OF_EACH)


@pytest.mark.parametrize("host", ONE_OF_EACH)
def test_control_node_reaches_the_services_and_not_the_controllers(fleet: Fleet, host: str) -> None:
    for port in (22, 80, 443, 8080, 9094):
        socket.create_connection((ADDRESS[host], port), 3).close()
    for port in (9095, 9096):
        with pytest.raises(OSError, match=r"No route|refused|timed out"):
            socket.create_connection((ADDRESS[host], port), 3)


#: Prints each payload of IP protocol 112 that passes the firewall, until one says that it was the last.
_LISTEN = """
import socket
taker = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
taker.settimeout(60)
while (came := taker.recv(2048)[20:].decode("latin-1")) != "drill-end":
    print(came)
"""
_SEND = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_RAW, 112).sendto(sys.argv[2].encode(), (sys.argv[1], 0))
"""


def _takers(fleet: Fleet, host: str) -> int:
    """Return how many sockets of the host take packets of IP protocol 112; one is keepalived's."""
    return int(fleet.ssh(host, "sh", "-c", "grep -c ':0070 ' /proc/net/raw || true"))


def test_vrrp_is_only_for_the_balancers(fleet: Fleet) -> None:
    before = {host: _takers(fleet, host) for host in ONE_OF_EACH}
    with ThreadPoolExecutor(len(ONE_OF_EACH)) as pool:
        heard = {host: pool.submit(fleet.ssh, host, "python3", "-c", _LISTEN, timeout=90) for host in ONE_OF_EACH}
        for host in ONE_OF_EACH:
            wait_for(f"{host} listens", lambda host=host: _takers(fleet, host) > before[host], seconds=30)
            for origin in (PEER[host], "db1", "app1"):
                fleet.ssh(origin, "python3", "-c", _SEND, ADDRESS[host], f"drill-{origin}")
            # From the host to itself, which no rule is about.
            fleet.ssh(host, "python3", "-c", _SEND, ADDRESS[host], "drill-end")
    for host in ONE_OF_EACH:
        came = {origin for origin in (PEER[host], "db1", "app1") if f"drill-{origin}" in heard[host].result()}
        assert came == {PEER[host]}, host


@pytest.mark.parametrize("host", [*NODES, "db1", "app1"])
def test_rules_in_force_are_those_on_disk(fleet: Fleet, host: str) -> None:
    assert fleet.ssh(host, "firewall-cmd", "--get-default-zone").strip() == "obscraft"
    show = ("--zone=obscraft", "--list-all")
    running = fleet.ssh(host, "firewall-cmd", *show)
    permanent = fleet.ssh(host, "firewall-cmd", "--permanent", *show)

    def lines(text: str) -> list[str]:
        # The first line says "(active)" or not, and rich rules come in no order.
        return sorted(line.strip() for line in text.splitlines()[1:])

    assert lines(running) == lines(permanent)
