# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""All rules in their order, and the function that runs them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import (
    agreement,
    alert_channels,
    alert_rules,
    alert_templates,
    certificates,
    console,
    database,
    filebeat,
    kafka_access,
    kafka_cluster,
    kafka_disks,
    kafka_topics,
    kinds,
    memory,
    names,
    network,
    platforms,
    reach,
    secrets,
    time_zones,
    values,
    vrrp,
    web,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, Rule

#: A new rule needs a function in its subject's module, an entry here, and a test inventory with its problem.
RULES: tuple[Rule, ...] = (
    names.tags,
    names.groups_are_there,
    names.strays,
    names.host_names,
    names.own_names,
    names.shared_variables,
    reach.unreachable,
    platforms.target_python,
    platforms.operating_systems,
    names.required_variables,
    values.specifications,
    values.ranges,
    values.empty_lists,
    values.sizes,
    values.durations,
    values.texts,
    values.paths,
    values.versions,
    alert_channels.alert_channels,
    alert_rules.alert_rules,
    alert_templates.alert_templates,
    names.unresolvable_variables,
    secrets.secrets,
    certificates.one_switch,
    certificates.ready_without_key,
    certificates.certificates,
    names.mistyped_variables,
    secrets.artifacts,
    kafka_cluster.node_ids,
    kafka_cluster.replication,
    kafka_cluster.properties,
    kafka_topics.topics,
    kafka_access.tls_stages,
    kafka_access.listeners,
    kafka_access.client_listeners,
    kafka_access.client_logins,
    kafka_access.client_certificates,
    kafka_access.rights_and_quotas,
    kafka_cluster.java_for_kafka,
    kafka_disks.disks,
    kafka_disks.foreign_directories,
    memory.memory,
    database.old_mysql,
    database.mysql_on_debian,
    database.certificate_names,
    console.database_password,
    console.address,
    console.proxy,
    console.oidc,
    network.virtual_address,
    web.own_certificates,
    web.answers,
    vrrp.vrrp,
    agreement.agreeing_variables,
    kafka_topics.topic_uses,
    kafka_topics.topics_of_alerters,
    kafka_topics.topics_exist,
    kafka_topics.message_sizes,
    filebeat.inputs,
    time_zones.time_zones,
    time_zones.error_log_zone,
    network.addresses,
    network.advertised_hosts,
    network.sources,
    network.extra_ports,
    network.ends,
    network.listens,
    network.ports,
    network.names_resolve,
    network.lock_out,
)


def find_problems(fleet: Fleet) -> list[Problem]:
    """Return all problems, those that several hosts share as one, in the rules' order."""
    misfits = list(kinds.wrong_types(fleet))
    named = {(problem.host, name) for name, problem in misfits}
    fleet = _without(fleet, named | (set(kinds.wrong_defaults(fleet)) if misfits else set()))
    broken = [*values.line_breaks(fleet), *values.login_ports(fleet)]
    fleet = _without(fleet, {(problem.host, name) for name, problem in broken})
    shared: dict[tuple[str, str], list[str]] = defaultdict(list)
    for found in [problem for _name, problem in misfits + broken] + [
        found for rule in RULES for found in _judge(rule, fleet)
    ]:
        hosts = shared[found.problem, found.fix]
        if found.host not in hosts:
            hosts.append(found.host)
    return [Problem(", ".join(hosts), problem, fix) for (problem, fix), hosts in shared.items()]


def _judge(rule: Rule, fleet: Fleet) -> list[Problem]:
    """Return what a rule finds; a rule that fails is itself a problem, and the others still run."""
    try:
        return list(rule(fleet))
    except Exception as error:  # the text may contain a value, which may be a secret
        name = getattr(rule, "__name__", "of this collection")
        what = f"the check {name} cannot judge this inventory ({type(error).__name__})"
        return [
            Problem(
                "fleet",
                what,
                "a value that this check reads has the wrong type: compare yours with roles/*/meta/argument_specs.yml",
            )
        ]


def _without(fleet: Fleet, values_of: Set[tuple[str, str]]) -> Fleet:
    """Return the fleet without the (host, variable) that are already reported, so that no other rule fails on them."""
    hidden: dict[str, set[str]] = defaultdict(set)
    for host, name in values_of:
        hidden[host].add(name)
    hosts = {h: _Without(view, hidden[h]) if h in hidden else view for h, view in fleet.hosts.items()}
    broken = {h: {**fleet.broken.get(h, {}), **dict.fromkeys(hidden.get(h, ()))} for h in {**fleet.broken, **hidden}}
    return fleet._replace(hosts=hosts, broken=broken)


class _Without(Mapping[str, Any]):
    """A host's variables, without the hidden ones."""

    def __init__(self, variables: Mapping[str, Any], hidden: set[str]) -> None:
        self._variables = variables
        self._hidden = hidden

    def __getitem__(self, name: str) -> Any:
        if name in self._hidden:
            raise KeyError(name)
        return self._variables[name]

    def __contains__(self, name: object) -> bool:
        return name not in self._hidden and name in self._variables

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._variables if name not in self._hidden)

    def __len__(self) -> int:
        return sum(1 for _name in self)
