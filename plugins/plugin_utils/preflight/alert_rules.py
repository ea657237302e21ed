# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Alert rules: what obsctl-alerter would refuse at its start, checked before a host is touched.

The options come from :mod:`rule_options`, which is generated from the alerter's own. What only the alerter can check
(filters, fields, combinations) is checked on the host before it starts.
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
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.rule_options import COMMON, KINDS
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import INT_MAX

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


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
    what, own = f"alert rule {rule.get('name')}", KINDS.get(str(rule.get("kind")))
    # An unknown kind is named by the role's own specification.
    if own is None:
        return
    needed = tuple(name for name, option in own.items() if option.get("required"))
    kind = Kind(needed, tuple(name for name in own if name not in needed))
    options = {**COMMON, **own}
    yield from option_faults(what, rule, ("kind", *COMMON), kind, f"the kind {rule['kind']}")
    yield from mistyped(what, rule, types={name: option["type"] for name, option in options.items()})
    for name, option in options.items():
        if isinstance(rule.get(name), (int, float)) and not isinstance(rule[name], bool):
            yield from _out_of_bounds(f"{what}: {name}", rule[name], option)
    for network in rule.get("ignore_clients") or []:
        if (fault := network_fault(network)) is not None:
            yield f"{what}: ignore_clients has {str(network)!r}, {fault[0]}", fault[1]


def _out_of_bounds(what: str, value: float, option: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield that a number is beyond what its option takes."""
    bounds = [f"{word} {option[key]:g}" for key, word in _BOUNDS.items() if key in option]
    fits = (
        option.get("ge", value) <= value <= option.get("le", value)
        and ("gt" not in option or value > option["gt"])
        and ("lt" not in option or value < option["lt"])
        and not (option["type"] == "int" and value > INT_MAX)
    )
    if not fits:
        share = "; write 0.05 for 5 %" if option.get("le") == 1 else ""
        yield (
            f"{what} is {value}, not {' and '.join(bounds) or f'at most {INT_MAX}'}",
            f"set it to such a number{share}",
        )
