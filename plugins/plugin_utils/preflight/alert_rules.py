# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Alert rules: what obsctl-alerter would refuse at its start, asked before a host is touched.

Like the channels', a contract test compares them with the alerter's own.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.alert_channels import Fault, Kind, mistyped
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem
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
        for name, times in Counter(str(rule.get("name")) for rule in rules).items():
            if times > 1:
                yield Problem(host, f"{times} alert rules have the name {name}", "give each rule a name of its own")


def _faults(rule: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield (what is wrong, what to do) about one rule."""
    what, kind = f"alert rule {rule.get('name')}", KINDS.get(str(rule.get("kind")))
    # An unknown kind is named by the role's own specification.
    if kind is None:
        return
    taken = (*COMMON, *kind.needed, *kind.others)
    missing = [option for option in kind.needed if rule.get(option) is None]
    if missing:
        yield f"{what} has no {' and no '.join(missing)}", f"the kind {rule['kind']} needs {', '.join(kind.needed)}"
    foreign = [option for option, value in rule.items() if value is not None and option not in taken]
    if foreign:
        which = f"which the kind {rule['kind']} does not take"
        yield f"{what} has {', '.join(foreign)}, {which}", f"it takes {', '.join(taken)}"
    yield from mistyped(what, rule)
    for option, low, high in BOUNDS:
        if rule.get(option) is not None and option in taken and not low <= int(rule[option]) <= high:
            yield (
                f"{what}: {option} is {rule[option]}, {out_of(int(rule[option]), low, high)}",
                "set it to a number in that range",
            )
    if "share" in kind.needed and rule.get("share") is not None and not 0 < float(rule["share"]) <= 1:
        yield f"{what}: share is {rule['share']}, not above 0 and at most 1", "write 0.05 for 5 %"
    for network in rule.get("ignore_clients") or []:
        if not is_network(network):
            yield (
                f"{what}: ignore_clients has {str(network)!r}, neither an address nor a network",
                "write addresses (192.0.2.10) or networks (192.0.2.0/24)",
            )


def is_network(text: Any) -> bool:
    """Whether a text is an address, or a network without bits of a host."""
    try:
        ipaddress.ip_network(str(text))
    except ValueError:
        return False
    return True
