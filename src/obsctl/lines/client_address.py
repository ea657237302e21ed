"""The client of a request: the peer, unless the peer is a trusted proxy that names the client."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from obsctl.core.settings import Network
from obsctl.lines.formats.line import AccessLine


class TrustedProxies:
    """The proxies whose ``X-Forwarded-For`` is believed.

    Attributes:
        networks: of these proxies.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = tuple(networks)
        #: Returns whether an address is one of these proxies.
        self.trusts = lru_cache(maxsize=65_536)(self._is_trusted)

    def __bool__(self) -> bool:
        return bool(self.networks)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address.

        Each proxy appends the peer that it saw. So the list is read from the right, and the first address that is not
        a trusted proxy is the client: a client can forge everything to the left of it. An entry that is not an address
        ends the search, because its writer cannot be trusted either.

        Args:
            peer: the address that the connection came from.
            forwarded_for: the header's value; may be empty.
        """
        client = peer
        if not forwarded_for or not self.trusts(peer):
            return client
        for entry in reversed(forwarded_for.split(",")):
            address = _without_port(entry.strip())
            if address is None:
                return client
            client = address
            if not self.trusts(client):
                return client
        return client

    def see_through(self, line: AccessLine) -> None:
        """Replace the peer in a line by the client; if that is another address, store the peer as its proxy."""
        peer = line.client_addr
        line.client_addr = self.client(peer, line.x_forwarded_for)
        if line.client_addr != peer:
            line.proxy_addr = peer

    def _is_trusted(self, text: str) -> bool:
        try:
            address = _unmapped(text)
        except ValueError:
            return False
        return any(address in network for network in self.networks)


def _without_port(entry: str) -> str | None:
    """Return an entry's address without a port (``[::1]:80`` and ``10.0.0.1:80`` occur); None if it has none.

    An address with a scope (``fe80::1%eth0``) means nothing on another machine, and the scope may be any text.
    """
    if "%" in entry:
        return None
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(_unmapped(entry))
    except ValueError:
        return None


def _unmapped(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address; an IPv4-mapped one (``::ffff:10.0.0.5``, as a dual-stack socket shows IPv4) as IPv4.

    Raises:
        ValueError: it is not an address.
    """
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
