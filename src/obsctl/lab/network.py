"""The lab's network: a bridge, a connection to the outside for packages, and the kernel setting that this needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from obsctl.lab.errors import LabError
from obsctl.lab.programs import run
from obsctl.lab.spec import HostSpec, LabSpec

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def ip_forward() -> str:
    """Return the kernel's setting, ``0`` or ``1``."""
    return _FORWARD.read_text().strip()


def set_ip_forward(value: str) -> None:
    """Set the kernel's setting."""
    if ip_forward() != value:
        _FORWARD.write_text(value)


def link_exists(name: str) -> bool:
    """Return whether this machine has a link of that name."""
    return Path("/sys/class/net", name).exists()


def up(spec: LabSpec) -> None:
    """Make the bridge and the translation of addresses; what is there already stays.

    Raises:
        LabError: ``ip`` or ``nft`` refused.
    """
    bridge = spec.bridge
    if not link_exists(bridge):
        # A fixed address: a bridge takes its smallest member's otherwise, changes it as guests come and go, and
        # the guests' tables would then point to nowhere for a while.
        parts = ["02", "0b", *(f"{octet:02x}" for octet in spec.gateway.packed)]
        run(["ip", "link", "add", bridge, "address", ":".join(parts), "type", "bridge", "forward_delay", "0"])
    run(["ip", "link", "set", bridge, "addrgenmode", "none", "up"])
    address = f"{spec.gateway}/{spec.network.prefixlen}"
    if str(spec.gateway) not in run(["ip", "-4", "addr", "show", "dev", bridge]):
        run(["ip", "addr", "add", address, "dev", bridge])
    # The whole table in one transaction, so that doing it again changes nothing. Only what leaves the lab is
    # translated; frames that stay on the bridge pass here too where the kernel hands them to the firewall.
    table = bridge.replace("-", "_")
    run(
        ["nft", "-f", "-"],
        stdin=f"""
        table ip {table} {{}}
        delete table ip {table}
        table ip {table} {{
          chain way_out {{
            type nat hook postrouting priority srcnat;
            ip saddr {spec.network} oifname != "{bridge}" masquerade
          }}
        }}
        """,
    )


def down(spec: LabSpec) -> None:
    """Remove the guests' cables, the bridge and the table, as far as they exist."""
    for link in (*(spec.link(host) for host in spec.hosts), spec.bridge):
        remove_link(link)
    table = spec.bridge.replace("-", "_")
    run(["nft", "-f", "-"], stdin=f"table ip {table} {{}}\ndelete table ip {table}\n")


def remove_link(name: str) -> None:
    """Remove a link; one that is gone already (the kernel removes a dead guest's in its own time) is no error."""
    if link_exists(name):
        try:
            run(["ip", "link", "delete", name])
        except LabError:
            if link_exists(name):
                raise


def pull(link: str) -> None:
    """Take a link down; one that vanishes meanwhile, with its guest, is no error."""
    try:
        run(["ip", "link", "set", link, "down"])
    except LabError:
        if link_exists(link):
            raise


def set_cable(spec: LabSpec, host: HostSpec, state: str) -> None:
    """Plug (``up``) or pull (``down``) the guest's cable.

    Raises:
        LabError: the guest does not run, so there is no cable.
    """
    link = spec.link(host)
    if not link_exists(link):
        raise LabError(f"{host.name} is not running, so it has no network link", hint=f"obsctl lab start {host.name}")
    run(["ip", "link", "set", link, state])


def cable(spec: LabSpec, host: HostSpec) -> str:
    """Return ``up``, ``cut``, or ``none`` for a guest that does not run."""
    if not link_exists(spec.link(host)):
        return "none"
    shown: list[dict[str, Any]] = json.loads(run(["ip", "-json", "link", "show", "dev", spec.link(host)]))
    return "up" if "UP" in shown[0]["flags"] else "cut"


def resolver(note: Callable[[str], None]) -> str:
    """Return the machine's resolv.conf, or systemd-resolved's own list where the first names only a local stub."""
    texts = []
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        if path.is_file():
            texts.append(path.read_text())
            servers = [line.split()[1] for line in texts[-1].splitlines() if line.startswith("nameserver ")]
            if any(not server.startswith(("127.", "::1")) for server in servers):
                return texts[-1]
    note("this machine's resolver listens on loopback only: the hosts cannot resolve external names")
    return texts[0] if texts else ""
