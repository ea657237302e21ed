"""The fleet as data."""

from __future__ import annotations

import shlex

from obsctl.fleet.model import Fleet, Host, Ssh


def test_the_ssh_command_can_be_typed_as_it_stands() -> None:
    assert Host(name="n", address="192.0.2.1").login().command == "ssh 192.0.2.1 true"
    ssh = Ssh(user="ops", port=2222, key_file="~/.ssh/my key", common_args="-o 'ProxyCommand=nc %h %p' -4")
    command = Host(name="n", address="192.0.2.1", ssh=ssh).login().command
    assert "-i ~/" in command, "a shell expands it outside of quotes alone"
    assert shlex.split(command) == [
        "ssh", "-p", "2222", "-i", "~/.ssh/my key", "-o", "ProxyCommand=nc %h %p", "-4", "ops@192.0.2.1", "true",
    ]  # fmt: skip


def test_a_login_by_password_is_tried_with_the_password() -> None:
    host = Host(name="n", address="192.0.2.1", ssh=Ssh(user="ops", port=2222, password=True))
    hint = Fleet().login_hint(host)
    assert hint == "this must work with the inventory's password: `ssh -p 2222 ops@192.0.2.1 true`"
    keyed = Host(name="n", address="192.0.2.1")
    assert Fleet().login_hint(keyed) == "this must work without a prompt: `ssh 192.0.2.1 true`"


def test_arguments_that_may_hold_a_secret_are_in_no_hint() -> None:
    arguments = "-o ProxyCommand='sshpass -p secret-word ssh -W %h:%p bastion'"
    host = Host(name="n", address="192.0.2.1", ssh=Ssh(common_args=arguments, inventory="our hosts"))
    hint = Fleet().login_hint(host)
    assert "secret-word" not in hint
    assert "`ansible -m ansible.builtin.raw -a true -i 'our hosts' n`" in hint
    assert "ansible_ssh_common_args" in hint
