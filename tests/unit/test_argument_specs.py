"""Every role's argument_specs say exactly what its defaults set, so that the reference cannot lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(p for p in (Path(__file__).resolve().parents[2] / "roles").iterdir() if (p / "tasks").is_dir())


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}


@pytest.fixture(params=ROLES, ids=lambda path: path.name)
def role(request: pytest.FixtureRequest) -> Path:
    return request.param


def _options(role: Path) -> dict[str, dict[str, Any]]:
    return _read(role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options") or {}


def test_specs_and_defaults_name_the_same_variables(role: Path):
    optional = {name for name, spec in _options(role).items() if not spec.get("required")}
    assert optional == set(_read(role / "defaults/main.yml"))


def test_specs_and_defaults_have_the_same_values(role: Path):
    stated = {name: spec["default"] for name, spec in _options(role).items() if "default" in spec}
    defaults = _read(role / "defaults/main.yml")
    assert stated == {name: value for name, value in defaults.items() if name in stated}
    silent = {name for name, spec in _options(role).items() if not spec.get("required")} - set(stated)
    # An empty default may stay unsaid; a value may not.
    assert {name: defaults[name] for name in silent if defaults[name] not in ("", [], {}, None)} == {}


def test_every_option_has_a_type_and_a_description(role: Path):
    bare = [name for name, spec in _options(role).items() if not spec.get("type") or not spec.get("description")]
    assert bare == []


def test_variables_carry_the_roles_name(role: Path):
    shared = ("fleet_",) if role.name == "common" else ()
    assert [name for name in _options(role) if not name.startswith((f"{role.name}_", *shared))] == []
