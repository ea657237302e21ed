"""Each check is a folder with its parts, and a command of the program that takes the options of checks."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest
from tests.contract.docs.program import COMMANDS

import obsctl.checks
from obsctl.checks.artifacts.snapshot import ArtifactSnapshot
from obsctl.checks.check import Check
from obsctl.checks.lab.snapshot import LabSnapshot
from obsctl.cli.commands import CheckCommand

FOLDER = Path(obsctl.checks.__file__).parent
FOLDERS = {path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists()} - {"ask"}
#: Judged like a check, but no check: each look sends messages to channels, so it is not to be repeated.
ACTIONS = {"channels", "wire"}
CHECKS = sorted(FOLDERS - ACTIONS)
#: What a check is made with, where its command line does not say it.
_GIVEN = {
    "artifacts_check": [lambda: ArtifactSnapshot(folder="")],
    "lab_check": [lambda: LabSnapshot(record={}, hosts=())],
    "health_check": ["status"],
}


def checks(name: str) -> list[Check]:
    module = import_module(f"obsctl.checks.{name}.check")
    makers = [
        maker
        for key, maker in inspect.getmembers(module, inspect.isfunction)
        if key.endswith("_check") and maker.__module__ == module.__name__
    ]
    assert makers, f"obsctl/checks/{name}/check.py makes no check"
    return [maker(*_GIVEN.get(maker.__name__, ())) for maker in makers]


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_a_check_has_its_parts(name: str) -> None:
    for part in ("snapshot", "judge", "tables", *(() if name in ACTIONS else ("check",))):
        assert (FOLDER / name / f"{part}.py").exists(), f"obsctl/checks/{name} has no {part}.py"


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_a_command(name: str) -> None:
    for check in checks(name):
        # An option may choose another check of the same command.
        command = COMMANDS.get(check.command.partition(" --")[0])
        assert command is not None, f"obsctl/checks/{name}: the program has no command `{check.command}`"
        assert isinstance(command, CheckCommand), f"`{check.command}` does not take the options of checks"
        assert check.layouts, f"`{check.command}` has no table for people"


def test_a_command_of_a_check_has_its_folder() -> None:
    made = {check.command.partition(" --")[0] for name in CHECKS for check in checks(name)} | {"health"}
    assert {name for name, command in COMMANDS.items() if isinstance(command, CheckCommand)} == made
