"""The walk over all ports finds what listens, and what a host says about the others."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from rig.port_walk import arguments, beyond_loopback

LISTING = """\
LISTEN 0      128          0.0.0.0:22        0.0.0.0:*
LISTEN 0      511        127.0.0.1:8081      0.0.0.0:*
LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*
LISTEN 0      50                 *:9092            *:*
LISTEN 0      50   [::ffff:127.0.0.1]:9600         *:*
LISTEN 0      128             [::1]:6010        [::]:*
LISTEN 0      70              [::]:33060        [::]:*
LISTEN 0      70     198.18.0.21%host0:68  0.0.0.0:*
"""


def test_what_other_hosts_could_reach() -> None:
    assert beyond_loopback(LISTING) == {22, 9092, 33060, 68}


def test_a_walk_finds_the_ports_that_listen() -> None:
    """Some thousand ports, so that it has more connections open than a shell's limit of files allows at a time."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = sorted(taken.getsockname()[1] for taken in (one, other))
        first, last = max(1, ports[0] - 1000), min(65535, ports[1] + 1000)
        command = [sys.executable, *arguments("127.0.0.1", first, last)[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    assert set(ports) <= set(found["open"])
    # Loopback has no firewall: every other port answers that nothing listens.
    assert sorted(found["open"] + found["closed"]) == list(range(first, last + 1))


def test_a_walk_ends_where_nothing_answers() -> None:
    """The kernel drops what comes to a listener whose queue is full, as a firewall may."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        queued = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            queued.append(one)
        command = [sys.executable, *arguments("127.0.0.1", address[1], address[1])[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        for one in queued:
            one.close()
    assert json.loads(done.stdout) == {"open": [], "closed": []}
