"""A role's files for an inventory (the Kafka role's, unless another is named), rendered without a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rig import ansible_inventory

from ansible_collections.obscraft.fleet.plugins.action import fleet_preflight  # isort: skip

ROLES = Path(__file__).resolve().parents[2] / "roles"


class RenderedNode:
    """One host's files, as the role would write them."""

    def __init__(self, source: Path, host: str, role: str = "kafka", facts: dict[str, Any] | None = None) -> None:
        """Read the inventory.

        Args:
            source: the inventory.
            host: one of its hosts.
            role: the role's name.
            facts: what Ansible would have gathered on the host.
        """
        templar, hostvars, groups = ansible_inventory.read([source])
        self._role = ROLES / role
        own: dict[str, Any] = fleet_preflight.read_yaml(ROLES / "fleet_topics/defaults/main.yml")
        own |= fleet_preflight.read_yaml(ROLES / "fleet_tls/defaults/main.yml")
        own |= fleet_preflight.read_yaml(self._role / "defaults/main.yml")
        own |= fleet_preflight.read_yaml(self._role / "vars/main.yml")
        variables = fleet_preflight.layered(hostvars, host, groups, own)
        variables |= {"ansible_managed": "Ansible managed", "inventory_hostname": host, "ansible_facts": facts or {}}
        self._templar = templar.copy_with_new_env(available_variables=variables)

    def file(self, template: str) -> str:
        """Return a template's text."""
        text = (self._role / "templates" / template).read_text(encoding="utf-8")
        rendered: str = self._templar.template(fleet_preflight.trusted(text))
        return rendered

    def properties(self) -> dict[str, str]:
        """Return server.properties as a dictionary."""
        lines = [line for line in self.file("server.properties.j2").splitlines() if line and line[0] != "#"]
        assert lines == sorted(lines, key=lambda line: line.split("=")[0].lower())
        return dict(line.split("=", 1) for line in lines)

    def value(self, name: str) -> Any:
        """Return a variable."""
        return self._templar.template(fleet_preflight.trusted("{{ " + name + " }}"))
