"""Who may reach what, tried from the hosts themselves; and rules that are the same on disk and in the kernel."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.conftest import NODES, Fleet

ADDRESS = {"node1": "198.18.0.11", "node2": "198.18.0.12", "db1": "198.18.0.21", "app1": "198.18.0.31"}
#: Nothing of ours listens there; a host that is not closed would answer with a reset.
UNUSED = 7777
#: (port, host that offers it, hosts that may come, hosts that may not).
OFFERS = [
    pytest.param(80, "node1", ("node2", "db1", "app1"), (), id="http"),
    pytest.param(8080, "node1", ("node2",), ("db1", "app1"), id="backend"),
    pytest.param(9092, "node1", ("node2", "app1"), ("db1",), id="broker"),
    pytest.param(9093, "node1", ("node2",), ("db1", "app1"), id="controller"),
    pytest.param(3306, "db1", ("app1",), ("node1",), id="database"),
    pytest.param(22, "node1", (), ("node2", "db1", "app1"), id="ssh"),
    pytest.param(UNUSED, "node1", (), ("node2", "db1", "app1"), id="unused"),
]


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


@pytest.mark.parametrize(("port", "host", "allowed", "refused"), OFFERS)
def test_port_is_open_for_those_it_is_for(
    fleet: Fleet, port: int, host: str, allowed: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    answers = {origin: reaches(fleet, origin, ADDRESS[host], port) for origin in (*allowed, *refused)}
    assert answers == {**dict.fromkeys(allowed, True), **dict.fromkeys(refused, False)}


def test_control_node_reaches_the_services_and_not_the_controllers(fleet: Fleet) -> None:
    for port in (22, 80, 8080, 9092):
        socket.create_connection((ADDRESS["node1"], port), 3).close()
    with pytest.raises(OSError, match=r"No route|refused|timed out"):
        socket.create_connection((ADDRESS["node1"], 9093), 3)


#: Prints each payload of IP protocol 112 that passes the firewall within the seconds given.
_LISTEN = """
import socket, sys, time
end = time.monotonic() + float(sys.argv[1])
taker = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
while (left := end - time.monotonic()) > 0:
    taker.settimeout(left)
    try: print(taker.recv(2048)[20:].decode("latin-1"))
    except TimeoutError: pass
"""
_SEND = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_RAW, 112).sendto(sys.argv[2].encode(), (sys.argv[1], 0))
"""


def test_vrrp_is_only_for_the_balancers(fleet: Fleet) -> None:
    origins = ("node2", "db1", "app1")
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(fleet.ssh, "node1", "python3", "-c", _LISTEN, "6")
        time.sleep(2)
        for origin in origins:
            fleet.ssh(origin, "python3", "-c", _SEND, ADDRESS["node1"], f"drill-{origin}")
    came = {origin for origin in origins if f"drill-{origin}" in heard.result()}
    assert came == {"node2"}


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
