"""As a plugin of a monitoring: however a command ends, exit code 0 to 3 and one line on standard output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import typer

from obsctl.cli import commands, main, output, plugin, program
from obsctl.cli.reporting import Start
from obsctl.core.errors import ConfigError, ExitCode, MissingDependencyError, ObsctlError, RefusedError, UsageError
from obsctl.core.report import Cause, Fault, Finding, Severity
from obsctl.fleet.model import Fleet
from obsctl.render.nagios import nagios


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[typer.Context], object]], None]:
    """Make ``obsctl probe`` a command with this body."""

    def make(body: Callable[[typer.Context], object]) -> None:
        app = commands.alone()

        @app.command(cls=commands.Command)
        def probe(ctx: typer.Context) -> object:
            return body(ctx)

        found = typer.main.get_command(app)
        monkeypatch.setattr(program.ROOT, "resolve_command", lambda _ctx, args: (args[0], found, args[1:]))

    return make


def _raise(error: BaseException) -> Callable[[typer.Context], object]:
    def body(_ctx: typer.Context) -> object:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("no inventory found"), "PROBE UNKNOWN - no inventory found"),
        (ConfigError("Ansible says:\nline | one\n\tline two"), "PROBE UNKNOWN - Ansible says: line / one line two"),
        (MissingDependencyError("no ssh client"), "PROBE UNKNOWN - no ssh client"),
        (RefusedError("not now"), "PROBE UNKNOWN - not now"),
        (UsageError("no such topic"), "PROBE UNKNOWN - no such topic"),
        (ObsctlError("Kafka does not answer"), "PROBE UNKNOWN - Kafka does not answer"),
        (typer.BadParameter("x"), "PROBE UNKNOWN - Invalid value: x"),
        (KeyboardInterrupt(), "OBSCTL UNKNOWN - interrupted"),
        (EOFError(), "OBSCTL UNKNOWN - interrupted"),
    ],
)
def test_an_error_is_unknown_and_a_line(
    ends, error: BaseException, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(_raise(error))
    assert main.run(["probe", "-o", "nagios"]) == 3
    captured = capsys.readouterr()
    assert captured.out == f"{line}\n"
    assert captured.err, "a person who tries it sees the hint"


def test_a_bug_is_unknown_and_names_its_report(
    ends, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ends(_raise(RuntimeError("x")))
    assert main.run(["probe", "-o", "nagios"]) == 3
    (report,) = tmp_path.glob("obsctl-bug-*.txt")
    assert capsys.readouterr().out == (
        f"PROBE UNKNOWN - internal error (RuntimeError); details, without secrets: {report}\n"
    )


@pytest.mark.parametrize("code", list(ExitCode))
def test_no_exit_code_is_beyond_3(ends, code: ExitCode, capsys: pytest.CaptureFixture[str]) -> None:
    ends(lambda _ctx: code)
    assert main.run(["probe", "-o", "nagios"]) == (code if code <= 3 else 3)
    if code > 3:
        assert capsys.readouterr().out == f"PROBE UNKNOWN - exit code {code.value}\n"


def test_a_code_of_its_own_is_that_of_the_printed_verdict(ends, capsys: pytest.CaptureFixture[str]) -> None:
    """Else the line would say WARNING, and the exit code 75."""

    def throttled(ctx: typer.Context) -> ExitCode:
        finding = Finding(code="SLOW_DOWN", severity=Severity.WARNING, object="hook", summary="rate limit")
        output.publish(ctx, Start().report("probe", {}, [finding]))
        return ExitCode.THROTTLED

    ends(throttled)
    assert main.run(["probe", "-o", "nagios"]) == 1
    assert capsys.readouterr().out == "PROBE WARNING - hook: rate limit (SLOW_DOWN)\n"
    assert main.run(["probe"]) == 75


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["kafka", "status", "-o", "nagios", "--no-such"], "KAFKA_STATUS UNKNOWN - No such option: --no-such"),
        (["-o", "nagios", "helth"], "OBSCTL UNKNOWN - No such command 'helth'. Did you mean 'health'?"),
        (["-onagios"], "OBSCTL UNKNOWN - Missing command."),
        (["health", "-i", "/no/such", "-qo", "nagios"], "HEALTH UNKNOWN - --inventory names /no/such, which does"),
        (["health", "--output=nagios", "--from-file", "/no/such"], "HEALTH UNKNOWN - the snapshot /no/such cannot"),
    ],
)
def test_a_wrong_call_is_unknown_and_a_line(argv: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(argv) == 3
    said = capsys.readouterr().out
    assert said.startswith(line)
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("health -o nagios", True),
        ("health -o json -o nagios", True),
        ("health -o nagios -o json", False),
        ("-qonagios health", True),
        ("health --output nagios", True),
        ("health -o", False),
        ("lab ssh node1 -- check -o nagios", False),
        ("kafka partitions --topic nagios", False),
    ],
)
def test_the_last_option_of_a_command_line_counts(words: str, asked: bool) -> None:
    assert plugin.asked_for(words.split()) is asked


def _finding(severity: Severity, code: str, summary: str = "x") -> Finding:
    return Finding(code=code, severity=severity, object="node1", summary=summary)


def test_the_line_is_the_headline_with_the_code_of_the_cause() -> None:
    """The cause is on top although more that is worse follows from it."""
    cause = _finding(Severity.CRITICAL, "A")
    effects = [
        msgspec.structs.replace(_finding(Severity.CRITICAL, f"B{n}"), caused_by=(Cause(code="A", object="node1"),))
        for n in range(3)
    ]
    report = Start().report(
        "health",
        {"metrics": {"lag": 3, "p99_ms": 1.5, "free_bytes": 10, "behind_s": 2, "disk_percent": 81, "none": None}},
        [*effects, cause, _finding(Severity.INFO, "C")],
        headline="node1 is down since 14:03 UTC · 3 findings follow from it · writes continue",
    )
    assert nagios(report) == (
        "HEALTH CRITICAL - node1 is down since 14:03 UTC · 3 findings follow from it · writes continue (A)"
        " | lag=3 p99_ms=1.5ms free_bytes=10B behind_s=2s disk_percent=81%"
    )


def test_a_report_of_no_check_has_a_headline_too() -> None:
    report = Start().report("alert test", {}, [_finding(Severity.WARNING, "B"), _finding(Severity.CRITICAL, "A")])
    assert nagios(report) == "ALERT_TEST CRITICAL - node1: x · 1 more finding (A)"


def test_what_could_not_be_asked_is_named_where_it_decides() -> None:
    fault = Fault(code="D", object="node2", summary="no route")
    report = Start().report("health", {}, [_finding(Severity.WARNING, "B")], [fault])
    assert nagios(report) == "HEALTH UNKNOWN - node1: x · not known: node2 (B)"
    assert nagios(Start().report("health", {}, [], [fault])) == "HEALTH UNKNOWN - node2: no route (D)"


@pytest.mark.parametrize("length", [10, 150, 5000])
def test_the_text_is_short_and_the_numbers_are_whole(length: int) -> None:
    finding = _finding(Severity.CRITICAL, "A", "y" * length)
    report = Start().report("health", {"metrics": {"lag": 3}}, [finding], headline="y" * length)
    text, numbers = nagios(report).split(" | ")
    assert len(text) <= 200
    assert text.endswith("... (A)" if length > 170 else "y (A)")
    assert numbers == "lag=3"


def test_no_inventory_is_unknown_and_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OBSCTL_INVENTORY", raising=False)
    monkeypatch.setattr("obsctl.fleet.load.SYSTEM_FLEET", tmp_path / "none.json")
    assert main.run(["kafka", "status", "-o", "nagios"]) == 3
    assert capsys.readouterr().out == "KAFKA_STATUS UNKNOWN - no inventory found\n"


def test_a_vault_without_password_is_unknown_and_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = tmp_path / "fleet.json"
    channel = {"name": "hook", "type": "webhook", "url": "env:NO_SUCH_VARIABLE"}
    fleet.write_bytes(msgspec.json.encode(Fleet(alert_channels=(channel,))))
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    assert main.run(["-i", str(fleet), "alert", "test", "-o", "nagios"]) == 3
    said = capsys.readouterr().out
    assert said.startswith("ALERT_TEST UNKNOWN - ")
    assert said.count("\n") == 1
