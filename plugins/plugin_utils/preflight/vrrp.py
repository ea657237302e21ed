# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Keepalived: its password, priorities, router ids and the weight of its check."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, Variables
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.secrets import is_one_line

#: keepalived silently cuts a VRRP password to this length.
AUTH_PASS_MAX = 8
# Blanks, quotes, # and ! end the word or begin a comment in keepalived.conf.
AUTH_PASS_PLAIN = re.compile(r"[A-Za-z0-9._-]+\Z")


def vrrp(fleet: Fleet) -> Iterator[Problem]:
    hosts = fleet.group("lb")
    by_priority: dict[int, list[str]] = defaultdict(list)
    by_vip: dict[object, set[object]] = defaultdict(set)
    for host, variables in hosts:
        secret = str(variables.get("keepalived_auth_pass", "") or "")
        # Another rule reports a secret of several lines.
        if len(secret) > AUTH_PASS_MAX and is_one_line(secret):
            yield Problem(
                host,
                f"keepalived_auth_pass has {len(secret)} characters; Keepalived uses only the first {AUTH_PASS_MAX}",
                f"use at most {AUTH_PASS_MAX} characters",
            )
        elif secret and is_one_line(secret) and not AUTH_PASS_PLAIN.match(secret):
            yield Problem(
                host,
                "keepalived_auth_pass has a character that keepalived.conf reads as the end of a word or as a comment",
                "use letters, digits, dots, dashes and underscores only",
            )
        if variables.get("keepalived_priority") is not None:
            by_priority[int(variables["keepalived_priority"])].append(host)
        by_vip[variables.get("keepalived_vip") or variables.get("fleet_vip")].add(variables.get("keepalived_vrid"))
    for priority, names in by_priority.items():
        if len(names) > 1:
            yield Problem(
                ", ".join(names),
                f"share keepalived_priority {priority}",
                "give each balancer its own keepalived_priority, as a host variable",
            )
    yield from _router_ids(by_vip)
    yield from _weights(hosts, sorted(by_priority))


def _router_ids(by_vip: Mapping[object, set[object]]) -> Iterator[Problem]:
    seen: dict[object, object] = {}
    for vip, vrids in by_vip.items():
        if len(vrids) > 1:
            listed = ", ".join(str(vrid) for vrid in sorted(vrids, key=str))
            yield Problem(
                "fleet",
                f"the balancers of {vip} have different keepalived_vrid ({listed}): each would hold the address",
                "set one keepalived_vrid for the group",
            )
        for vrid in vrids:
            if vrid in seen:
                yield Problem(
                    "fleet",
                    f"{seen[vrid]} and {vip} share keepalived_vrid {vrid}",
                    "give each virtual address of a network segment its own keepalived_vrid",
                )
            seen[vrid] = vip


def _weights(hosts: Sequence[tuple[str, Variables]], priorities: Sequence[int]) -> Iterator[Problem]:
    gap = priorities[-1] - priorities[0] if priorities else 0
    for host, variables in hosts:
        weight = int(variables.get("keepalived_check_weight", 0) or 0)
        if weight and variables.get("keepalived_nopreempt", True):
            yield Problem(
                host,
                f"keepalived_check_weight is {weight} with nopreempt: the address never moves when nginx fails",
                "set keepalived_check_weight to 0",
            )
        elif weight and abs(weight) <= gap:
            yield Problem(
                host,
                f"keepalived_check_weight {weight} is not larger than the priorities' gap of {gap}: the address never"
                " moves",
                f"set keepalived_check_weight to 0, or to more than {gap} in size",
            )
