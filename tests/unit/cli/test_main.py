"""Every way in which a command can end has its own exit code and readable words."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from obsctl.cli import main, program, settings
from obsctl.core.errors import ConfigError, ExitCode, MissingDependencyError, RefusedError
from obsctl.core.secrets import Secret


def _command(monkeypatch: pytest.MonkeyPatch, body: Callable[[], object]) -> None:
    command = settings.Command("probe", callback=body)
    monkeypatch.setattr(program.cli, "get_command", lambda _ctx, name: command if name == "probe" else None)


def _raise(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 78),
        (MissingDependencyError("x"), 69),
        (RefusedError("x"), 77),
        (click.UsageError("x"), 64),
        (click.BadParameter("x"), 64),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    _command(monkeypatch, _raise(error))
    assert main.run(["probe"]) == code


def test_a_command_returns_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    _command(monkeypatch, lambda: ExitCode.CRITICAL)
    assert main.run(["probe"]) == 2


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["no-such-command"]) == 64
    assert "no-such-command" in capsys.readouterr().err


def test_an_expected_error_shows_its_hint_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _command(monkeypatch, _raise(ConfigError("no inventory found", hint="name one")))
    assert main.run(["probe"]) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "obsctl: no inventory found\n  hint: name one\n"


def test_a_bug_becomes_a_report_file_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    token = Secret("tok-en-4711", "env:TOKEN")
    _command(monkeypatch, _raise(RuntimeError(f"POST /send?access_token={token.reveal()}")))
    assert main.run(["probe"]) == 70
    (report,) = tmp_path.glob("obsctl-bug-*.txt")
    text = report.read_text()
    assert "RuntimeError: POST /send?access_token=***" in text
    assert "tok-en-4711" not in text + capsys.readouterr().err


@pytest.mark.parametrize("argv", [["-o", "json", "probe"], ["probe", "-o", "json"], ["probe", "-ojson", "-q"]])
def test_shared_options_stand_before_or_after_the_command(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    seen: list[str] = []
    _command(monkeypatch, lambda: seen.append(settings.settings(click.get_current_context()).output))
    assert main.run(argv) == 0
    assert seen == ["json"]


def test_the_last_word_on_an_option_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    _command(monkeypatch, lambda: seen.append(settings.settings(click.get_current_context()).output))
    assert main.run(["-o", "json", "probe", "-o", "yaml"]) == 0
    assert seen == ["yaml"]


def test_a_reader_that_leaves_makes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", sys.stdout)  # click puts another one there
    _command(monkeypatch, _raise(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert main.run(["probe"]) == 0
