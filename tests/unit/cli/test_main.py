"""Every way in which a command can end has its own exit code and readable words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from obsctl.cli import commands, main, program, settings
from obsctl.core.errors import ConfigError, ExitCode, MissingDependencyError, RefusedError
from obsctl.core.secrets import Secret


def _command(monkeypatch: pytest.MonkeyPatch, body: Callable[[], object]) -> None:
    command = commands.Command("probe", callback=body)
    monkeypatch.setattr(program.ROOT, "resolve_command", lambda _ctx, args: ("probe", command, args[1:]))


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
        (typer.BadParameter("x"), 64),
        (typer.Exit(1), 64),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
        (EOFError(), 130),
        (BrokenPipeError(32, "Broken pipe"), 70),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    _command(monkeypatch, _raise(error))
    assert main.run(["probe"]) == code


def test_a_command_returns_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    _command(monkeypatch, lambda: ExitCode.CRITICAL)
    assert main.run(["probe"]) == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("helth",), "No such command 'helth'. Did you mean 'health'?\n  hint: obsctl --help"),
        (("kafka", "stats"), "No such command 'stats'. Did you mean 'status'?\n  hint: obsctl kafka --help"),
        (("status", "--wacht", "1"), "No such option: --wacht (Possible options: --watch)"),
        (("no-such-command",), "No such command 'no-such-command'"),
        (("verify", "lb", "-n", "5"), "Invalid value for '-n' / '--requests'"),
        (("consumer", "reset", "--topic", "t", "--to", "0"), "Missing option '--partition'"),
        (("-o", "xml", "status"), "'ndjson'"),
    ],
)
def test_a_wrong_call_is_a_usage_error_with_the_nearest_name(
    argv: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(argv) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("obsctl: ")
    assert words in captured.err


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (("-i", "", "status"), "'-i' / '--inventory'"),
        (("status", "--inventory="), "'-i' / '--inventory'"),
        (("status", "--from-file", ""), "'--from-file'"),
        (("status", "--save-snapshot", ""), "'--save-snapshot'"),
        (("artifacts", "verify", "--dest", ""), "'--dest'"),
        (("artifacts", "build", "--kafka-version", "4.1.0", "--kafka-version", ""), "'--kafka-version'"),
        (("consumer", "replay", "--reason", "parse", "--since", "7d", "--config", ""), "'--config'"),
        (("consumer", "replay", "--reason", "", "--since", "7d"), "'--reason'"),
        (("lab", "replay", "", "--host", "node1"), "'FILE'"),
    ],
)
def test_an_empty_value_is_not_taken_for_one_that_was_not_given(
    argv: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else ``obsctl -i "$INVENTORY"`` would ask another fleet where the variable is not set."""
    assert main.run(argv) == 64
    said = capsys.readouterr().err
    assert f"Invalid value for {option}: it is empty" in said


@pytest.mark.parametrize(
    "argv", [("-i", "\udcff", "status"), ("explain", "caf\udce9"), ("status", "--from-file", "\udcff")]
)
def test_bytes_that_are_no_text_are_no_value(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(argv) == 64
    assert "it is not text in UTF-8" in capsys.readouterr().err


def test_what_is_said_about_a_word_cannot_draw_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["status", "--from-file", "no\x1b[2Jsuch\x9b31m"]) == 78
    said = capsys.readouterr().err
    assert "no?[2Jsuch?31m" in said
    assert not set(said) & set("\x1b\x9b")


@pytest.mark.parametrize("argv", [(), ("kafka",)])
def test_a_group_alone_shows_its_help_but_not_as_a_result(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(argv) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Examples:" in captured.err
    assert "Missing command" in captured.err


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


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[settings.Settings]:
    """The settings with which a command named probe was called."""
    seen: list[settings.Settings] = []
    app = commands.alone()

    @app.command(cls=commands.CheckCommand)
    def probe(ctx: typer.Context) -> None:
        seen.append(settings.settings(ctx))

    found = typer.main.get_command(app)
    monkeypatch.setattr(program.ROOT, "resolve_command", lambda _ctx, args: (args[0], found, args[1:]))
    return seen


@pytest.mark.parametrize(
    "argv",
    [
        ["-o", "json", "-i", "x", "-q", "probe"],
        ["probe", "-o", "json", "-i", "x", "-q"],
        ["-i", "x", "probe", "-ojson", "--quiet"],
        ["--output=json", "-q", "probe", "--inventory=x"],
    ],
)
def test_shared_options_stand_before_or_after_the_command(chosen: list[settings.Settings], argv: list[str]) -> None:
    assert main.run(argv) == 0
    assert chosen == [settings.Settings(output=settings.Output.JSON, inventory="x", quiet=True)]


def test_the_last_word_on_an_option_wins(chosen: list[settings.Settings]) -> None:
    assert main.run(["-o", "json", "probe", "-o", "yaml"]) == 0
    assert chosen[0].output is settings.Output.YAML


def test_the_options_of_a_check_arrive_as_what_their_hints_say(chosen: list[settings.Settings]) -> None:
    assert main.run(["probe", "--watch", "0.5", "--until", "ok", "--from-file", "a", "--save-snapshot", "b"]) == 0
    assert chosen == [
        settings.Settings(watch=0.5, until=settings.Goal.OK, from_file=Path("a"), save_snapshot=Path("b"))
    ]


def test_a_report_of_a_bug_shows_no_values_of_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def body() -> None:
        word = "pass" + "word-4711"
        raise RuntimeError(f"{len(word)} letters")

    _command(monkeypatch, body)
    assert main.run(["probe"]) == 70
    (report,) = tmp_path.glob("obsctl-bug-*.txt")
    assert "password-4711" not in report.read_text() + capsys.readouterr().err
