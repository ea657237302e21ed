"""Connects to every TCP port of an address, from any host that has a Python; and reads what ``ss`` says.

The script is sent over ssh as an argument, so that nothing is left on the host. The kernel sends a firewall's refusals
only a few times a second, so most closed ports say nothing: the script waits for them in parallel, never in turn.
"""

from __future__ import annotations

import ipaddress
import re

#: Connections begun a second, and seconds until one that nothing was heard of counts as refused: the kernel asks again
#: after one second. 65,535 ports take 36 s, with at most 5,000 connections at a time.
RATE, PATIENCE = 2000, 2.5

#: Arguments: address, first and last port, rate, patience. Prints JSON: the ports that accepted (``open``), and those
#: where the host itself answered that nothing listens (``closed``), which a firewall would have prevented.
SCRIPT = """
import collections, errno, json, resource, select, socket, sys, time
address, first, last, rate, patience = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
found = {"open": [], "closed": []}
waiting, order, poll = {}, collections.deque(), select.epoll()
def done(number, error):
    port, tried = waiting.pop(number)
    poll.unregister(number)
    tried.close()
    if error in (0, errno.ECONNREFUSED):
        found["closed" if error else "open"].append(port)
port, began = first, time.monotonic()
while port <= last or waiting:
    now = time.monotonic()
    while port <= last and port - first <= (now - began) * rate:
        tried = socket.socket()
        tried.setblocking(False)
        error = tried.connect_ex((address, port))
        if error not in (0, errno.EINPROGRESS, errno.ECONNREFUSED, errno.EHOSTUNREACH):
            sys.exit(f"port {port}: {errno.errorcode[error]}")
        waiting[tried.fileno()] = port, tried
        poll.register(tried, select.EPOLLOUT)
        if error == errno.EINPROGRESS:
            order.append((now + patience, tried.fileno(), port))
        else:
            done(tried.fileno(), error)
        port += 1
    for number, _event in poll.poll(0.01):
        done(number, waiting[number][1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    while order and order[0][0] <= now:
        _end, number, of_port = order.popleft()
        if number in waiting and waiting[number][0] == of_port:
            done(number, errno.ETIMEDOUT)
print(json.dumps(found))
"""


def arguments(address: str, first: int = 1, last: int = 65535) -> list[str]:
    """Return the command that walks the ports of an address."""
    return ["python3", "-c", SCRIPT, address, str(first), str(last), str(RATE), str(PATIENCE)]


def beyond_loopback(listing: str) -> set[int]:
    """Return the ports of ``ss -Hltn`` that other hosts could reach."""
    found = set()
    for line in listing.splitlines():
        local = line.split()[3]
        address, _, port = local.rpartition(":")
        address = re.sub(r"%.*", "", address.strip("[]"))
        if address == "*" or not _is_loopback(address):
            found.add(int(port))
    return found


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback
