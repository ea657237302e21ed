# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""What a Kafka host's variables say, as several rules read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Variables


def has_role(variables: Variables, role: str) -> bool:
    """Whether a node is a ``broker``, or a ``controller``."""
    return role in (variables.get("kafka_process_roles") or ["broker", "controller"])


def brokers(fleet: Fleet) -> list[tuple[str, Variables]]:
    """Return (host, variables) of the brokers."""
    return [(host, variables) for host, variables in fleet.group("kafka") if has_role(variables, "broker")]


def given_properties(variables: Variables) -> Mapping[str, Any]:
    """Return ``kafka_properties``, which win over the role's own."""
    return variables.get("kafka_properties") or {}


def whole(value: Any) -> int | None:
    """Return a property's whole number, None where it is none."""
    return int(value) if re.fullmatch(r"\s*-?\d+\s*", str(value)) else None
