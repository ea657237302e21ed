# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""What a rule is given (:class:`Fleet`) and what it returns (:class:`Problem`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import Look

Variables = Mapping[str, Any]

#: The inventory's groups, and which roles their hosts run; a role's required variables are looked for there only.
ROLES_OF_GROUP = {
    "lb": ("nginx", "keepalived"),
    "backend": ("backend",),
    "kafka": ("java", "kafka"),
    "filebeat": ("filebeat",),
    "mysql": ("mysql",),
    "consumer": ("obsctl", "consumer", "console"),
}


class Problem(NamedTuple):
    """What cannot work, on which host (``fleet`` for all of them), and how to fix it."""

    host: str
    problem: str
    fix: str


class Fleet(NamedTuple):
    """All that the rules may know.

    Attributes:
        hosts: host to its variables, the roles' defaults included; a variable whose template fails is absent.
        groups: group to its hosts.
        inventory_names: host to the names of the variables that the inventory or the command line sets.
        broken: host to {variable: reason} for templates that cannot be resolved; no reason where another rule has
            named the value already.
        specs: role to its options, from argument_specs.
        looks: host to what it says about itself; a host that was not asked (``--limit``) is absent.
        core: ansible-core's (major, minor) on the control node.
        missing_files: variable to path, for files that the control node lacks.
        unusable_secrets: host to {secret: reason} for those that the control node cannot read.
        tags: tags that the command line asks for, where it runs playbooks of ours alone.
        known_tags: those that our playbooks have.
        strays: host to its groups, for those that are in groups, and in none of ours.
        alert_templates: host to its own templates of messages, by their names in the folder, with their texts; None
            for one that is no text. A host whose folder cannot be read is absent.
        certificate_faults: what is wrong with the CA's files and with ready certificates on the control node, where
            TLS is on.
        login: connection variables to what the command line or ansible.cfg gives where the inventory is silent.
    """

    hosts: Mapping[str, Variables]
    groups: Mapping[str, Sequence[str]]
    inventory_names: Mapping[str, set[str]]
    broken: Mapping[str, Mapping[str, str | None]]
    specs: Mapping[str, Mapping[str, Any]]
    looks: Mapping[str, Look]
    core: tuple[int, ...]
    missing_files: Mapping[str, str]
    unusable_secrets: Mapping[str, Mapping[str, str]]
    strays: Mapping[str, Sequence[str]] = {}
    login: Mapping[str, str] = {}
    alert_templates: Mapping[str, Mapping[str, str | None]] = {}
    certificate_faults: Sequence[Problem] = ()
    tags: Sequence[str] = ()
    known_tags: Sequence[str] = ()

    def group(self, name: str) -> list[tuple[str, Variables]]:
        """Return (host, variables) of a group's hosts."""
        return [(host, self.hosts[host]) for host in self.groups.get(name, ()) if host in self.hosts]

    def look(self, host: str) -> Look:
        """Return what a host says about itself; an empty answer for one that was not asked or did not answer."""
        return self.looks.get(host, Look())

    def answers(self) -> Iterator[tuple[str, Look]]:
        """Yield (host, look) of the hosts that did answer."""
        return ((host, look) for host, look in self.looks.items() if look.silence is None)

    def options(self) -> Iterator[tuple[str, str, str, Any]]:
        """Yield (group, host, name, value) of what the inventory sets for the roles that run on each host.

        A default that follows another variable is not among them: that one is named, once.
        """
        for group, roles in ROLES_OF_GROUP.items():
            names = [name for role in roles for name in self.specs.get(role, {})]
            for host, variables in self.group(group):
                own = self.inventory_names.get(host, set())
                yield from (
                    (group, host, name, variables[name])
                    for name in names
                    if name in own and variables.get(name) is not None
                )

    def known_options(self) -> set[str]:
        """Return the names of all variables that a role declares."""
        return {option for options in self.specs.values() for option in options}


#: Looks at the fleet and yields what cannot work; never stops at the first problem.
Rule = Callable[[Fleet], Iterator[Problem]]


def value_at(variables: Variables, path: str) -> Any:
    """Return a variable's value, or an entry of a dictionary (``consumer_topics.access``)."""
    name, _dot, key = path.partition(".")
    value = variables.get(name)
    return value.get(key) if key and value else value


def is_list(value: object) -> bool:
    """Whether a value is a list, as YAML or a template makes one."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def first_sentence(description: str | Sequence[str] | None) -> str:
    """Return the first sentence of an option's description."""
    text = description if isinstance(description, str) else " ".join(description or [])
    return text.split(". ")[0].rstrip(".") or "it is required"
