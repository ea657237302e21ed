"""Why a host could not be asked: ssh's words, what they mean, and the command to type."""

from __future__ import annotations

import pytest
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import reach
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import Look, read_look

from tests.unit.ansible.preflight.fleets import fleet

VIA_SSH = "Failed to connect to the host via ssh: "
LOGIN = {"ansible_host": "192.0.2.11", "ansible_port": 2222, "ansible_user": "deploy"}
JUMP = LOGIN | {"ansible_ssh_common_args": "-o ProxyJump=ops@192.0.2.1"}
PASSWORD = LOGIN | {"ansible_password": "secret-word"}
SSH = "ssh -p 2222 deploy@192.0.2.11 true"

CASES = {
    "refused": (
        LOGIN,
        "ssh: connect to host 192.0.2.11 port 2222: Connection refused",
        "nothing listens on port 2222 of 192.0.2.11",
        "systemctl start sshd",
    ),
    "timed out": (
        LOGIN,
        "ssh: connect to host 192.0.2.11 port 2222: Connection timed out",
        "no answer from 192.0.2.11 port 2222 in time",
        "a firewall drops port 2222",
    ),
    "no route": (
        LOGIN,
        "ssh: connect to host 192.0.2.11 port 2222: No route to host",
        "there is no route to 192.0.2.11 port 2222",
        "`ip route get 192.0.2.11`",
    ),
    "unknown name": (
        {"ansible_user": "deploy"},
        "ssh: Could not resolve hostname node1: Name or service not known",
        "cannot resolve the name node1",
        "ansible_host",
    ),
    "key unknown": (
        LOGIN,
        "Host key verification failed.",
        "host key is unknown",
        "`ssh-keyscan -p 2222 192.0.2.11 >> ~/.ssh/known_hosts`",
    ),
    "key unknown to a strict client": (
        LOGIN,
        "No ED25519 host key is known for [192.0.2.11]:2222 and you have requested strict checking.\r\n"
        "Host key verification failed.",
        "host key is unknown",
        "`ssh-keyscan -p 2222 192.0.2.11 >> ~/.ssh/known_hosts`",
    ),
    "key of the host behind a jump host unknown": (
        JUMP,
        "Host key verification failed.",
        "host key is unknown",
        "`ssh -p 2222 -o ProxyJump=ops@192.0.2.1 deploy@192.0.2.11 true`",
    ),
    "key changed": (
        LOGIN,
        "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\n"
        "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n"
        "Host key for [192.0.2.11]:2222 has changed and you have requested strict checking.\n"
        "Host key verification failed.",
        "differs from the one stored on this control node",
        "`ssh-keygen -R '[192.0.2.11]:2222' -f ~/.ssh/known_hosts`",
    ),
    "denied": (
        LOGIN | {"ansible_ssh_private_key_file": "~/.ssh/fleet"},
        "deploy@192.0.2.11: Permission denied (publickey,password).",
        "192.0.2.11 accepts none of this control node's keys for deploy",
        "`ssh -p 2222 -i ~/.ssh/fleet deploy@192.0.2.11 true`",
    ),
    "denied by password": (
        PASSWORD,
        "deploy@192.0.2.11: Permission denied (publickey,password).",
        "192.0.2.11 rejects deploy's password from the inventory",
        f"`{SSH}`",
    ),
    "denied by password, in Ansible's words": (
        PASSWORD,
        "Invalid/incorrect username/password. Skipping remaining 2 retries to prevent account lockout: "
        "Permission denied, please try again.",
        "rejects deploy's password from the inventory",
        f"`{SSH}`",
    ),
    "no sshpass": (
        PASSWORD,
        "to use the 'ssh' connection type with passwords or pkcs11_provider, you must install the sshpass program",
        "no sshpass",
        "apt-get install sshpass",
    ),
    "denied by the jump host": (
        JUMP,
        "ops@192.0.2.1: Permission denied (publickey).\r\nConnection closed by UNKNOWN port 65535",
        "through the jump host: 192.0.2.1 accepts none of this control node's keys for ops",
        "`ssh -p 2222 -o ProxyJump=ops@192.0.2.1 deploy@192.0.2.11 true`",
    ),
    "jump host of ~/.ssh/config unknown": (
        LOGIN,
        "ssh: Could not resolve hostname bastion: Name or service not known\r\n"
        "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535",
        "through the jump host: this control node cannot resolve the name bastion",
        "correct bastion",
    ),
    "jump host cannot reach it": (
        JUMP,
        "channel 0: open failed: connect failed: No route to host\r\nstdio forwarding failed\r\n"
        "kex_exchange_identification: Connection closed by remote host",
        "the jump host accepts the login, but cannot reach 192.0.2.11 port 2222",
        "`timeout 3 bash -c '</dev/tcp/192.0.2.11/2222' && echo open`",
    ),
    "private key readable by others": (
        LOGIN | {"ansible_private_key_file": "/keys/fleet"},
        "@@@@\n@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\n@@@@\n"
        "Permissions 0644 for '/keys/fleet' are too open.\n"
        "It is required that your private key files are NOT accessible by others.\n"
        'This private key will be ignored.\nLoad key "/keys/fleet": bad permissions\n'
        "deploy@192.0.2.11: Permission denied (publickey).",
        "other users may read the private key /keys/fleet",
        "`chmod 600 /keys/fleet`",
    ),
    "not sshd": (
        LOGIN,
        "kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 192.0.2.11 port 2222",
        "192.0.2.11 port 2222 closes the connection before the login",
        "`ssh -v -p 2222 deploy@192.0.2.11 true`",
    ),
    "old algorithms": (
        LOGIN,
        "Unable to negotiate with 192.0.2.11 port 2222: no matching host key type found. Their offer: ssh-rsa",
        "no algorithm in common",
        "ansible_ssh_common_args",
    ),
    "value not computed": (
        LOGIN,
        "Error processing keyword 'remote_user': 'vault_user' is undefined",
        "one of its inventory values cannot be computed; Ansible says",
        "define the variable",
    ),
    "anything else": (LOGIN, "mux_client_request_session: read failed", "it accepts no command", f"`{SSH}`"),
    "another connection": (
        LOGIN | {"ansible_connection": "containers.podman.podman"},
        "no such container",
        "it accepts no command",
        "`ansible -m ansible.builtin.raw -a true -i inventories/mine node1`",
    ),
}


def problem_of(variables, words):
    look = read_look({"unreachable": True, "msg": f"{VIA_SSH}{words}"})
    found = list(
        reach.unreachable(
            fleet({"node1": variables}, looks={"node1": look}, login={"inventory": "-i inventories/mine"})
        )
    )
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_cause_and_the_command(case):
    variables, words, reason, fix = CASES[case]
    problem = problem_of(variables, words)
    assert problem.host == "node1"
    assert reason in problem.problem
    assert fix in problem.fix
    # The whole login can be typed, with port, user, key and jump host.
    login = reach.login_of("node1", variables, {"inventory": "-i inventories/mine"})
    assert login.command.removeprefix("ssh ") in problem.fix
    assert "secret-word" not in str(problem)
    assert not set(problem.fix + problem.problem) & set("{}"), problem


def test_all_useful_lines_are_kept_and_no_other():
    problem = problem_of(
        LOGIN,
        "Warning: Permanently added '[192.0.2.11]:2222' (ED25519) to the list of known hosts.\r\n"
        "debug1: Exit status 255\nfirst thing\nsecond thing\nfirst thing\n\nConnection to 192.0.2.11 closed.\r\n",
    )
    assert problem.problem.endswith("ssh says: first thing / second thing")


def test_arguments_that_may_hold_a_secret_are_not_shown():
    variables = LOGIN | {"ansible_ssh_common_args": "-o ProxyCommand='sshpass -p secret-word ssh -W %h:%p bastion'"}
    problem = problem_of(variables, "mux_client_request_session: read failed")
    assert "secret-word" not in str(problem)
    assert "through the jump host" in problem.problem
    assert "`ansible -m ansible.builtin.raw -a true -i inventories/mine node1`" in problem.fix


def test_how_ansible_shares_connections_is_not_typed_by_hand():
    login = reach.login_of("node1", LOGIN, {"ansible_ssh_args": "-C -o ControlMaster=auto -o ControlPersist=60s"})
    assert login.command == SSH


def test_the_command_line_counts_where_the_inventory_is_silent():
    given = {"ansible_user": "root", "ansible_ssh_private_key_file": "/keys/a b", "ansible_port": "2200"}
    assert reach.login_of("node1", {}, given).command == "ssh -p 2200 -i '/keys/a b' root@node1 true"
    assert reach.login_of("node1", LOGIN, given).user == "deploy"


def test_ssh_copy_id_takes_a_part_of_sshs_arguments():
    variables = {"ansible_ssh_common_args": "-F none -J bastion -o UserKnownHostsFile='/a b' -v"}
    assert reach.login_of("node1", variables, {}).copy_id == "ssh-copy-id -F none -o UserKnownHostsFile='/a b' node1"


def test_a_shell_that_refuses_is_not_an_answer():
    look = read_look({"rc": 1, "stdout": "Password change required but no TTY available.\r\n", "stderr": ""})
    problem = next(reach.unreachable(fleet({"node1": LOGIN}, looks={"node1": look})))
    assert "accepts the login, but does not run a shell command" in problem.problem
    assert "Password change required" in problem.problem
    assert f"`{SSH}`" in problem.fix


def test_a_host_that_answers_is_no_problem():
    assert list(reach.unreachable(fleet({"node1": LOGIN}, looks={"node1": Look(os_id="debian")}))) == []
