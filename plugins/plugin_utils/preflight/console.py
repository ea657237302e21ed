# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The web console: whether hosts have it, and what it needs there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, Variables

#: As src/obsctl/console/config.py has it.
HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,63})?\Z")
#: As src/obsctl/console/people/roles.py has them.
ROLES = ("viewer", "operator", "admin")


def is_enabled(variables: Variables) -> bool:
    """Whether a host of the group consumer has the console."""
    return bool(boolean(variables.get("console_enabled"), strict=False))


def hosts(fleet: Fleet) -> list[tuple[str, Variables]]:
    """Return (host, variables) of the hosts that have the console."""
    return [(host, variables) for host, variables in fleet.group("consumer") if is_enabled(variables)]


def database_password(fleet: Fleet) -> Iterator[Problem]:
    """The console's database account has a password; the rule about TLS stages checks its Kafka user's."""
    for host, variables in fleet.group("mysql")[:1]:
        wanted = [one for one, own in hosts(fleet) if "console_database_password" not in fleet.inventory_names[one]]
        if wanted and not variables.get("mysql_console_password"):
            yield Problem(
                host,
                f"mysql_console_password is empty, but the console of {', '.join(wanted)} logs in to the database",
                "set mysql_console_password to vault:VARIABLE, file:/PATH or env:NAME; or set console_enabled to false "
                "for all hosts",
            )


def address(fleet: Fleet) -> Iterator[Problem]:
    """console_address is an address that a browser on another machine can reach."""
    for host, variables in hosts(fleet):
        given = variables.get("console_address")
        try:
            ipaddress.IPv4Address(str(given))
        except ValueError:
            yield Problem(
                host,
                f"console_address is {given}, not an IPv4 address",
                "write one of this host's addresses, or 0.0.0.0 for all of them",
            )


def proxy(fleet: Fleet) -> Iterator[Problem]:
    """The header that names the user is a valid one, and trusted proxies are listed."""
    for host, variables in hosts(fleet):
        header = str(variables.get("console_trusted_header") or "")
        if not HEADER.match(header):
            yield Problem(
                host,
                f"console_trusted_header is {header}, which is not a valid header name",
                "write letters, digits and -, such as X-Remote-User",
            )
        elif header and not variables.get("console_trusted_proxies"):
            yield Problem(
                host,
                f"console_trusted_header is {header}, but console_trusted_proxies lists no proxy that may send it",
                "list the addresses of the proxies in console_trusted_proxies",
            )


def oidc(fleet: Fleet) -> Iterator[Problem]:
    """For an OpenID Connect provider the console has a client id and a secret, and the connection is encrypted."""
    for host, variables in hosts(fleet):
        if not variables.get("console_oidc_issuer"):
            continue
        for name in ("console_oidc_issuer", "console_url"):
            if not _is_of_https(given := str(variables.get(name))):
                yield Problem(
                    host, f"{name} is {given}, not an address of https", "write https://HOST or https://HOST:PORT"
                )
        for name, fix in (
            ("console_oidc_client_id", "set it to the console's client id at the provider"),
            ("console_oidc_client_secret", "set it to vault:VARIABLE, file:/PATH or env:NAME"),
        ):
            if not variables.get(name):
                yield Problem(host, f"{name} is empty, but console_oidc_issuer names a provider", fix)
        roles = variables.get("console_oidc_roles")
        # What is of another kind is named as such.
        for group, role in roles.items() if isinstance(roles, Mapping) else ():
            if role not in ROLES:
                yield Problem(
                    host, f"console_oidc_roles gives the group {group} the role {role}", f"write {', '.join(ROLES)}"
                )


def _is_of_https(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        return False
