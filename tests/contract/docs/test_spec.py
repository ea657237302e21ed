"""``obsctl spec`` says what the program and its documents say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from obsctl.cli import main
from obsctl.cli.commands import CheckCommand
from obsctl.core.errors import ExitCode
from tests.contract.docs.program import COMMANDS
from tests.contract.docs.test_commands_page import RUNBOOKS, SECTIONS


@pytest.fixture
def spec(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main.run(["spec"]) == 0
    return json.loads(capsys.readouterr().out)


def command(spec: dict[str, Any], name: str) -> dict[str, Any]:
    return next(found for found in spec["commands"] if found["name"] == name)


def test_it_has_every_command_with_its_section(spec: dict[str, Any]) -> None:
    names = [found["name"] for found in spec["commands"]]
    assert names == list(COMMANDS)
    assert set(names) <= set(SECTIONS)
    checks = {found["name"] for found in spec["commands"] if found["check"]}
    assert checks == {name for name, found in COMMANDS.items() if isinstance(found, CheckCommand)}


def test_each_option_and_argument_is_in_it(spec: dict[str, Any]) -> None:
    for name, found in COMMANDS.items():
        described = command(spec, name)
        options = {word for option in described["options"] for word in option["names"]}
        wanted = {word for one in found.params if one.param_type_name == "option" for word in one.opts}
        assert options == wanted, name
        arguments = [one for one in found.params if one.param_type_name == "argument"]
        assert [one["name"] for one in described["arguments"]] == [one.metavar or one.name for one in arguments]
        assert described["examples"], name


def test_exit_codes_and_findings_are_the_programs(spec: dict[str, Any]) -> None:
    assert [one["code"] for one in spec["exit_codes"]] == [code.value for code in ExitCode]
    assert {one["code"] for one in spec["findings"]} == {page.stem for page in RUNBOOKS.glob("[A-Z]*_*.md")}


def test_an_option_says_what_it_takes(spec: dict[str, Any]) -> None:
    options = {word: one for one in command(spec, "verify lb")["options"] for word in one["names"]}
    assert {name: options["-n"][name] for name in ("type", "min", "max", "metavar")} == {
        "type": "integer", "min": 60, "max": None, "metavar": "N",
    }  # fmt: skip
    assert (options["-o"]["default"], options["-o"]["type"]) == ("table", "choice")
    assert options["-o"]["choices"] == ["table", "wide", "json", "ndjson", "yaml", "nagios"]
    assert options["--quiet"]["type"] == "flag"
    assert options["--fail-on"]["default"] == "warning"
    assert options["--ignore"]["multiple"] is True


def test_the_page_names_what_is_in_it(spec: dict[str, Any]) -> None:
    """A name that is taken away or added is a change of the page, hence seen."""
    page = "\n".join(SECTIONS["spec"])
    named = set(re.findall(r"`(\w+)(?:\[\])?`", page))
    found = command(spec, "consumer reset")
    names = {*spec, *found, *found["options"][0], *spec["exit_codes"][0], *spec["findings"][0], "name"}
    assert names == named - {"text", "integer", "float", "path", "choice", "flag"}
