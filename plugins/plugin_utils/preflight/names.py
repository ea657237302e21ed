# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Groups, host names, and variables that are absent, mistyped or cannot be computed."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import (
    ROLES_OF_GROUP,
    Fleet,
    Problem,
    first_sentence,
)

#: Every role may read them, but only `common` has defaults for them.
SHARED = ("fleet_vip", "fleet_admin_sources", "fleet_artifacts_dir")
#: Group, variable, and what happens when two hosts of the group have one value.
OWN_NAMES = (
    ("filebeat", "filebeat_name", "equal lines at the same offset of two hosts' logs would be stored as one"),
    ("consumer", "consumer_instance", "each would take the other's partitions away"),
    ("backend", "backend_name", "their answers could not be distinguished"),
)
#: Characters of a host name, and of each part between its dots (RFC 1123; 64 is Linux's own limit).
NAME_MAX, PART_MAX = 64, 63


def groups_are_there(fleet: Fleet) -> Iterator[Problem]:
    for name in ROLES_OF_GROUP:
        if not fleet.groups.get(name):
            yield Problem("fleet", f"group {name} has no host", f"put at least one host into the group {name}")


#: Tags that mean something to Ansible itself.
_EVERY_TAG = ("all", "always", "never", "tagged", "untagged")


def tags(fleet: Fleet) -> Iterator[Problem]:
    """Tags of the command line that no play has: Ansible would do nothing, and report success."""
    for tag in fleet.tags:
        if tag in _EVERY_TAG or tag in fleet.known_tags:
            continue
        near = difflib.get_close_matches(tag, fleet.known_tags, n=1)
        yield Problem(
            "fleet",
            f"no play has the tag {tag}: nothing would be done for it",
            f"did you mean {near[0]}?" if near else f"use one of {', '.join(fleet.known_tags)}",
        )


def strays(fleet: Fleet) -> Iterator[Problem]:
    """Hosts that no playbook would touch, and that Ansible would not mention."""
    foreign = next((own.get("fleet_foreign_groups") for own in fleet.hosts.values()), None) or []
    for host, groups in fleet.strays.items():
        unknown = [name for name in groups if not any(fnmatch.fnmatchcase(name, str(pattern)) for pattern in foreign)]
        # One of a foreign group is there for another playbook.
        if len(unknown) < len(groups):
            continue
        near = [close for name in unknown for close in difflib.get_close_matches(name, ROLES_OF_GROUP, n=1)]
        yield Problem(
            host,
            f"is only in the group{'s' * (len(unknown) > 1)} {', '.join(unknown)}, which no playbook knows: nothing "
            "would be installed there",
            f"did you mean the group {near[0]}?"
            if near
            else f"put it into one of {', '.join(ROLES_OF_GROUP)}, or name {unknown[0]} in fleet_foreign_groups in "
            "group_vars/all",
        )


def host_names(fleet: Fleet) -> Iterator[Problem]:
    for host in fleet.hosts:
        part = max(host.split("."), key=len)
        if len(part) > PART_MAX or len(host) > NAME_MAX:
            long, most = (part, PART_MAX) if len(part) > PART_MAX else (host, NAME_MAX)
            yield Problem(
                host,
                f"its name is too long: {len(long)} characters where a host name may have {most}",
                "give it a shorter name in the inventory; ansible_host holds its address",
            )
        elif not all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in host):
            yield Problem(
                host,
                "its name has a character that a host name cannot have",
                "use letters, digits, dots and dashes only",
            )


def own_names(fleet: Fleet) -> Iterator[Problem]:
    """A name that must differ between hosts, but is set once for several of them."""
    for group, variable, why in OWN_NAMES:
        users: dict[str, list[str]] = {}
        for host, variables in fleet.group(group):
            if variables.get(variable):
                users.setdefault(str(variables[variable]), []).append(host)
        for name, hosts in users.items():
            if len(hosts) > 1:
                yield Problem(
                    ", ".join(hosts),
                    f"share {variable} {name}: {why}",
                    f"remove {variable} (the inventory's name is the default), or set it as a host variable",
                )


def shared_variables(fleet: Fleet) -> Iterator[Problem]:
    for host, names in fleet.inventory_names.items():
        for name in SHARED:
            if name not in names:
                yield Problem(host, f"{name} is not set in the inventory", f"set {name} in group_vars/all")


def required_variables(fleet: Fleet) -> Iterator[Problem]:
    for name, roles in ROLES_OF_GROUP.items():
        for host, variables in fleet.group(name):
            for role in roles:
                for option, spec in fleet.specs.get(role, {}).items():
                    if spec.get("required") and option not in variables and option not in fleet.broken.get(host, {}):
                        fix = f"set it: {first_sentence(spec.get('description'))}"
                        yield Problem(host, f"{option} is not set", fix)


def unresolvable_variables(fleet: Fleet) -> Iterator[Problem]:
    known = fleet.known_options()
    for host, broken in fleet.broken.items():
        for variable, reason in sorted(broken.items()):
            ours = variable in known or variable.startswith("ansible_")
            if reason is not None and ours and variable in fleet.inventory_names.get(host, ()):
                yield Problem(host, f"{variable} has no value: {reason}", _mend(reason))


def _mend(reason: str) -> str:
    if "no vault secrets found" in reason or "Decryption failed" in reason:
        return (
            "give the vault's password: --ask-vault-pass, or ANSIBLE_VAULT_PASSWORD_FILE with the path of a file that "
            "holds it"
        )
    return (
        "define the variable that is named here; where the vault should hold it, compare group_vars/all/vault.yml with "
        "vault.yml.example"
    )


def mistyped_variables(fleet: Fleet) -> Iterator[Problem]:
    known = fleet.known_options()
    prefixes = tuple(f"{role}_" for role in (*fleet.specs, "fleet"))
    for host, names in fleet.inventory_names.items():
        foreign = fleet.hosts[host].get("fleet_foreign_variables") or []
        for name in sorted(names):
            if name in known or not name.startswith(prefixes):
                continue
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in foreign):
                continue
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            yield Problem(
                host,
                f"no role knows the variable {name}",
                f"did you mean {near[0]}?" if near else "remove it, or name it in fleet_foreign_variables",
            )
