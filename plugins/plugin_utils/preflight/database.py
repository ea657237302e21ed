# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The database server: where it comes from, and its version."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem


def old_mysql(fleet: Fleet) -> Iterator[Problem]:
    for host, _variables in fleet.group("mysql"):
        version = fleet.look(host).mysql
        if version.startswith("5."):
            yield Problem(
                host,
                f"has database server {version}: the schema and the client library need MySQL 8.0 or MariaDB 10.5",
                "upgrade the server, or remove its package and let the role install a supported one",
            )


def mysql_on_debian(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.group("mysql"):
        own = variables.get("mysql_flavor", "mysql") == "mysql" and not variables.get("mysql_packages")
        if own and fleet.look(host).os_id == "debian":
            yield Problem(
                host,
                "runs Debian, which offers MariaDB but not MySQL",
                "set mysql_flavor to mariadb, or name the vendor's packages in mysql_packages and their unit in "
                "mysql_service",
            )


def certificate_names(fleet: Fleet) -> Iterator[Problem]:
    """Clients that verify the server's certificate connect by a name that it will contain."""
    for host, variables in fleet.group("mysql")[:1]:
        names = variables.get("mysql_certificate_names")
        if variables.get("mysql_tls", "clear") == "clear" or names is None:
            continue
        for client, own in fleet.group("consumer"):
            wanted = own.get("consumer_database_host")
            if own.get("consumer_database_ca_file") and wanted and wanted not in names:
                yield Problem(
                    client,
                    f"consumer_database_host is {wanted}, which the certificate of {host} does not name: "
                    f"{', '.join(map(str, names))}",
                    f"add {wanted} to mysql_certificate_names, or connect to one of these",
                )
