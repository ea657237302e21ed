"""``health --pre`` asks a real machine, this one, and a preflight that is played by a program on its place."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.ready import collect
from obsctl.cli import main
from obsctl.core.errors import ConfigError
from obsctl.fleet import load
from obsctl.fleet.login import FailureKind
from obsctl.fleet.model import BackendNode, Fleet, Host, Ssh, Vip
from rig.ports import free_port

HERE = Ssh(local=True, inventory="inventories/mine")


def fleet_of(port: int) -> tuple[Fleet, Host]:
    host = Host(name="node1", address="127.0.0.1", groups=("lb", "backend"), ssh=HERE, backend=BackendNode(port=port))
    other = Host(name="node2", address="127.0.0.2", groups=("backend",), ssh=HERE, backend=BackendNode(port=port))
    return Fleet(hosts=(host, other), vip=Vip(address="127.0.0.9", port=1)), host


def test_this_machine_says_what_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        seen = collect.look_at(*fleet_of(port))
    assert seen.failure == ""
    assert seen.clock is not None
    assert seen.clock.asked - 1 < seen.clock.shown < seen.clock.answered + 1
    assert "127.0.0.1" in seen.addresses
    assert any(listener.port == port and listener.address == "127.0.0.1" for listener in seen.listeners)
    assert seen.file_systems
    assert len({disk.mount for disk in seen.file_systems}) == len(seen.file_systems)
    assert seen.memory_bytes
    assert seen.system != "unknown"
    # Refused at once: nothing listens on the other address, and it is there.
    assert [(path.to, path.failure) for path in seen.paths] == [("node2", "")]


def test_a_user_without_sudo_is_asked_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(_host: Host, _script: str, *, deadline_s: float, become: str) -> ssh.Answer:
        asked.append(become)
        return (
            ssh.Answer(failure="no sudo", kind=FailureKind.SUDO, hint="do") if become else ssh.Answer(output="os EL\n")
        )

    monkeypatch.setattr(ssh, "run", run)
    seen = collect.look_at(*fleet_of(1))
    assert asked == ["root", ""]
    assert (seen.failure, seen.system, seen.sudo_failure, seen.sudo_hint) == ("", "EL", "no sudo", "do")


def test_a_shell_that_runs_nothing_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "run", lambda *_args, **_options: ssh.Answer(output="This account is not available.\n"))
    seen = collect.look_at(*fleet_of(1))
    assert seen.failure_kind is FailureKind.SHELL
    assert "This account is not available." in seen.failure


def play(monkeypatch: pytest.MonkeyPatch, code: int, output: str) -> None:
    done = subprocess.CompletedProcess([], code, output, "")
    monkeypatch.setattr(collect.ansible, "run", lambda *_arguments, **_options: done)


def said(problems: list[dict[str, Any]]) -> str:
    return f"TASK [x]\nfatal: [app1]: FAILED! => {json.dumps({'changed': False, 'problems': problems})}\nPLAY RECAP\n"


def test_the_preflights_problems_are_part_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, _host = fleet_of(free_port())
    play(monkeypatch, 2, said([{"host": "node1", "problem": "is wrong", "fix": "mend it"}]))
    seen = collect.collect_ready(fleet)
    assert [(problem.host, problem.problem, problem.fix) for problem in seen.problems] == [
        ("node1", "is wrong", "mend it")
    ]
    assert seen.errors == ()
    assert [look.name for look in seen.hosts] == ["node1", "node2"]
    # A refusal is an answer: the address is in use.
    assert seen.vip_answers
    play(monkeypatch, 0, "PLAY RECAP\n")
    assert collect.collect_ready(fleet).problems == ()


def test_an_inventory_of_which_no_fleet_can_be_made_is_judged_by_the_preflight(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").touch()
    monkeypatch.setattr(load, "load", lambda _source: (_ for _ in ()).throw(ConfigError("node2 has no kafka_node_id")))
    play(monkeypatch, 2, said([{"host": "node2", "problem": "kafka_node_id is missing", "fix": "set it"}]))
    assert main.run(["health", "--pre", "-i", str(tmp_path), "-o", "json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert [(f["object"], f["hint"]) for f in report["findings"]] == [("inventory/node2", "set it")]
    assert [(f["code"], f["object"]) for f in report["errors"]] == [("PRE_NOT_ASKED", "hosts")]


@pytest.mark.parametrize("read_from_ansible", [True, False])
def test_a_preflight_that_did_not_run_is_missing_data(monkeypatch: pytest.MonkeyPatch, read_from_ansible: bool) -> None:
    fleet, _host = fleet_of(free_port())
    if not read_from_ansible:
        hosts = tuple(msgspec.structs.replace(host, ssh=Ssh(local=True)) for host in fleet.hosts)
        fleet = msgspec.structs.replace(fleet, hosts=hosts)
    play(monkeypatch, 4, "ERROR! something\n")
    (fault,) = collect.collect_ready(fleet).errors
    assert fault.code == "PRE_NOT_ASKED"
