"""Inventories read by Ansible itself, in this process: a playbook run for each fault would take seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from rig import collection  # noqa: F401  # lets Ansible find obscraft.fleet in this tree


def read(sources: Sequence[Path]) -> tuple[Templar, HostVars, dict[str, list[str]]]:
    """Return a templar, the hosts' variables and the groups of the inventories, later ones over earlier ones."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(source) for source in sources])
    manager = VariableManager(loader=loader, inventory=inventory)
    hostvars: Any = HostVars(inventory, manager, loader)
    return Templar(loader=loader, variables={}), hostvars, inventory.get_groups_dict()
