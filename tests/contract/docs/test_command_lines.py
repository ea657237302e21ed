"""Every ``obsctl`` command line that a help text, a document or a hint shows can be typed as it stands."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.completion

from obsctl.cli import main
from obsctl.cli.commands import CheckCommand, Command
from obsctl.cli.program import ROOT
from obsctl.core.errors import ExitCode
from tests.contract.docs.program import COMMANDS, GROUPS

PROJECT = Path(__file__).resolve().parents[3]
NAMES = {*COMMANDS, *GROUPS}
DOCUMENTS = [
    *PROJECT.glob("*.md"),
    *(path for path in PROJECT.glob("docs/**/*.md") if path.name != "decisions.md"),
]
#: A command line inside a text; in Python and YAML without placeholders of their own.
_SPAN = re.compile(r"`(obsctl [^`{}]+)`")


@pytest.fixture(autouse=True)
def _nothing_is_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Any, ctx: Any) -> ExitCode:
        alone = ctx.params.get("until") is not None and ctx.params.get("watch") is None
        return ExitCode.USAGE if isinstance(self, CheckCommand) and alone else ExitCode.OK

    monkeypatch.setattr(Command, "invoke", stop)
    monkeypatch.setattr(CheckCommand, "invoke", stop)
    # Typer carries its own option out while it parses: it looks which shell has called it, which none has in a test
    # without a terminal, and writes to that shell's files.
    monkeypatch.setattr(typer.completion, "install", lambda shell=None: (shell or "bash", Path("nowhere")))


def refused(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the program says against a command line, or an empty text."""
    words = list(_words(line))[1:]
    if " ".join(words) in NAMES or words[-1:] == ["…"]:
        return ""  # a text speaks of the command
    code = main.run(words)
    said = capsys.readouterr()
    return "" if code == ExitCode.OK else f"{line}: {said.err}"


def _words(line: str) -> Iterator[str]:
    """Yield the words up to what a shell makes of the rest of a line: a pipe, a redirection, a comment."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    for word in reader:
        if set(word) <= set("();<>|&"):
            return
        yield word


def lines_of(document: Path) -> Iterator[str]:
    for line in document.read_text(encoding="utf-8").splitlines():
        yield from _SPAN.findall(line)
        if found := re.match(r"\s*(?:\$ |sudo )?(obsctl [a-z-].*)", line):
            yield found[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_document_shows_what_can_be_typed(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [said for line in lines_of(document) if (said := refused(line, capsys))]
    assert not wrong, "\n".join(wrong)


EPILOGS = {"obsctl": ROOT.epilog} | {f"obsctl {name}": found.epilog for name, found in (COMMANDS | GROUPS).items()}


@pytest.mark.parametrize("command", EPILOGS)
def test_the_examples_of_a_command_can_be_typed_and_fit_80_columns(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in (EPILOGS[command] or "").splitlines() if line.startswith("  ")]
    assert lines, f"{command} shows no example"
    assert [line for line in lines if len(line) > 78] == []
    assert all(line.startswith(f"  {command}") for line in lines), lines
    wrong = [said for line in lines if (said := refused(line.strip(), capsys))]
    assert not wrong, "\n".join(wrong)


def hints(module: Path) -> Iterator[str]:
    """Yield the command lines between backticks in a module's texts, but for those with a value of the moment."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield from (span for span in _SPAN.findall(node.value) if "\n" not in span)


def test_a_hint_shows_what_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    modules = sorted((PROJECT / "src/obsctl").rglob("*.py"))
    wrong = [f"{path.name}: {said}" for path in modules for line in hints(path) if (said := refused(line, capsys))]
    assert not wrong, "\n".join(wrong)
