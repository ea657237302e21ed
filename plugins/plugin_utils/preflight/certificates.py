# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The CA of the fleet and ready certificates, checked before a host needs one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import console
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem

#: Group to the use of its hosts' certificates.
USES = {"kafka": "kafka", "mysql": "mysql", "lb": "nginx", "backend": "backend", "consumer": "console"}


def has_certificate(variables: Mapping[str, Any], use: str) -> bool:
    """Whether the role ``certificates`` gives a host one for this use."""
    if not _is_on(variables, "fleet_tls"):
        return False
    if use == "nginx":
        own = variables.get("nginx_tls_certificate_file") or variables.get("nginx_tls_certificate_path")
        return bool(variables.get("nginx_tls_listen")) and not own
    if use == "mysql":
        return bool(variables.get("mysql_tls") != "clear")
    if use == "console":
        return console.is_enabled(variables)
    return use != "backend" or _is_on(variables, "backend_tls")


def has_own_file(variables: Mapping[str, Any], use: str) -> bool:
    """Whether nginx has a certificate of the site's own, from the control node."""
    on = use == "nginx" and _is_on(variables, "fleet_tls") and variables.get("nginx_tls_listen")
    return bool(on and variables.get("nginx_tls_certificate_file"))


def _is_on(variables: Mapping[str, Any], name: str) -> bool:
    return bool(boolean(variables.get(name) or False, strict=False))


def one_switch(fleet: Fleet) -> Iterator[Problem]:
    """A client and its server both have TLS, or neither has it."""
    switched: dict[bool, list[str]] = {True: [], False: []}
    for host, variables in fleet.hosts.items():
        switched[_is_on(variables, "fleet_tls")].append(host)
    on, off = (", ".join(sorted(switched[state])) for state in (True, False))
    if on and off:
        yield Problem(
            "fleet",
            f"fleet_tls is on for {on}, and off for {off}",
            "set it once, for all hosts (group_vars/all)",
        )


def certificates(fleet: Fleet) -> Iterator[Problem]:
    yield from fleet.certificate_faults


def ready_without_key(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.hosts.items():
        if variables.get("certificates_ready_certificate") and not variables.get("certificates_ready_key"):
            yield Problem(
                host,
                "certificates_ready_certificate is set and certificates_ready_key is not",
                "set certificates_ready_key to the file of its key on the control node",
            )
