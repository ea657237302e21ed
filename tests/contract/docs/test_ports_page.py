"""``docs/reference/ports.md`` is the list of ports that firewall and preflight use.

``OBSCTL_GOLDEN=write pytest tests/contract/docs/test_ports_page.py`` writes the page's table.
"""

from __future__ import annotations

import os
from pathlib import Path

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.action.fleet_preflight import role_defaults  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.listeners import (  # isort: skip
    ADMIN,
    ANYONE,
    EVERY_HOST,
    LISTENERS,
    LOOPBACK,
    Listener,
)

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/ports.md"
RULE = "|---|---|---|---|---|---|---|\n"


def row(listener: Listener) -> str:
    """Return the line of the table for one listener."""
    defaults = role_defaults()
    port = defaults.get(listener.variable, listener.default)
    ports = ", ".join(map(str, port)) if isinstance(port, (list, tuple)) else str(port)
    # A default that follows from other variables is none that a reader could look for.
    shown = "" if "{{" in ports else f"{ports} "
    address = listener.address or "all addresses"
    if "_" in listener.address:
        address = f"`{listener.address}` ({defaults[listener.address]})"
    names = {ADMIN: "*admin*", ANYONE: "anyone", listener.group: f"{listener.group} (each other)"}
    cells = [
        "every host" if listener.group == EVERY_HOST else listener.group,
        listener.program,
        f"{shown}`{listener.variable}`",
        listener.speaks,
        address,
        ", ".join(names.get(source, f"`{source}`" if "_" in source else source) for source in listener.sources) or "-",
        listener.while_ or "always",
    ]
    return f"| {' | '.join(cells)} |\n"


def test_the_page_is_the_list() -> None:
    before, rule, _ = PAGE.read_text(encoding="utf-8").partition(RULE)
    assert rule
    written = before + rule + "".join(map(row, LISTENERS))
    if os.environ.get("OBSCTL_GOLDEN") == "write":
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written


def test_what_is_for_other_hosts_does_not_listen_on_loopback_alone() -> None:
    for listener in LISTENERS:
        assert bool(listener.sources) == (listener.address != LOOPBACK), listener
