"""``--help`` of every command: whole sentences, 80 columns, colours only for a terminal that has them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from tests.contract.docs.program import COMMANDS, GROUPS

_START = [sys.executable, "-c", "from obsctl.cli.main import main; main()"]
#: What Typer and rich ask of the environment beside the terminal.
_ASKED = {"GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS", "NO_COLOR", "TYPER_USE_RICH", "TERMINAL_WIDTH"}
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _ASKED} | {"COLUMNS": "80"}


def helped(*argv: str, **environment: str) -> str:
    done = subprocess.run(
        [*_START, *argv, "--help"], env=_ENVIRONMENT | environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.mark.parametrize("command", ["", *GROUPS, *COMMANDS])
def test_help_fits_80_columns_and_has_examples(command: str) -> None:
    text = helped(*command.split())
    assert "\x1b" not in text, "this is no terminal"
    assert f"Usage: obsctl {command}".strip() in text
    assert "\n Examples:" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_and_argument_is_a_sentence(command: str) -> None:
    for parameter in COMMANDS[command].params:
        assert parameter.help, f"{command}: {parameter.name} has no help"
        assert parameter.help[0].isupper(), f"{command}: {parameter.name}"
        assert parameter.help.endswith("."), f"{command}: {parameter.name}"


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS])
def test_no_option_is_declared_twice_and_nothing_is_read_as_markup(command: str) -> None:
    found = (COMMANDS | GROUPS)[command]
    names = [option for parameter in found.params for option in parameter.opts]
    assert len(names) == len(set(names))
    assert {"--output", "--inventory", "--quiet"} <= set(names)
    texts = [found.help, found.epilog, *(parameter.help for parameter in found.params)]
    assert "[" not in "".join(texts), "rich takes what stands in brackets for its own"


def test_help_without_rich_keeps_its_lines() -> None:
    text = helped("verify", "lb", TYPER_USE_RICH="0")
    assert "Examples:\n  obsctl verify lb\n  obsctl verify lb -n 3000" in text
    assert "╭" not in text


def on_a_terminal(**environment: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*_START, "--help"], stdin=theirs, stdout=theirs, stderr=theirs, env=_ENVIRONMENT | environment
    ):
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65536)
            except OSError:  # Linux's way of an end of file
                break
    os.close(ours)
    return said.decode()


def test_colours_are_for_a_terminal_that_has_them() -> None:
    assert "\x1b[" in on_a_terminal(TERM="xterm-256color")
    assert "\x1b[36m" not in on_a_terminal(TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(TERM="dumb")
