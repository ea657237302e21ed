"""``obsctl console`` on the control node: what is run on the console's host, and that no password is in its words.

A stand-in on PATH plays the ssh client.
"""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import msgspec
import pytest

from obsctl.cli import console as commands
from obsctl.cli import main
from obsctl.fleet.model import ConsoleNode, Fleet, Host

PASSWORD = "correct horse battery"


class Ssh:
    """The client's stand-in: says what it is made to say, and remembers what it was given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.fleet = folder / "fleet.json"
        self.program = folder / "bin" / "ssh"
        self.program.parent.mkdir()
        self.says("", 0)
        hosts = (
            Host(name="app1", address="192.0.2.1", groups=("consumer",)),
            Host(name="app2", address="192.0.2.2", groups=("consumer",), console=ConsoleNode(port=8443)),
        )
        self.fleet.write_bytes(msgspec.json.encode(Fleet(hosts=hosts)))

    def says(self, words: str, status: int) -> None:
        self.program.write_text(
            f'#!/bin/sh\nfor last; do :; done; printf %s "$last" > {self._folder}/asked\nps -ww -o args= -p $$ > '
            f"{self._folder}/argv\ncat > {self._folder}/given\ncat <<'EOF'\n{words}\nEOF\nexit {status}\n"
        )
        self.program.chmod(0o755)

    def read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    made = Ssh(tmp_path)
    monkeypatch.setenv("PATH", f"{made.program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("LOGNAME", "grace")
    return made


def run(ssh: Ssh, *arguments: str) -> int:
    return int(main.run(["console", *arguments, "-i", str(ssh.fleet), "-o", "json"]))


def program(*arguments: str) -> str:
    return shlex.join(
        ["env", "LOGNAME=grace", "/opt/obsctl/venv/bin/obsctl", "console", *arguments, "--config",
         "/etc/obsctl/console.yml", "-q", "-o", "json"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "remote"),
    [
        (("user", "add", "ada", "--role", "admin"), ("user", "add", "ada", "--role", "admin")),
        (("user", "password", "ada"), ("user", "password", "ada")),
    ],
)
def test_a_password_goes_over_standard_input_alone(
    ssh: Ssh, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], remote: tuple[str, ...]
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    assert run(ssh, *words, "--password", f"file:{tmp_path}/password") == 0
    assert ssh.read("given") == f"{PASSWORD}\n"
    # The first host that has the console, as the user who may read the console's secret.
    assert "192.0.2.2" in ssh.read("argv")
    command = program(*remote, "--password-stdin")
    assert shlex.quote(f"{command} 2>&1") in ssh.read("asked")
    assert "runuser -u obsctl-console -- " in ssh.read("asked")
    out, err = capsys.readouterr()
    assert PASSWORD not in out + err + ssh.read("asked") + ssh.read("argv")


@pytest.mark.parametrize(
    ("words", "remote"),
    [
        (("user", "role", "ada", "--role", "viewer"), ("user", "role", "ada", "--role", "viewer")),
        (("user", "disable", "ada"), ("user", "disable", "ada")),
        (("user", "enable", "ada"), ("user", "enable", "ada")),
        (("user", "unlock", "ada"), ("user", "unlock", "ada")),
        (("user", "unlink", "ada"), ("user", "unlink", "ada")),
        (("user", "rm", "ada", "--yes"), ("user", "rm", "ada", "--yes")),
        (
            ("user", "add", "ada", "--role", "viewer", "--no-password"),
            ("user", "add", "ada", "--role", "viewer", "--no-password"),
        ),
    ],
)
def test_a_change_is_the_same_command_there(ssh: Ssh, words: tuple[str, ...], remote: tuple[str, ...]) -> None:
    assert run(ssh, *words) == 0
    assert shlex.quote(f"exec </dev/null; {program(*remote)} 2>&1") in ssh.read("asked")
    assert ssh.read("given") == ""


def test_a_user_with_a_password_and_without_one_is_refused(ssh: Ssh, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ssh, "user", "add", "ada", "--role", "viewer", "--no-password", "--password-stdin") == 64
    assert "a password is given with --no-password" in capsys.readouterr().err
    assert ssh.read("asked") == ""


def test_a_report_is_the_hosts(ssh: Ssh, capsys: pytest.CaptureFixture[str]) -> None:
    data = {"users": [{"name": "ada", "role": "admin", "state": "active", "created": "2026-01-01T00:00:00.000Z"}]}
    report = {
        "schema": "obsctl/v1", "command": "console user list", "status": "ok", "took_ms": 5, "findings": [],
        "checked_at": "2026-01-01T00:00:00.000Z", "errors": [], "data": data,
    }  # fmt: skip
    ssh.says(json.dumps(report), 0)
    assert run(ssh, "user", "list") == 0
    assert json.loads(capsys.readouterr().out)["data"] == data
    ssh.says("", 0)
    assert run(ssh, "audit") == 3
    assert "app2: it said nothing" in capsys.readouterr().err


def test_a_refusal_is_in_the_hosts_words_with_its_code(ssh: Ssh, capsys: pytest.CaptureFixture[str]) -> None:
    ssh.says("obsctl: there is a user ada already; nothing was changed", 77)
    assert run(ssh, "user", "enable", "ada") == 77
    out, err = capsys.readouterr()
    assert (out, "app2: there is a user ada already; nothing was changed" in err) == ("", True)
    assert "this version" not in err, "what it refused it has understood"
    ssh.says("Error: No such command 'console'.", 64)
    assert run(ssh, "user", "enable", "ada") == 64
    assert "/opt/obsctl/venv/bin/obsctl has this version" in capsys.readouterr().err


def test_a_fleet_without_a_console(ssh: Ssh, capsys: pytest.CaptureFixture[str]) -> None:
    ssh.fleet.write_bytes(msgspec.json.encode(Fleet(hosts=(Host(name="app1", address="192.0.2.1"),))))
    assert run(ssh, "user", "list") == 64
    assert "no host of the inventory has the console" in capsys.readouterr().err
    assert ssh.read("asked") == ""


def test_its_own_configuration_comes_first_and_an_inventory_before_that(
    ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "console.yml"
    here.write_text("listen: {}\n")
    monkeypatch.setattr(commands, "_CONFIG", here)
    assert int(main.run(["console", "user", "list"])) == 78
    assert str(here) in capsys.readouterr().err
    assert ssh.read("asked") == ""
    assert run(ssh, "user", "disable", "ada") == 0
    assert "192.0.2.2" in ssh.read("argv")


def test_a_password_comes_from_standard_input_as_well(
    ssh: Ssh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert run(ssh, "user", "password", "ada", "--password-stdin") == 0
    assert ssh.read("given") == f"{PASSWORD}\n"
    assert run(ssh, "user", "password", "ada", "--password-stdin", "--password", "env:NAME") == 64
    assert "given twice" in capsys.readouterr().err
