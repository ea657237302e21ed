"""Real logins, by the real client on a real sshd: by password and through a jump host."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from obsctl.checks.ask import ssh
from obsctl.fleet import passwords
from obsctl.fleet.login import FailureKind
from obsctl.fleet.model import Host, Ssh
from rig import sshd

PASSWORD = "gar nicht 'so' \"geheim\" $x"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    if sshd.PROGRAM is None:
        pytest.skip("no sshd on this machine (apt-get install openssh-server)")
    if os.geteuid() != 0:
        pytest.skip("only root can start an sshd that knows a password")
    with sshd.running(tmp_path_factory.mktemp("sshd"), PASSWORD) as started:
        yield started


@pytest.fixture
def host(server: sshd.Sshd, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose inventory has the password, and no key."""
    monkeypatch.setattr(
        passwords, "_all", lambda inventory, _names: {"node1": PASSWORD if inventory == "good" else "x"}
    )
    arguments = f"-F none -o UserKnownHostsFile={server.known_hosts} -o IdentityFile=none"
    login = Ssh(user=getpass.getuser(), port=server.port, common_args=arguments, password=True, inventory="good")
    return Host(name="node1", address="127.0.0.1", ssh=login)


def changed(host: Host, **changes: object) -> Host:
    return msgspec.structs.replace(host, ssh=msgspec.structs.replace(host.ssh, **changes))


def test_the_inventorys_password_lets_us_in(host: Host) -> None:
    answer = ssh.run(host, "echo in; env; cat", deadline_s=20)
    assert answer.failure == ""
    assert answer.output.startswith("in\n")
    assert "SSH_ASKPASS" not in answer.output
    assert PASSWORD not in answer.output


def test_another_password_is_denied_and_said_to_be_wrong(host: Host) -> None:
    answer = ssh.run(changed(host, inventory="bad"), "true", deadline_s=20)
    assert answer.kind is FailureKind.DENIED
    assert "password from the inventory" in answer.failure
    assert "Permission denied" in answer.failure


def test_an_unknown_host_key_is_not_accepted_for_the_passwords_sake(host: Host, tmp_path: Path) -> None:
    unknown = tmp_path / "known_hosts"
    answer = ssh.run(changed(host, common_args=f"-F none -o UserKnownHostsFile={unknown}"), "true", deadline_s=20)
    assert answer.kind is FailureKind.HOST_KEY
    assert not unknown.exists()
    assert f"`ssh-keyscan -p {host.ssh.port} 127.0.0.1 >> {unknown}`" in answer.hint


def test_through_a_jump_host_with_a_key_of_its_own(host: Host, server: sshd.Sshd) -> None:
    jump = f"ssh -F none -i {server.key} -o UserKnownHostsFile={server.known_hosts} -p {server.port} -W %h:%p 127.0.0.1"
    through = changed(host, common_args=f"{host.ssh.common_args} -o ProxyCommand='{jump}'")
    assert ssh.run(through, "echo in", deadline_s=20).output == "in\n"
    lost = changed(through, port=1)
    answer = ssh.run(lost, "true", deadline_s=20)
    assert answer.kind is FailureKind.REFUSED
    assert "the jump host accepts the login, but cannot reach 127.0.0.1 port 1" in answer.failure


def test_a_login_by_key_asks_nothing(host: Host, server: sshd.Sshd) -> None:
    keyed = changed(host, password=False, key_file=str(server.key))
    assert ssh.run(keyed, "echo in", deadline_s=20).output == "in\n"
    denied = ssh.run(changed(keyed, key_file=str(server.other_key)), "true", deadline_s=20)
    assert denied.kind is FailureKind.DENIED
    assert f"-i {server.other_key}" in denied.hint
