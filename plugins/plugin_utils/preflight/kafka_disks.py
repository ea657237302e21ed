# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Kafka's disks: whether the retained records fit, and whether foreign directories are on them."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.kafka_node import brokers
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem

GIB = 1024**3
#: Share of a filesystem that records may fill; the rest is for the active segments and for compaction.
DISK_SHARE = 0.85


def disks(fleet: Fleet) -> Iterator[Problem]:
    nodes = brokers(fleet)
    for host, variables in nodes:
        sizes = fleet.look(host).disks
        path = variables.get("kafka_data_dir", "")
        per_day = float(variables.get("kafka_expected_gib_per_day", 0))
        if path not in sizes:
            continue
        days = float(variables.get("kafka_retention_hours", 168)) / 24
        copies = min(int(variables.get("kafka_replication_factor", 3)), len(nodes))
        needed = days * per_day * copies / len(nodes) * GIB
        if needed > sizes[path] * DISK_SHARE:
            yield Problem(
                host,
                f"{path} has room for {sizes[path] / GIB:.0f} GiB, but {days:.0f} days of {per_day:g} GiB with "
                f"{copies} copies over {len(nodes)} brokers need {needed / GIB / DISK_SHARE:.0f}",
                "give it a larger disk, or lower kafka_retention_hours",
            )
        segment = int(variables.get("kafka_segment_bytes") or 0)
        if segment > sizes[path] * DISK_SHARE:
            yield Problem(
                host,
                f"kafka_segment_bytes is {segment}, but {path} has room for {sizes[path]} bytes: one segment fills the "
                "disk",
                "lower kafka_segment_bytes, or give it a larger disk",
            )


def foreign_directories(fleet: Fleet) -> Iterator[Problem]:
    """A broker expects every directory in its data to be a partition, and does not start otherwise."""
    for host, _variables in brokers(fleet):
        look = fleet.look(host)
        for path in look.foreign_directories:
            parent, _slash, name = path.rpartition("/")
            # On a node that has data, another directory would be an empty one.
            if look.kafka_is_formatted:
                fix = "move it to another place before Kafka restarts"
                fix += f": `rmdir {path}`, which removes an empty one" if name == "lost+found" else ""
            else:
                fix = f"give Kafka a directory of its own below it: kafka_data_dir: {parent}/data"
            yield Problem(host, f"{path} is no partition: Kafka does not start with such a directory in its data", fix)
