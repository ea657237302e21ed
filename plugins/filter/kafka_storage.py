# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Decide what may be formatted, from the storage of all nodes at once.

A wrong decision here destroys data: a node that is formatted with a new cluster id never joins again, and an empty
majority of controllers can elect a leader that lost every topic. So nothing is formatted unless all nodes were read,
and a node that knows a cluster without holding its data has lost a disk, or has not mounted it.
"""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: kafka_storage_plan
short_description: Which Kafka nodes to format, with which cluster id, or why not
version_added: 0.1.0
description:
  - Compares the storage of all nodes before any node is changed.
options:
  _input:
    description: Host name to what M(obscraft.fleet.kafka_storage_info) returned there.
    type: dict
    required: true
  node_ids:
    description: Host name to node id, for every node of the cluster.
    type: dict
    required: true
  cluster_id:
    description: The cluster id of the inventory, or an empty string.
    type: str
    default: ""
  allow_lost:
    description: Hosts whose empty storage may be formatted although the cluster has data.
    type: list
    elements: str
    default: []
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: Compare the nodes
  ansible.builtin.assert:
    that: not plan.problems
  vars:
    plan: "{{ storage | obscraft.fleet.kafka_storage_plan(node_ids) }}"
"""

RETURN = r"""
_value:
  description: C(cluster_id), C(format) (the hosts to format) and C(problems) (sentences; nothing is formatted then).
  type: dict
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

#: What one node says about its storage, as the module kafka_storage_info returns it.
State = Mapping[str, Any]


def kafka_storage_plan(
    storage: Mapping[str, State],
    node_ids: Mapping[str, int | str],
    cluster_id: str = "",
    allow_lost: Collection[str] = (),
) -> dict[str, Any]:
    """Return ``{"cluster_id": str, "format": [host], "problems": [str]}``.

    Args:
        storage: host to the storage's state; a host that could not be read is absent.
        node_ids: host to node id, for every node of the cluster, read or not.
        cluster_id: the inventory's cluster id, or "".
        allow_lost: hosts whose empty storage may be formatted although others hold data.
    """
    unread = [host for host in node_ids if not storage.get(host)]
    read = {host: storage[host] for host in node_ids if host not in unread}
    formatted = {host: state for host, state in read.items() if state["formatted"]}
    empty = [host for host in read if host not in formatted]

    problems = _damaged(formatted, node_ids) + _mixed(read, cluster_id) + _foreign(read)
    ids = sorted({found for state in read.values() for found in _ids(state)})
    if empty and unread:
        problems.append(
            f"{_names(empty)} would be formatted, but the storage of {_names(unread)} was not read: "
            "run on all Kafka hosts at once (no --limit, no serial), with all of them reachable"
        )
    problems += _lost(read, formatted, [host for host in empty if host not in allow_lost], ids)
    strangers = [host for host in empty if read[host]["has_lived"]]
    if strangers:
        problems.append(
            f"log directories but no meta.properties on {_names(strangers)}: this is a damaged storage or another "
            "program's data. Restore meta.properties or empty the directory by hand"
        )
    if problems:
        return {"cluster_id": ids[0] if len(ids) == 1 else "", "format": [], "problems": problems}
    chosen = ids[0] if ids else cluster_id or _candidate(read, node_ids)
    return {"cluster_id": chosen, "format": sorted(empty), "problems": []}


def _ids(state: State) -> set[str]:
    """The cluster ids that a node's storage and the file beside it name."""
    return {*state["cluster_ids"], *filter(None, [state["known_cluster_id"]])}


def _lost(
    read: Mapping[str, State], formatted: Mapping[str, State], empty: Sequence[str], ids: Sequence[str]
) -> list[str]:
    """Empty nodes of a cluster that has, or had, data."""
    lived = [host for host, state in formatted.items() if state["has_lived"]]
    orphans = [host for host in empty if read[host]["known_cluster_id"]]
    lost = empty if lived or orphans else []
    if not lost:
        return []
    where = f"the data of cluster {', '.join(ids)} is on {_names(lived)}" if lived else "no node holds its data"
    problem = f"no storage on {_names(lost)}, while {where}: "
    if orphans:
        problem += f"{_names(orphans)} belongs to cluster {', '.join(ids)}, so its disk is lost or not mounted, or "
        problem += "kafka_data_dir has changed. Mount the disk, or correct the variable. "
    else:
        problem += f"{_names(lost)} lost its disk or is new. "
    problem += (
        "An empty controller can help to elect a leader that lost data, so it is formatted only if you name it. "
        "Check that the others are healthy, then set "
        f"kafka_allow_format_lost_nodes: [{', '.join(sorted(lost))}]"
    )
    return [problem]


def _damaged(formatted: Mapping[str, State], node_ids: Mapping[str, int | str]) -> list[str]:
    """Nodes whose own directories contradict each other or the inventory."""
    problems = []
    for host, state in formatted.items():
        if len(state["cluster_ids"]) > 1:
            problems.append(f"{host}: its directories belong to different clusters: {', '.join(state['cluster_ids'])}")
        if state["node_ids"] and state["node_ids"] != [int(node_ids[host])]:
            found = ", ".join(str(n) for n in state["node_ids"])
            problems.append(
                f"{host}: its storage is of node id {found}, the inventory says kafka_node_id: {node_ids[host]}. "
                "The node id is stored on the disk: correct the inventory"
            )
        if state["unformatted_dirs"]:
            problems.append(
                f"{host}: {', '.join(state['unformatted_dirs'])} is not formatted, its other directories are: "
                "a disk was lost or added. Check that log.dirs in /etc/kafka/server.properties has it, then format it "
                f"on {host}: `runuser --user=kafka -- kafka-cli storage format --ignore-formatted "
                f"--cluster-id={next(iter(state['cluster_ids']), 'ID')} --config=/etc/kafka/server.properties`"
            )
    return problems


def _foreign(read: Mapping[str, State]) -> list[str]:
    """Directories beside the partitions, with which a broker does not start."""
    problems = []
    for host, state in read.items():
        for path in map(PurePosixPath, state["foreign_dirs"]):
            above = path.parent
            problem = f"{host}: {path} is not a partition, and Kafka does not start with it: "
            if not state["formatted"]:
                problem += (
                    f"set kafka_data_dir (or log.dirs in kafka_properties) to a directory below, such as {above}/data"
                )
            elif path.name == "lost+found":
                problem += (
                    f"`rmdir {path}` on {host} removes it while it is empty; fsck creates it again when it needs it"
                )
            else:
                problem += f"move it out of {above}"
            problems.append(problem)
    return problems


def _mixed(read: Mapping[str, State], cluster_id: str) -> list[str]:
    """Nodes of different clusters, or of another one than the inventory's."""
    by_id: dict[str, list[str]] = {}
    for host, state in read.items():
        for found in sorted(_ids(state)):
            stored = found in state["cluster_ids"]
            by_id.setdefault(found, []).append(host if stored else f"{host} (by its cluster.id)")
    problems = []
    if len(by_id) > 1:
        parts = [f"cluster id {found} on {_names(hosts)}" for found, hosts in sorted(by_id.items())]
        problems.append(
            f"the nodes belong to different clusters: {'; '.join(parts)}. Find out which node is foreign; "
            "nothing is formatted"
        )
    for found, hosts in sorted(by_id.items()):
        if cluster_id and found != cluster_id:
            problems.append(
                f"cluster id {found} on {_names(hosts)}, the inventory says kafka_cluster_id: {cluster_id}. "
                "Correct the inventory, or find out whose disk this is"
            )
    return problems


def _candidate(read: Mapping[str, State], node_ids: Iterable[str]) -> str:
    # Every node proposes a random id; the one of the first node in the inventory is used on all.
    return str(read[next(host for host in node_ids if host in read)]["candidate_id"]) if read else ""


def _names(hosts: Iterable[str]) -> str:
    return ", ".join(sorted(hosts))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"kafka_storage_plan": kafka_storage_plan}
