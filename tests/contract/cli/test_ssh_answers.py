"""What is asked of the OpenSSH client, and what its answers are taken for; a stand-in on PATH plays the client."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import msgspec
import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.vip.collect import collect_vip
from obsctl.core.errors import MissingDependencyError
from obsctl.fleet import passwords
from obsctl.fleet.login import FailureKind
from obsctl.fleet.model import Fleet, Host, KeepalivedNode, Ssh, Vip
from rig.waiting import HANGS_S, wait_for

PASSWORD = "pass word'\"$x"
HOST = Host(
    name="node1",
    address="198.18.0.11",
    ssh=Ssh(user="root", port=2222, key_file="/keys/id", common_args="-o UserKnownHostsFile='/a b/known'"),
)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def play(body: str) -> Path:
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\nprintf '%s\\n' \"$@\" > {tmp_path}/argv\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin:/usr/sbin:/sbin")
        return tmp_path / "argv"

    return play


def test_the_fleets_settings_reach_the_client_and_nothing_is_asked(client) -> None:
    argv = client("echo fine; exit 3")
    assert ssh.run(HOST, "uname -r", deadline_s=HANGS_S) == ssh.Answer(status=3, output="fine\n")
    words = argv.read_text().splitlines()
    assert words[:3] == ["-n", "-p", "2222"]
    assert "BatchMode=yes" in words
    assert words[words.index("-i") + 1] == "/keys/id"
    assert words[-3:] == ["UserKnownHostsFile=/a b/known", "198.18.0.11", "uname -r"]


SAID = {
    "Host key verification failed.": (FailureKind.HOST_KEY, "`ssh-keyscan -p 2222 198.18.0.11 >> '/a b/known'`"),
    "root@198.18.0.11: Permission denied (publickey).": (FailureKind.DENIED, "`ssh-copy-id -p 2222 -i /keys/id"),
    "ssh: connect to host 198.18.0.11 port 2222: Connection refused": (FailureKind.REFUSED, "`systemctl start sshd`"),
    "ssh: connect to host 198.18.0.11 port 2222: Connection timed out": (
        FailureKind.TIMEOUT,
        "`ping -c 1 198.18.0.11`",
    ),
    "ssh: connect to host 198.18.0.11 port 2222: No route to host": (
        FailureKind.NO_ROUTE,
        "`ip route get 198.18.0.11`",
    ),
    "ssh: Could not resolve hostname bastion: Name or service not known\n"
    "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535": (
        FailureKind.JUMP_HOST,
        "`getent hosts bastion`",
    ),
    "something new": (
        FailureKind.OTHER,
        "`ssh -p 2222 -i /keys/id -o UserKnownHostsFile='/a b/known' root@198.18.0.11 true`",
    ),
}


@pytest.mark.parametrize("said", SAID)
def test_the_clients_own_failure_is_told_in_its_words_with_what_to_type(client, said: str) -> None:
    kind, command = SAID[said]
    client(f"echo {shlex.quote(said)} >&2; exit 255")
    answer = ssh.run(HOST, "true", deadline_s=HANGS_S)
    assert answer.kind is kind
    assert answer.failure.endswith(f"; ssh says: {said.replace(chr(10), ' / ')}")
    assert command in answer.hint


def test_a_jump_host_that_fails_is_named() -> None:
    answer = ssh.unanswered(
        HOST, "ssh: Could not resolve hostname bastion: Name or service not known\nUNKNOWN port 65535"
    )
    assert answer.failure.startswith("through the jump host: this control node cannot resolve the name bastion")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("channel 0: open failed: connect failed: Connection refused", FailureKind.REFUSED),
        ("channel 0: open failed: connect failed: No route to host", FailureKind.NO_ROUTE),
        ("channel 0: open failed: connect failed: Connection timed out", FailureKind.TIMEOUT),
        ("channel 0: open failed: administratively prohibited: open failed", FailureKind.JUMP_HOST),
        ("no answer within 4 s", FailureKind.JUMP_HOST),
        ("ops@192.0.2.1: Permission denied (publickey).", FailureKind.JUMP_HOST),
        ("root@198.18.0.11: Permission denied (publickey).", FailureKind.DENIED),
    ],
)
def test_behind_a_jump_host_it_is_told_whose_failure_it_is(said: str, kind: FailureKind) -> None:
    jump = msgspec.structs.replace(HOST, ssh=Ssh(user="root", port=2222, common_args="-J ops@192.0.2.1"))
    rest = "\nstdio forwarding failed" if said.startswith("channel") else ""
    answer = ssh.unanswered(jump, f"{said}{rest}\nConnection closed by UNKNOWN port 65535")
    assert answer.kind is kind
    assert "through the jump host" in answer.failure


@pytest.mark.parametrize(
    ("kind", "alive", "down"),
    [
        (FailureKind.HOST_KEY, True, False),
        (FailureKind.DENIED, True, False),
        (FailureKind.REFUSED, True, False),
        (FailureKind.TIMEOUT, False, True),
        (FailureKind.NO_ROUTE, False, True),
        (FailureKind.JUMP_HOST, False, False),
        (FailureKind.NAME, False, False),
    ],
)
def test_what_follows_about_the_host(kind: FailureKind, alive: bool, down: bool) -> None:
    assert (kind.means_alive, kind.may_be_down) == (alive, down)


def test_every_part_of_the_login_reaches_the_client(client, tmp_path: Path) -> None:
    argv = client("echo fine")
    other = tmp_path / "bin/other-ssh"
    (tmp_path / "bin/ssh").rename(other)
    ssh_of = Ssh(executable=str(other), common_args="-o ProxyJump=ops@bastion -C")
    assert ssh.run(Host(name="n", address="192.0.2.1", ssh=ssh_of), "true", deadline_s=HANGS_S).output == "fine\n"
    assert argv.read_text().splitlines()[-5:] == ["-o", "ProxyJump=ops@bastion", "-C", "192.0.2.1", "true"]


def test_this_machine_is_asked_without_ssh(client) -> None:
    argv = client("exit 1")
    answer = ssh.run(
        Host(name="n", address="192.0.2.1", ssh=Ssh(local=True)), "echo $((6*7)); exit 255", deadline_s=HANGS_S
    )
    assert answer == ssh.Answer(status=255, output="42\n")
    assert not argv.exists()


@pytest.fixture
def by_password(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(passwords, "_all", lambda inventory, _names: {"node1": PASSWORD} if inventory == "inv" else {})
    login = Ssh(user="ops", password=True, become_password=True, inventory="inv")
    return Host(name="node1", address="198.18.0.11", ssh=login)


#: What the client asks, the settings that `ssh -G` shows, and whether the password is the answer.
QUESTIONS = {
    "password": ("ops@198.18.0.11's password: ", "", True),
    "by keyboard": ("(ops@198.18.0.11) Password: ", "", True),
    "by another name": ("ops@alias's password: ", "hostkeyalias alias", True),
    "of an old client": ("Password: ", "", True),
    "of an old client behind a jump host": ("Password: ", "proxyjump bastion", False),
    "of an old client behind a proxy": ("Password: ", "proxycommand nc %h %p", False),
    "of the jump host": ("ops@bastion's password: ", "proxyjump bastion", False),
    "of the jump host, without a word about it": ("ops@bastion's password: ", "", False),
    "passphrase": ("Enter passphrase for key '/keys/id': ", "", False),
    "host key": ("Are you sure you want to continue connecting (yes/no/[fingerprint])? ", "", False),
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_the_password_is_the_answer_to_the_hosts_own_question_alone(client, by_password: Host, case: str) -> None:
    question, settings, answered = QUESTIONS[case]
    argv = client(
        f"[[ $* == *-G* ]] && echo 'user ops' && echo {shlex.quote(settings)} && exit 0\n"
        f'env > $(dirname $0)/env; said=$("$SSH_ASKPASS" {shlex.quote(question)}); printf "%s|" "$?" "$said"; '
        f'said=$("$SSH_ASKPASS" {shlex.quote(question)}); echo "$said"'
    )
    answer = ssh.run(by_password, "true", deadline_s=HANGS_S)
    assert answer.output == (f"0|{PASSWORD}|{PASSWORD}\n" if answered else "1||\n")
    assert not [word for word in argv.read_text().splitlines() if PASSWORD in word or word.startswith("BatchMode")]
    environment = (argv.parent / "bin/env").read_text()
    assert PASSWORD not in environment
    assert "SSH_ASKPASS_REQUIRE=force" in environment


def test_a_password_that_cannot_be_read_is_the_hosts_own_failure(client, by_password: Host) -> None:
    client("exit 1")
    for inventory, said in (("", "was not read here"), ("empty", "has no value")):
        host = msgspec.structs.replace(by_password, ssh=msgspec.structs.replace(by_password.ssh, inventory=inventory))
        answer = ssh.run(host, "true", deadline_s=HANGS_S)
        assert answer.kind is FailureKind.PASSWORD
        assert said in answer.failure
        assert answer.hint


#: What means the remote shell: the client runs its last argument with another user's `id` and a sudo.
REMOTE = """\
mkdir -p $(dirname $0)/r; cd $(dirname $0)/r
printf "#!/bin/sh\\necho %s" {user} > id; chmod +x id; {sudo}
PATH=$PWD:$PATH sh -c "${{@: -1}}"\
"""
SUDO = "printf '#!/bin/bash\\n%s\\n' {body} > sudo; chmod +x sudo"


def test_root_needs_no_sudo(client) -> None:
    client(REMOTE.format(user="root", sudo="true"))
    assert ssh.run(HOST, 'echo "it\'s me"', deadline_s=HANGS_S, become="root").output == "it's me\n"


def test_another_user_becomes_root_by_sudo_without_a_question(client) -> None:
    client(
        REMOTE.format(user="ops", sudo=SUDO.format(body=shlex.quote('echo "options: $1 $2 $3 $4"; shift 4; exec "$@"')))
    )
    assert ssh.run(HOST, 'echo "it\'s me"; exit 4', deadline_s=HANGS_S, become="root") == ssh.Answer(
        status=4, output="options: -n -u root --\nit's me\n"
    )


def test_root_becomes_a_services_user_without_sudo(client) -> None:
    body = shlex.quote('echo "options: $1 $2 $3"; shift 3; exec "$@"')
    runuser = SUDO.replace("sudo", "runuser").format(body=body)
    client(REMOTE.format(user="root", sudo=runuser))
    answer = ssh.run(HOST, "echo done", deadline_s=HANGS_S, become="consumer")
    assert answer.output == "options: -u consumer --\ndone\n"
    client(REMOTE.format(user="consumer", sudo="true"))
    assert ssh.run(HOST, "echo done", deadline_s=HANGS_S, become="consumer").output == "done\n"


def test_sudos_password_comes_on_standard_input_and_goes_to_sudo_alone(client, by_password: Host) -> None:
    body = shlex.quote('read -r word; echo "sudo got $word"; shift 6; exec "$@"')
    client("[[ $* == *-G* ]] && exit 0\n" + REMOTE.format(user="ops", sudo=SUDO.format(body=body)))
    answer = ssh.run(by_password, "cat; echo done", deadline_s=HANGS_S, become="root")
    assert answer.output == f"sudo got {PASSWORD}\ndone\n"
    client("[[ $* == *-G* ]] && exit 0\n" + REMOTE.format(user="root", sudo="true"))
    assert ssh.run(by_password, "cat; echo done", deadline_s=HANGS_S, become="root").output == "done\n"


@pytest.mark.parametrize("takes_it", [True, False], ids=["sudo wants a password", "sudo wants none"])
def test_what_the_command_reads_is_never_sudos_password(client, by_password: Host, takes_it: bool) -> None:
    body = shlex.quote(f'{"read -r word; " if takes_it else ""}shift 6; exec "$@"')
    client("[[ $* == *-G* ]] && exit 0\n" + REMOTE.format(user="ops", sudo=SUDO.format(body=body)))
    answer = ssh.run(by_password, "cat", deadline_s=HANGS_S, become="root", given="one\ntwo\n")
    assert answer.output == "one\ntwo\n"
    client(REMOTE.format(user="root", sudo="true"))
    assert ssh.run(HOST, "cat", deadline_s=HANGS_S, become="root", given="one\n").output == "one\n"


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("sudo: a password is required", True),
        ("ops is not in the sudoers file.  This incident will be reported.", True),
        ("Sorry, user ops is not allowed to execute '/bin/sh' as root on node1.", True),
        ("sudo: sorry, you must have a tty to run sudo", True),
        ("sudo: unable to resolve host node1: Name or service not known", False),
        ("nginx: configuration file test failed", False),
    ],
)
def test_a_sudo_that_refuses_is_told_from_a_command_that_fails(client, said: str, refused: bool) -> None:
    client(f"echo {shlex.quote(said)} >&2; exit 1")
    answer = ssh.run(HOST, "true", deadline_s=HANGS_S, become="root")
    assert (answer.kind is FailureKind.SUDO) == refused
    if refused:
        assert answer.failure == f"lets root log in, but not use sudo without a password; it says: {said}"
        assert "NOPASSWD" in answer.hint
    else:
        assert answer == ssh.Answer(status=1)


@pytest.mark.parametrize("then", ["sleep 600", "exit 0"], ids=["both hang", "the child holds the pipes"])
def test_a_hanging_client_and_its_children_are_ended(client, tmp_path: Path, then: str) -> None:
    client(f"sleep 600 & echo $! > {tmp_path}/child; {then}")
    started = time.monotonic()
    answer = ssh.run(HOST, "true", deadline_s=1)
    assert answer.kind is FailureKind.TIMEOUT
    assert "within 1 s" in answer.failure
    assert time.monotonic() - started < HANGS_S
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    wait_for("the child's end", lambda: not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z")


def test_without_a_client_the_person_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="no ssh client"):
        ssh.run(HOST, "true", deadline_s=1)


def _fleet() -> Fleet:
    hosts = tuple(
        Host(name=f"node{n}", address="127.0.0.1", groups=("lb",), keepalived=KeepalivedNode(priority=100 - n))
        for n in (1, 2)
    )
    return Fleet(vip=Vip(address="127.0.0.9", port=1), hosts=hosts)


def test_the_nodes_answer_is_read(client) -> None:
    interfaces = [
        {
            "ifname": "lo",
            "link_type": "loopback",
            "address": "00:00:00:00:00:00",
            "addr_info": [{"local": "127.0.0.1"}],
        },
        {
            "ifname": "host0",
            "link_type": "ether",
            "address": "02:AA:00:00:00:01",
            "addr_info": [{"local": "127.0.0.9"}],
        },
    ]
    client(f"echo '{json.dumps(interfaces)}'; echo '--- keepalived, nginx'; echo active; echo active")
    seen = collect_vip(_fleet())
    node = seen.nodes[0]
    assert (node.failure, node.holds_vip, node.keepalived, node.macs) == ("", True, "active", ("02:aa:00:00:00:01",))
    assert node.nginx_failure == "connection refused"
    assert seen.vip_failure == "connection refused"


@pytest.mark.parametrize(("state", "failure"), [("active", ""), ("failed", "its unit is failed")])
def test_where_nginx_listens_on_the_vip_alone_its_unit_is_asked(client, state: str, failure: str) -> None:
    client(f"""echo '[{{"link_type": "loopback"}}]'; echo '--- keepalived, nginx'; echo active; echo {state}""")
    fleet = _fleet()
    assert fleet.vip is not None
    seen = collect_vip(msgspec.structs.replace(fleet, vip=msgspec.structs.replace(fleet.vip, exclusive=True)))
    assert [(node.keepalived, node.nginx_failure) for node in seen.nodes] == [("active", failure)] * 2


def test_an_answer_that_makes_no_sense_is_no_answer(client) -> None:
    client("echo 'Welcome to node1!'; echo '--- keepalived, nginx'; echo active; echo active")
    assert "cannot be read" in collect_vip(_fleet()).nodes[0].failure
