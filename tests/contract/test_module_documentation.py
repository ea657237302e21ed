"""What ``ansible-doc`` shows of a module's options is what the module takes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

from rig.collection import ROOT

MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))


class TakenError(Exception):
    """In place of the module's run: carries the options that it takes."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.options = options


def _stop(argument_spec: Mapping[str, Any], **_: Any) -> None:
    raise TakenError(argument_spec)


def _facts(options: Mapping[str, Any], inner: str) -> dict[str, Any]:
    """Return what both sides say of each option; the code says more, such as ``no_log``.

    Args:
        options: by name.
        inner: the key of a mapping's own options.
    """
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": bool(option.get("required")),
            "default": option.get("default"),
            "choices": sorted(option.get("choices") or ()),
            "options": _facts(option.get(inner) or {}, inner),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_documented_options_are_those_that_the_module_takes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"ansible_collections.obscraft.fleet.plugins.modules.{path.stem}")
    monkeypatch.setattr(module, "AnsibleModule", _stop)
    with pytest.raises(TakenError) as taken:
        module.main()
    documented = get_docstring(str(path), fragment_loader)[0]["options"]
    assert _facts(documented, "suboptions") == _facts(taken.value.options, "options")
