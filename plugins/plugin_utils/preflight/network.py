# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Addresses of hosts, the virtual address, names, ports, and allowed sources."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.listeners import Socket, nginx_socket, overlap, sockets
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, Variables

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Variables that list addresses and networks.
SOURCES = (
    "fleet_admin_sources",
    "firewall_admin_sources",
    "mysql_client_sources",
    "nginx_trusted_proxies",
    "consumer_trusted_proxies",
    "console_admin_sources",
    "console_trusted_proxies",
)
#: Variables that list brokers as HOST:PORT.
ENDS = ("consumer_bootstrap", "filebeat_kafka_hosts")
#: Variables that list hosts of the inventory, and the group that these are in.
HOSTS = (("nginx_backend_hosts", "backend"), ("keepalived_hosts", "lb"))
#: A host's name, its IPv4 address, or an IPv6 address in brackets.
END_HOST = re.compile(r"[\w.-]+\Z|\[[0-9A-Fa-f:.]+\]\Z")
IPV6_FIX = (
    "give every host and the virtual address an IPv4 address: VRRP, firewall rules, database accounts and Kafka's "
    "listeners support IPv4 only"
)


def parse_address(text: Any) -> Address | None:
    """Return an IP address, None where the text is not one."""
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None


def within(address: str, network: Any) -> bool:
    """Whether an address lies in a network; not in what is none."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(str(network), strict=False)
    except ValueError:
        return False


def network_fault(text: Any) -> tuple[str, str] | None:
    """Return why a text is neither an address nor a network, and what to write; None if it is one."""
    try:
        network = ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return "neither an address nor a network", "write addresses (192.0.2.10) or networks (192.0.2.0/24)"
    address = parse_address(str(text).partition("/")[0])
    if address == network.network_address:
        return None
    return (
        f"an address with the length of a network: it stands for all of {network}",
        f"write {network} for the network, or {address} for the one host",
    )


def _unusable(address: Address) -> str | None:
    """Return what an address is, where no host of a fleet can have it."""
    kinds = (
        (address.is_unspecified, "the unspecified address"),
        (address.is_loopback, "a loopback address, which every host has for itself"),
        (address.is_multicast, "a multicast address"),
        (address == ipaddress.IPv4Address("255.255.255.255"), "the broadcast address"),
        (address.is_link_local, "a link-local address"),
        (address.is_reserved, "a reserved address"),
        (address in ipaddress.ip_network("0.0.0.0/8"), "an address of the network 0.0.0.0/8, which no host can have"),
    )
    return next((what for is_so, what in kinds if is_so), None)


def addresses(fleet: Fleet) -> Iterator[Problem]:
    """Each host has its own IPv4 address at which the others reach it."""
    by_address: dict[Address, list[str]] = defaultdict(list)
    for host, variables in fleet.hosts.items():
        own = variables.get("ansible_host")
        if own is None and "ansible_host" in fleet.broken.get(host, {}):
            continue
        address = parse_address(own)
        if address is None:
            yield Problem(
                host,
                f"ansible_host is {own}, not an IP address" if own else "ansible_host is not set",
                "set it to the host's address: firewall rules, VRRP and database accounts are bound to addresses. A "
                "name for Kafka's clients goes into kafka_advertised_host",
            )
        elif address.version == 6:
            yield Problem(host, f"ansible_host is {own}: an IPv6 fleet is not supported", IPV6_FIX)
        elif what := _unusable(address):
            yield Problem(
                host,
                f"ansible_host is {own}, {what}",
                "set it to the address under which the other hosts reach this one",
            )
        else:
            by_address[address].append(host)
    for address, hosts in by_address.items():
        if len(hosts) > 1:
            yield Problem(
                ", ".join(hosts),
                f"share the address {address}",
                "correct ansible_host; a machine with several tasks is one host in several groups",
            )


def advertised_hosts(fleet: Fleet) -> Iterator[Problem]:
    """The address that Kafka gives to its clients; if it follows ansible_host, only that one is reported."""
    for host, variables in fleet.group("kafka"):
        given = variables.get("kafka_advertised_host")
        address = parse_address(given)
        if address is None or str(given) == str(variables.get("ansible_host")):
            continue
        if address.version == 6:
            yield Problem(host, f"kafka_advertised_host is {given}: an IPv6 fleet is not supported", IPV6_FIX)
        elif what := _unusable(address):
            yield Problem(
                host,
                f"kafka_advertised_host is {given}, {what}",
                "set it to the address or name under which the other hosts reach this broker",
            )


def virtual_address(fleet: Fleet) -> Iterator[Problem]:
    hosts = {variables.get("ansible_host"): host for host, variables in fleet.hosts.items()}
    for host, variables in fleet.group("lb"):
        name = "keepalived_vip" if "keepalived_vip" in fleet.inventory_names.get(host, ()) else "fleet_vip"
        if name in fleet.broken.get(host, {}):
            continue
        vip = str(variables.get(name) or "")
        address = parse_address(vip)
        if address is None:
            what = f"{name} is {vip!r}, not an address" if vip else f"{name} is empty"
            yield Problem(host, what, f"set {name} to a free address of the balancers' network")
        elif address.version == 6:
            yield Problem(host, f"{name} is {vip}: an IPv6 fleet is not supported", IPV6_FIX)
        elif kind := _unusable(address):
            yield Problem(host, f"{name} is {vip}, {kind}", f"set {name} to a free address of the balancers' network")
        elif vip in hosts:
            yield Problem("fleet", f"{name} {vip} is the address of {hosts[vip]}", "choose an address that no host has")
        else:
            yield from _in_its_network(host, variables, name, address)


def _in_its_network(host: str, variables: Variables, name: str, vip: Address) -> Iterator[Problem]:
    """The virtual address is in the balancer's network, and a host there may have it."""
    prefix = variables.get(f"{name}_prefix", 24)
    fix = f"set {name}_prefix to the network's prefix length, such as 24"
    try:
        network = ipaddress.ip_network(f"{vip}/{prefix}", strict=False)
    except ValueError:
        yield Problem(host, f"{name}_prefix is {prefix}, no prefix length of {vip}", fix)
        return
    if network.prefixlen in (0, 32):
        yield Problem(
            host, f"{name}_prefix is {prefix}: such a network cannot hold the virtual address and the balancers", fix
        )
        return
    # A network of two addresses (RFC 3021) has neither.
    if network.prefixlen < 31 and vip in (network.network_address, network.broadcast_address):
        what = "the network's own address" if vip == network.network_address else "the broadcast address"
        yield Problem(
            host,
            f"{name} is {vip}, {what} of {network}",
            f"set {name} to a free address of the balancers' network, or correct {name}_prefix",
        )
    own = parse_address(variables.get("ansible_host"))
    # What the host's own address cannot be is another rule's matter.
    if own is None or own.version == 6 or _unusable(own):
        return
    if own not in network:
        yield Problem(
            host,
            f"its address is outside of the virtual address's network {network}",
            f"correct {name} or {name}_prefix: VRRP works within one network",
        )
    elif network.prefixlen < 31 and own in (network.network_address, network.broadcast_address):
        yield Problem(
            host,
            f"ansible_host is {own}, which no host of the network {network} can have",
            f"correct ansible_host or {name}_prefix",
        )


def sources(fleet: Fleet) -> Iterator[Problem]:
    for host, names in fleet.inventory_names.items():
        variables = fleet.hosts[host]
        given = [(name, source) for name in SOURCES if name in names for source in variables.get(name) or []]
        if "firewall_extra_rules" in names:
            rules = enumerate(variables.get("firewall_extra_rules") or [])
            given += [
                (f"firewall_extra_rules[{number}].sources", source)
                for number, rule in rules
                for source in rule.get("sources") or []
            ]
        for name, source in given:
            # What is in front of nginx may be a program on the same machine.
            fault = None if (name, str(source)) == ("nginx_trusted_proxies", "unix:") else network_fault(source)
            if fault is not None:
                yield Problem(host, f"{name} has {str(source)!r}, {fault[0]}", fault[1])


def extra_ports(fleet: Fleet) -> Iterator[Problem]:
    for host, names in fleet.inventory_names.items():
        rules = fleet.hosts[host].get("firewall_extra_rules") if "firewall_extra_rules" in names else None
        for number, rule in enumerate(rules or []):
            if rule.get("port") is not None and not 0 < int(rule["port"]) < 2**16:
                yield Problem(
                    host,
                    f"firewall_extra_rules[{number}].port is {rule['port']}, not between 1 and 65535",
                    "set it to a number in that range",
                )


def ends(fleet: Fleet) -> Iterator[Problem]:
    """Lists of brokers, and of hosts that stand for a service."""
    for _group, host, name, value in fleet.options():
        for end in value if name in ENDS else ():
            address, _colon, port = str(end).rpartition(":")
            if not (END_HOST.match(address) and port.isdecimal() and 0 < int(port) < 2**16):
                yield Problem(host, f"{name} has {str(end)!r}, not HOST:PORT", "write it like 192.0.2.11:9092")
        for group in (group for option, group in HOSTS if option == name):
            for one in value:
                if str(one) not in fleet.groups.get(group, ()):
                    near = difflib.get_close_matches(str(one), list(fleet.groups.get(group, ())), n=1)
                    yield Problem(
                        host,
                        f"{name} has {str(one)!r}, which is no host of the group {group}",
                        f"did you mean {near[0]}?" if near else "write names of the inventory's hosts",
                    )


def names_resolve(fleet: Fleet) -> Iterator[Problem]:
    for host, look in fleet.answers():
        for name, found in look.names:
            if not found:
                yield Problem(
                    host, f"cannot resolve {name}", f"add {name} to DNS or /etc/hosts of this host, or use addresses"
                )
            elif name != host and found.startswith("127."):
                yield Problem(
                    host,
                    f"resolves {name} to {found}, itself",
                    f"put the address of {name} into DNS or /etc/hosts of this host",
                )


def lock_out(fleet: Fleet) -> Iterator[Problem]:
    for host, look in fleet.answers():
        client = look.ssh_client
        allowed = fleet.hosts.get(host, {}).get("firewall_admin_sources") or []
        known = "firewall_admin_sources" not in fleet.broken.get(host, {})
        if known and parse_address(client) and not any(within(client, source) for source in allowed):
            yield Problem(
                host,
                f"the firewall would lock this control node ({client}) out",
                f"add {client} to fleet_admin_sources",
            )


def ports(fleet: Fleet) -> Iterator[Problem]:
    """No two services of a host listen on the same port of the same address."""
    for host, variables in fleet.hosts.items():
        groups = [group for group, members in fleet.groups.items() if host in members]
        listening: list[Socket] = []
        for socket in sockets(groups, variables.get):
            for other in listening:
                if socket.port == other.port and overlap(socket.address, other.address):
                    yield Problem(
                        host,
                        f"{other.name} and {socket.name} take the same port {socket.port}",
                        f"give one of the two another port: {other.name}, {socket.name}",
                    )
            listening.append(socket)


def listens(fleet: Fleet) -> Iterator[Problem]:
    """The values of nginx's listen; a name is refused, as it would have to resolve at each start of nginx."""
    for host, variables in fleet.group("lb"):
        for name, port in (("nginx_listen", 80), ("nginx_tls_listen", 443)):
            given = [str(directive) for directive in variables.get(name) or []]
            for directive in given:
                if (fault := _listen_fault(directive)) is not None:
                    yield Problem(
                        host,
                        f"{name} has {directive!r}, {fault}",
                        f"write what follows nginx's listen, such as {port} or 192.0.2.10:{port}",
                    )
            if given and all(directive.startswith("unix:") for directive in given):
                yield Problem(
                    host, f"{name} names no TCP port: nothing would answer on the virtual address", "add a port to it"
                )


def _listen_fault(directive: str) -> str | None:
    """Return what is wrong with a listen directive, None for a good one."""
    if re.search(r"[;{}#'\"]", directive):
        return "which has a character that ends the directive"
    place = directive.split(maxsplit=1)[0] if directive.split() else ""
    if place.startswith("unix:"):
        return None if place.startswith("unix:/") else "whose socket has no absolute path"
    address, port = nginx_socket(directive) or ("", 0)
    if address not in ("", "*") and parse_address(address.removeprefix("[").removesuffix("]")) is None:
        return "whose address is neither an address nor *"
    return None if 0 < port < 2**16 else "whose port is not between 1 and 65535"
