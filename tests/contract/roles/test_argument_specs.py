"""Every role says what it takes: its argument specification and its defaults are the same list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
#: They hold the variables that several roles read.
SHARED = ("common", "fleet_document", "fleet_tls", "fleet_topics")


class _Loader(yaml.SafeLoader):
    """Reads ``!vault`` and ``!unsafe`` as plain text."""


_Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def _load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), _Loader) or {}  # noqa: S506 -- a SafeLoader with two more tags


def _same(one: Any, other: Any) -> bool:
    # A folded string of one file is a plain one in the other.
    if isinstance(one, str) and isinstance(other, str):
        return " ".join(one.split()) == " ".join(other.split())
    return bool(one == other)


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir()))
def test_specification_and_defaults_agree(role: str) -> None:
    options = _load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options", {})
    defaults = _load(ROLES / role / "defaults/main.yml")
    required = {name for name, option in options.items() if option.get("required")}
    assert set(defaults) | required == set(options)
    assert not required & set(defaults), "what has a default is not required"
    different = {
        n: (options[n].get("default"), v) for n, v in defaults.items() if not _same(options[n].get("default"), v)
    }
    assert not different
    for name, option in options.items():
        assert name.startswith((f"{role}_", *(("fleet_",) if role in SHARED else ()))), name
        assert option.get("description"), name
        assert option.get("type"), name


@pytest.mark.parametrize("path", sorted(ROLES.rglob("*.yml")), ids=lambda path: str(path.relative_to(ROLES)))
def test_no_key_is_given_twice(path: Path) -> None:
    """Also not by a merge (``<<``) beside it: Ansible warns about each, in every run of every playbook."""
    nodes = [node for node in [yaml.compose(path.read_text(), _Loader)] if node]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            assert len(keys) == len(set(keys)), keys
            assert keys == ["<<"] or "<<" not in keys, keys
            nodes += [value for _, value in node.value]
