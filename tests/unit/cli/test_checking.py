"""One check from the snapshot to the exit code, offline and live, in every format."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import msgspec
import pytest
import typer
import yaml

from obsctl.checks.check import Check
from obsctl.cli import checking, commands, main, program, settings
from obsctl.core.errors import ExitCode
from obsctl.core.report import Fault, Finding, Severity
from obsctl.fleet.model import Fleet, Host


class Thermometer(msgspec.Struct, frozen=True, kw_only=True):
    degrees: int | None
    errors: tuple[Fault, ...] = ()


def _judge(fleet: Fleet, snapshot: Thermometer) -> list[Finding]:
    if snapshot.degrees is None or snapshot.degrees < 30:
        return []
    severity = Severity.WARNING if snapshot.degrees < 40 else Severity.CRITICAL
    return [Finding(code="TOO_HOT", severity=severity, object=fleet.hosts[0].name, summary="too | hot", hint="open")]


def _check(degrees: int | None, errors: tuple[Fault, ...] = ()) -> Check[Thermometer]:
    return Check(
        command="heat",
        snapshot_type=Thermometer,
        collect=lambda _fleet: Thermometer(degrees=degrees, errors=errors),
        judge=_judge,
        describe=lambda _fleet, s: {"degrees": s.degrees, "metrics": {"degrees": s.degrees}},
    )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fleet = tmp_path / "fleet.json"
    fleet.write_bytes(msgspec.json.encode(Fleet(hosts=(Host(name="node1", address="198.18.0.11"),))))

    def go(check: Check[Thermometer], *argv: str) -> ExitCode:
        app = commands.alone()

        @app.command(cls=commands.CheckCommand)
        def heat(ctx: typer.Context) -> ExitCode:
            return checking.run_check(ctx, check)

        found = typer.main.get_command(app)
        monkeypatch.setattr(program.ROOT, "resolve_command", lambda _ctx, args: (args[0], found, args[1:]))
        return main.run(["-i", str(fleet), "heat", *argv])

    return go


@pytest.mark.parametrize(("degrees", "code"), [(20, 0), (35, 1), (45, 2)])
@pytest.mark.parametrize("output", [o.value for o in settings.Output])
def test_the_exit_code_is_the_same_in_every_format(run, degrees: int, code: int, output: str) -> None:
    assert run(_check(degrees), "-o", output) == code


def test_missing_data_is_never_ok(run, capsys: pytest.CaptureFixture[str]) -> None:
    fault = Fault(code="HOST_UNREACHABLE", object="node1", summary="no route")
    assert run(_check(None, (fault,)), "-o", "json") == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["schema"], report["command"], report["status"]) == ("obsctl/v1", "heat", "unknown")
    assert report["errors"] == [{"code": "HOST_UNREACHABLE", "object": "node1", "summary": "no route"}]


def test_a_fault_found_outranks_missing_data(run) -> None:
    assert run(_check(45, (Fault(code="X", object="y", summary="z"),))) == 2


def test_json_holds_the_whole_finding(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "json")
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == [
        {
            "code": "TOO_HOT", "severity": "warning", "object": "node1", "summary": "too | hot", "evidence": {},
            "hint": "open", "doc": "docs/runbooks/TOO_HOT.md",
        }
    ]  # fmt: skip
    assert report["checked_at"].endswith("Z")
    assert report["data"]["degrees"] == 35


def test_yaml_says_what_json_says(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "yaml")
    report = yaml.safe_load(capsys.readouterr().out)
    assert report["findings"][0]["code"] == "TOO_HOT"


def test_ndjson_is_a_line_a_finding_and_the_report_last(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "ndjson")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["finding", "report"]


def test_nagios_is_one_line_with_numbers(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "nagios")
    assert capsys.readouterr().out == "HEAT WARNING - TOO_HOT node1: too / hot | degrees=35\n"


def test_a_saved_snapshot_is_judged_offline(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "seen.json"
    assert run(_check(35), "--save-snapshot", str(saved), "-o", "json") == 1
    live = json.loads(capsys.readouterr().out)
    assert run(_check(99), "--from-file", str(saved), "-o", "json") == 1
    offline = json.loads(capsys.readouterr().out)
    assert offline | {"took_ms": 0} == live | {"took_ms": 0}


@pytest.mark.parametrize("there", [False, True])
def test_a_snapshot_holds_no_channel_and_is_for_its_owner_only(run, tmp_path: Path, there: bool) -> None:
    saved = tmp_path / "seen.json"
    if there:
        saved.write_text("old")
        saved.chmod(0o644)
    channel = {"name": "hook", "type": "webhook", "url": "https://hook.example/T0KEN"}
    (tmp_path / "fleet.json").write_bytes(
        msgspec.json.encode(Fleet(hosts=(Host(name="node1", address="198.18.0.11"),), alert_channels=(channel,)))
    )
    assert run(_check(35), "--save-snapshot", str(saved)) == 1
    assert "T0KEN" not in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert run(_check(99), "--from-file", str(saved)) == 1


def test_a_snapshot_may_go_to_a_device(run) -> None:
    mode = Path("/dev/null").stat().st_mode
    assert run(_check(35), "--save-snapshot", "/dev/null") == 1
    assert Path("/dev/null").stat().st_mode == mode


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"schema":"obsctl/snapshot/v1","command":"other"}',
        b"\xff\x00",
        b'{"schema":"\xff"}',
        b'{"fleet":' + b"[" * 50_000,
    ],
)
def test_a_file_that_is_no_snapshot_is_refused(run, tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    assert run(_check(1), "--from-file", str(bad)) == 78


def test_watch_until_ok_ends_at_ok(run, capsys: pytest.CaptureFixture[str]) -> None:
    seen = iter([35, 35, 20])
    check = Check(
        "heat", Thermometer, lambda _f: Thermometer(degrees=next(seen)), _judge, lambda _f, s: {"degrees": s.degrees}
    )
    assert run(check, "--watch", "0.01", "--until", "ok", "-o", "json") == 0
    assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == ["warning", "warning", "ok"]


@pytest.mark.parametrize("more", [("--until", "ok"), ("--watch", "1"), ("--watch", "1", "--until", "ok")])
def test_a_saved_snapshot_cannot_be_waited_for(run, tmp_path: Path, more: tuple[str, ...]) -> None:
    assert run(_check(1), "--from-file", str(tmp_path / "x"), *more) == 64


def test_an_end_of_no_watch_is_refused_with_what_to_type(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_check(20), "--until", "ok") == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "obsctl: --until needs --watch: one check has only one verdict\n  hint: obsctl heat --watch 2 --until ok\n"
    )


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e300"])
def test_a_watch_needs_a_time_that_can_pass(run, seconds: str) -> None:
    assert run(_check(1), "--watch", seconds) == 64


@pytest.mark.parametrize("output", ["table", "wide", "nagios"])
def test_what_a_host_calls_itself_cannot_draw_in_the_terminal(
    run, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault(code="X", object="host/\x1b[2Jevil\x9b31m", summary="\x07 rang")
    assert run(_check(None, (fault,)), "-o", output) == 3
    text = capsys.readouterr().out
    assert "host/?[2Jevil?31m: ? rang" in text
    assert not set(text) & set("\x1b\x9b\x07")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.5e-7, "0"), (0.00125, "0.00125"), (1e22, "1" + "0" * 22), (3, "3"), (float("inf"), "U")],
)
def test_a_number_of_nagios_has_no_exponent(run, value: float, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    check = Check(
        "heat", Thermometer, lambda _f: Thermometer(degrees=1), _judge, lambda _f, _s: {"metrics": {"p": value}}
    )
    run(check, "-o", "nagios")
    assert capsys.readouterr().out == f"HEAT OK - all checks passed | p={text}\n"


def test_a_number_of_nagios_has_a_name_without_separators(run, capsys: pytest.CaptureFixture[str]) -> None:
    check = Check(
        "heat",
        Thermometer,
        lambda _f: Thermometer(degrees=1),
        _judge,
        lambda _f, _s: {"metrics": {"got_evil|name = 'x'": 1, "lag_obsctl-consumer": 2}},
    )
    run(check, "-o", "nagios")
    assert capsys.readouterr().out == "HEAT OK - all checks passed | got_evil_name____x_=1 lag_obsctl-consumer=2\n"
