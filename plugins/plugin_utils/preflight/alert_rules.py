# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Alert rules: what obsctl-alerter would refuse at its start, asked before a host is touched.

Like the channels', a contract test compares them with the alerter's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.alert_entries import (
    Fault,
    Kind,
    mistyped,
    name_faults,
    option_faults,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.network import network_fault
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import INT_MAX, out_of

#: Options that a rule of any kind takes.
COMMON = ("name", "kind", "severity", "window_s", "resolve_after_s")
KINDS = {
    "requests_per_client": Kind(("threshold",), ("ignore_clients",)),
    "status_4xx": Kind(("threshold",), ()),
    "status_5xx_share": Kind(("share", "min_requests"), ()),
}
#: Option, least and greatest value.
BOUNDS = (
    ("window_s", 1, 3600),
    ("resolve_after_s", 1, INT_MAX),
    ("threshold", 1, INT_MAX),
    ("min_requests", 1, INT_MAX),
)


def alert_rules(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.group("consumer"):
        rules = variables.get("consumer_alert_rules") or []
        for rule in rules:
            for what, fix in _faults(rule):
                yield Problem(host, what, fix)
        for what, fix in name_faults("alert rule", rules):
            yield Problem(host, what, fix)


def _faults(rule: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield (what is wrong, what to do) about one rule."""
    what, kind = f"alert rule {rule.get('name')}", KINDS.get(str(rule.get("kind")))
    # An unknown kind is named by the role's own specification.
    if kind is None:
        return
    yield from option_faults(what, rule, COMMON, kind, f"the kind {rule['kind']}")
    yield from mistyped(what, rule)
    for option, low, high in BOUNDS:
        if rule.get(option) is not None and option in (*COMMON, *kind.needed) and not low <= int(rule[option]) <= high:
            yield (
                f"{what}: {option} is {rule[option]}, {out_of(int(rule[option]), low, high)}",
                "set it to a number in that range",
            )
    if "share" in kind.needed and rule.get("share") is not None and not 0 < float(rule["share"]) <= 1:
        yield f"{what}: share is {rule['share']}, not above 0 and at most 1", "write 0.05 for 5 %"
    for network in rule.get("ignore_clients") or []:
        if (fault := network_fault(network)) is not None:
            yield f"{what}: ignore_clients has {str(network)!r}, {fault[0]}", fault[1]
