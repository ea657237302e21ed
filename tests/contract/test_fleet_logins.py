"""How a host is logged in on, from every place where Ansible takes it: inventory, environment, ansible.cfg."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from obsctl.core.errors import ConfigError
from obsctl.fleet import ansible, load, passwords
from obsctl.fleet.model import Fleet, Ssh
from rig.ansible_cores import programs_of


@pytest.fixture(params=["own", "legacy"])
def read(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if request.param == "legacy":
        monkeypatch.setattr(ansible.sys, "executable", str(programs_of("legacy") / "python"))
    elif not (Path(sys.executable).parent / "ansible-playbook").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def play(hosts: dict[str, dict[str, Any]]) -> Fleet:
        path = tmp_path / "hosts.yml"
        path.write_text(json.dumps({"all": {"hosts": hosts}}))
        return load.load(load.find(str(path)))

    return play


def login(fleet: Fleet, name: str) -> Ssh:
    host = fleet.host(name)
    assert host is not None
    assert host.ssh.inventory == fleet.inventory
    return host.ssh


def test_the_inventorys_variables(read) -> None:
    fleet = read(
        {
            "plain": {},
            "full": {
                "ansible_host": "192.0.2.1",
                "ansible_user": "ops",
                "ansible_port": 2222,
                "ansible_ssh_private_key_file": "~/.ssh/fleet",
                "ansible_ssh_args": "-C -o ControlMaster=auto -o ControlPersist=60s -4",
                "ansible_ssh_common_args": "-o ProxyJump={{ bastion }}",
                "ansible_ssh_extra_args": "-o ServerAliveInterval=5",
                "ansible_ssh_executable": "/opt/ssh",
                "ansible_host_key_checking": False,
                "bastion": "ops@192.0.2.9",
            },
            "other names": {
                "ansible_host": "192.0.2.1",
                "ansible_ssh_host": "192.0.2.2",
                "ansible_user": "ops",
                "ansible_ssh_user": "admin",
                "ansible_port": 2222,
                "ansible_ssh_port": 2200,
                "ansible_private_key_file": "/key",
            },
            "local": {"ansible_connection": "local", "ansible_become_pass": "x"},
        }
    )
    plain = login(fleet, "plain")
    assert (plain.user, plain.port, plain.key_file, plain.common_args) == ("", 22, "", "")
    assert (plain.executable, plain.local, plain.password, plain.become_password) == ("ssh", False, False, False)
    full = login(fleet, "full")
    assert (full.user, full.port, full.key_file, full.executable) == ("ops", 2222, "~/.ssh/fleet", "/opt/ssh")
    assert full.common_args == ("-o StrictHostKeyChecking=no -4 -o ProxyJump=ops@192.0.2.9 -o ServerAliveInterval=5")
    other = login(fleet, "other names")
    assert (other.user, other.port, other.key_file) == ("admin", 2200, "/key")
    assert {host.name: host.address for host in fleet.hosts} == {
        "plain": "plain", "full": "192.0.2.1", "other names": "192.0.2.2", "local": "local"
    }  # fmt: skip
    assert (login(fleet, "local").local, login(fleet, "local").become_password) == (True, True)


def test_the_environment_and_ansible_cfg(read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a change there is no reason for the answer of before."""
    assert login(read({"n": {}}), "n").common_args == ""
    monkeypatch.setenv("ANSIBLE_SSH_EXTRA_ARGS", "-o ProxyJump=bastion")
    monkeypatch.setenv("ANSIBLE_REMOTE_USER", "ops")
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "false")
    first = login(read({"n": {}}), "n")
    assert (first.user, first.common_args) == ("ops", "-o StrictHostKeyChecking=no -o ProxyJump=bastion")
    for name in ("SSH_EXTRA_ARGS", "REMOTE_USER", "HOST_KEY_CHECKING"):
        monkeypatch.delenv(f"ANSIBLE_{name}")
    config = tmp_path / "ansible.cfg"
    monkeypatch.setenv("ANSIBLE_CONFIG", str(config))
    for user in ("deploy", "admin"):
        config.write_text(
            f"[defaults]\nremote_user={user}\nremote_port=2222\nprivate_key_file=/key\n"
            "[ssh_connection]\nssh_args=-o ControlMaster=auto -6\nssh_common_args=-J b\nssh_executable=/opt/ssh\n"
        )
        second = login(read({"n": {}}), "n")
        assert (second.user, second.port, second.key_file, second.executable) == (user, 2222, "/key", "/opt/ssh")
        assert second.common_args == "-6 -J b"


def test_passwords_are_read_when_they_are_needed_and_stand_in_no_document(read) -> None:
    secret = "geheim'\" $x"
    fleet = read(
        {
            "a": {"ansible_password": 12345, "ansible_become_password": "sudo-{{ word }}", "word": "geheim"},
            "b": {"ansible_ssh_pass": secret},
            "c": {},
        }
    )
    a, b, c = fleet.hosts
    assert [host.ssh.password for host in fleet.hosts] == [True, True, False]
    assert [host.ssh.become_password for host in fleet.hosts] == [True, False, False]
    assert "geheim" not in repr(fleet)
    assert passwords.login_password(a).reveal() == "12345"
    assert passwords.become_password(a).reveal() == "sudo-geheim"
    assert passwords.login_password(b).reveal() == secret
    with pytest.raises(ConfigError, match="ansible_password of c has no value"):
        passwords.login_password(c)


def test_a_password_that_refers_to_nothing_is_named(read) -> None:
    with pytest.raises(ConfigError, match="n has no vault_nowhere"):
        read({"n": {"ansible_password": "{{ vault_nowhere }}"}})
