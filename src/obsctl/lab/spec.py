"""What a lab is made of: its hosts, its network and the place of its state.

Everything that a lab leaves on the machine while it runs carries a name from here, so that two labs (the
person's and a test's) never touch each other and ``down`` knows its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

#: What a host may run; each has a recipe in :mod:`obsctl.lab.base`.
OPERATING_SYSTEMS = ("debian12", "el9")
#: The fleet that the tests use: both families have balancers and brokers, and MySQL needs EL.
MIXED = "mixed"
_MIXED_HOST_OS = {"node2": "el9", "node3": "el9", "db1": "el9"}
#: What ``lab up --os`` takes: one system for all hosts, or ``mixed``.
FLEETS = (*OPERATING_SYSTEMS, MIXED)


@dataclass(frozen=True)
class HostSpec:
    """One guest.

    Attributes:
        name: its host name and its inventory name.
        octet: the last part of its address.
    """

    name: str
    octet: int


@dataclass(frozen=True)
class LabSpec:
    """One lab.

    Attributes:
        prefix: begins the names of machines, cgroups and links. The kernel allows 15 characters for a link and
            systemd-nspawn puts ``vb-`` before the machine's name: prefix and host name have 12 together.
        network: a /24; its first address is this machine's.
        bridge: the bridge's name, also that of the nft table.
        state_dir: everything that ``down`` removes.
        hosts: the guests.
        os: key of the recipe of the guests' root.
        host_os: the same for single hosts that run another system.
    """

    prefix: str
    network: IPv4Network
    bridge: str
    state_dir: Path
    hosts: tuple[HostSpec, ...]
    os: str = "debian12"
    host_os: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ValueError: a link would get a name that the kernel refuses, or an unknown host has a system of its own.
        """
        if unknown := sorted(set(self.host_os) - set(self.names)):
            raise ValueError(f"the lab has no host {unknown[0]!r}; it has {', '.join(self.names)}")
        for link in (self.bridge, *(self.link(host) for host in self.hosts)):
            if len(link) > 15:
                raise ValueError(f"{link!r} is longer than the 15 characters of a link's name")

    def os_of(self, host: HostSpec) -> str:
        """The key of the recipe of the guest's root."""
        return self.host_os.get(host.name, self.os)

    def machine(self, host: HostSpec) -> str:
        """The name of the guest on this machine."""
        return f"{self.prefix}{host.name}"

    def link(self, host: HostSpec) -> str:
        """This machine's end of the guest's cable."""
        return f"vb-{self.machine(host)}"

    def address(self, host: HostSpec) -> IPv4Address:
        """The guest's address."""
        return self.network[host.octet]

    @property
    def gateway(self) -> IPv4Address:
        """This machine's address in the lab."""
        return self.network[1]

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts' names."""
        return tuple(host.name for host in self.hosts)

    def host(self, name: str) -> HostSpec:
        """Return the host of that name.

        Raises:
            KeyError: there is none.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    def host_dir(self, host: HostSpec) -> Path:
        """Where the guest's disk, console and records are."""
        return self.state_dir / "hosts" / host.name

    def root(self, host: HostSpec) -> Path:
        """The guest's root as this machine sees it (only this machine's own mounts)."""
        return self.host_dir(host) / "root"

    @property
    def ssh_dir(self) -> Path:
        """Key and known hosts."""
        return self.state_dir / "ssh"

    @property
    def secrets_dir(self) -> Path:
        """One file a secret, 0600."""
        return self.state_dir / "secrets"


#: The lab of the design: three nodes that do everything, a database and an application host.
FLEET_LAB = LabSpec(
    prefix="obs-",
    network=IPv4Network("198.18.0.0/24"),
    bridge="br-obslab",
    state_dir=Path("/var/lib/obsctl-lab"),
    hosts=(
        HostSpec("node1", 11),
        HostSpec("node2", 12),
        HostSpec("node3", 13),
        HostSpec("db1", 21),
        HostSpec("app1", 31),
    ),
)


def fleet_lab(fleet: str, host_os: Mapping[str, str]) -> LabSpec:
    """Return the lab of the design with the operating systems asked for.

    Args:
        fleet: one of :data:`FLEETS`.
        host_os: systems of single hosts, which override the fleet's.

    Raises:
        ValueError: ``host_os`` names an unknown host.
    """
    if fleet == MIXED:
        return replace(FLEET_LAB, host_os={**_MIXED_HOST_OS, **host_os})
    return replace(FLEET_LAB, os=fleet, host_os=host_os)
