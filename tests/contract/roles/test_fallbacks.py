"""What stands in for another role's default, where that one is not visible, is the same value."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from rig.collection import ROOT

from ansible_collections.obscraft.fleet.plugins.action.fleet_preflight import role_defaults  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.listeners import LISTENERS  # isort: skip

_VALUE = r"""('[^']*'|"[^"]*"|\[[^\]]*\]|\d+|true|false)"""
#: How templates and plugins write a variable and what stands in for it.
_IN_TEMPLATE = re.compile(r"\b([a-z]\w*) \| default\(" + _VALUE)
_IN_PYTHON = re.compile(r"""\.get\(['"]([a-z]\w*)['"](?:, |\) or )""" + _VALUE)
DEFAULTS = role_defaults()
#: Those that follow no other variable.
FIXED = {name: value for name, value in DEFAULTS.items() if not (isinstance(value, str) and "{{" in value)}


def _fallbacks() -> Iterator[tuple[str, str, object]]:
    """Yield file, variable and value; not an empty one, by which a reader says that the variable has none."""
    for folder, pattern in (("roles", _IN_TEMPLATE), ("ansible", _IN_TEMPLATE), ("plugins", _IN_PYTHON)):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".yml", ".j2", ".py"):
                for name, text in pattern.findall(path.read_text(encoding="utf-8")):
                    if name in FIXED and (value := yaml.safe_load(text)):
                        yield str(path.relative_to(ROOT)), name, value


FALLBACKS = list(_fallbacks())


def test_the_search_finds_both_kinds() -> None:
    found = {(path, name) for path, name, _ in FALLBACKS}
    assert ("plugins/filter/kafka_nodes.py", "kafka_tls_broker_port") in found
    assert ("roles/fleet_document/vars/main.yml", "kafka_tls_port") in found


@pytest.mark.parametrize(("path", "name", "value"), FALLBACKS)
def test_a_fallback_is_the_roles_default(path: str, name: str, value: object) -> None:
    assert value == FIXED[name], path


def test_a_listener_repeats_no_roles_default() -> None:
    """Firewall and preflight read the roles' defaults themselves."""
    for listener in LISTENERS:
        assert (listener.default is None) == (listener.variable in DEFAULTS), listener
