# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The memory that services reserve at their start, compared with what the host has."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import parse_size

MIB = 1024**2
#: Group of the hosts, and the variable with what the service there takes.
TAKES = (("kafka", "kafka_heap"), ("mysql", "mysql_buffer_pool"))


def memory(fleet: Fleet) -> Iterator[Problem]:
    for host, look in fleet.answers():
        taken = {
            name: size
            for group, name in TAKES
            if host in fleet.groups.get(group, ())
            for size in [parse_size(fleet.hosts.get(host, {}).get(name))]
            if size
        }
        if look.memory is None or sum(taken.values()) < look.memory:
            continue
        names, values = " and ".join(taken), " and ".join(str(fleet.hosts[host][name]) for name in taken)
        yield Problem(
            host,
            f"{names} {'is' if len(taken) == 1 else 'are'} {values}, but the host has {look.memory // MIB} MiB of "
            "memory",
            f"lower {names}, or give the host more memory",
        )
