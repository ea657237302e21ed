"""``obsctl alert rules``: the role's rules, by themselves and over recorded logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obsctl.cli.program import carry_out
from obsctl.core.errors import ExitCode

DEFAULTS = str(Path(__file__).resolve().parents[3] / "roles" / "consumer" / "defaults" / "main.yml")


def data(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[dict[str, str]]]:
    assert carry_out(["alert", "rules", *words, "-o", "json", "-q"]) is ExitCode.OK
    return dict(json.loads(capsys.readouterr().out)["data"])


def test_the_roles_rules_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    rules = data(capsys, "check", DEFAULTS)["rules"]
    assert [rule["name"] for rule in rules][:3] == ["client-request-rate", "client-errors", "server-error-share"]
    assert all(rule["testable"] or rule["why_not"] for rule in rules)


def test_a_fault_is_named_with_its_line_and_ends_with_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.yml"
    path.write_text("- name: a\n  kind: frequency\n  filter: status:x\n  threshold: 1\n")
    assert carry_out(["alert", "rules", "check", str(path)]) is ExitCode.CONFIG
    assert f"{path}:1: [0]: filter, column 8: status is a whole number" in capsys.readouterr().err


def test_an_unknown_format_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["alert", "rules", "replay", DEFAULTS, "--logs", DEFAULTS, "--log-format", "syslog"]
    assert carry_out(words) is ExitCode.USAGE
    assert "not one of combined, error, json" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"no gzip", b"\x1f\x8b\x08\x00cut"])
def test_a_log_that_cannot_be_read_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    log = tmp_path / "access.log.gz"
    if content is not None:
        log.write_bytes(content)
    words = ["alert", "rules", "replay", DEFAULTS, "--logs", str(log), "--log-format", "combined"]
    assert carry_out(words) is ExitCode.CONFIG
    assert f"{log} cannot be read: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("log", "lines", "fires", "messages"),
    [
        ("apache_logs.gz", 10_000, {"client-request-rate"}, 2),
        ("ocatak_acunetix.gz", 6539, {"client-request-rate", "client-errors", "server-error-share"}, 12),
        ("ocatak_netsparker.gz", 7314, {"client-request-rate", "client-errors"}, 4),
    ],
)
def test_what_the_roles_rules_make_of_recorded_logs(  # noqa: PLR0917
    real_logs: Path, capsys: pytest.CaptureFixture[str], log: str, lines: int, fires: set[str], messages: int
) -> None:
    """docs/reference/alerting.md has the same numbers."""
    found = data(capsys, "replay", DEFAULTS, "--logs", str(real_logs / log), "--log-format", "combined")
    assert found["lines"] == lines
    assert {rule["name"] for rule in found["replayed"] if int(rule["messages"])} == fires
    assert len(found["messages"]) == messages
