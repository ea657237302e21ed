"""Inventories read by Ansible itself, in this process: a playbook run for each fault would take seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from rig import collection  # noqa: F401  # lets Ansible find obscraft.fleet in this tree

_compile = jinja2.Environment.compile
_compiled: dict[tuple[object, ...], CodeType] = {}


def _compile_once(environment: Any, source: Any, *where: Any, **options: Any) -> Any:
    """Compile a template once in a process: each host has an environment of its own, and all have the same defaults."""
    if not isinstance(source, str) or options:
        return _compile(environment, source, *where, **options)
    # The lexer is one object for the same delimiters.
    key = (type(environment), environment.lexer, str(source), *where)
    if key not in _compiled:
        _compiled[key] = _compile(environment, source, *where)
    return _compiled[key]


jinja2.Environment.compile = _compile_once  # type: ignore[method-assign]


class _Unchanging(HostVars):  # type: ignore[misc]  # Ansible has no types
    """The hosts' variables, put together once for each host: nothing changes them here."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self._known: dict[str, Any] = {}

    def raw_get(self, host_name: str) -> Any:
        if host_name not in self._known:
            self._known[host_name] = super().raw_get(host_name)
        return self._known[host_name]


def read(sources: Sequence[Path]) -> tuple[Templar, HostVars, dict[str, list[str]]]:
    """Return a templar, the hosts' variables and the groups of the inventories, later ones over earlier ones."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(source) for source in sources])
    manager = VariableManager(loader=loader, inventory=inventory)
    hostvars: Any = _Unchanging(inventory, manager, loader)
    return Templar(loader=loader, variables={}), hostvars, inventory.get_groups_dict()
