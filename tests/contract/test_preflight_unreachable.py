"""The preflight with hosts that cannot be asked: real playbook runs, each host named with ssh's own words."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from rig import sshd
from rig.ansible_cores import programs_of
from rig.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SOUND = Path(__file__).parent / "inventories" / "preflight" / "sound"
PLAYBOOK = Path(__file__).parent / "preflight_then_touch.yml"
HOSTS = ("app1", "db1", "node1", "node2", "node3")
CORES = ("own", "legacy")


class Run(NamedTuple):
    """What a playbook run came to: exit code, problems (host, problem, fix), traces of what came after, its output."""

    code: int
    problems: list[tuple[str, str, str]]
    traces: list[str]
    output: str

    def of(self, host: str) -> list[str]:
        """Return what is said about a host."""
        return [problem for named, problem, _fix in self.problems if host in named.split(", ")]

    def fix(self, host: str) -> str:
        """Return what to do about the first problem of a host."""
        return next(fix for named, _problem, fix in self.problems if host in named.split(", "))


def run(core: str, folder: Path, hosts: dict[str, Any], *options: str, values: dict[str, Any] | None = None) -> Run:
    """Run the preflight and a play after it.

    Args:
        core: ``own`` for the tests' ansible-core, ``legacy`` for 2.16.
        folder: empty, for the run's files.
        hosts: host to its variables, over those of the sound inventory.
        options: further ones of ansible-playbook.
        values: variables of all hosts.
    """
    program = (Path(sys.executable).parent if core == "own" else programs_of(core)) / "ansible-playbook"
    # This machine answers for every host whose address is not given.
    sound = {"ansible_connection": "local", "mysql_flavor": "mariadb", "kafka_expected_gib_per_day": 0}
    inventory = {"all": {"vars": sound | {"traces": str(folder / "traces")} | (values or {}), "hosts": hosts}}
    (folder / "traces").mkdir(parents=True)
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_CALLBACK_FORMAT_PRETTY": "0",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        # All hosts are 127.0.0.1 here, and must not share a login.
        "ANSIBLE_SSH_ARGS": "-F none",
    }
    command = [program, PLAYBOOK, "-i", SOUND, "-i", folder / "inventory.yml", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    output = done.stdout + done.stderr
    said = re.search(r"^fatal: \[\w+\]: FAILED! => (\{.*\"problems\".*\})$", output, re.MULTILINE)
    found = json.loads(said.group(1))["problems"] if said else []
    traces = sorted(path.name for path in (folder / "traces").iterdir())
    return Run(done.returncode, [(p["host"], p["problem"], p["fix"]) for p in found], traces, output)


def away(**more: Any) -> dict[str, Any]:
    """Return the variables of a host on whose port nothing listens."""
    return {"ansible_connection": "ssh", "ansible_ssh_host": "127.0.0.1", "ansible_port": free_port()} | more


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    if sshd.PROGRAM is None:
        pytest.skip("no sshd on this machine (apt-get install openssh-server)")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as started:
        yield started


@pytest.mark.parametrize("core", CORES)
def test_a_sound_fleet_is_touched(core, tmp_path):
    done = run(core, tmp_path, {})
    assert (done.code, done.problems, done.traces) == (0, [], list(HOSTS)), done.output


@pytest.mark.parametrize("core", CORES)
def test_what_lies_among_kafkas_data_is_seen(core, tmp_path):
    """The script itself, on this machine: what is a partition, what is none, and on which disk."""
    fresh, lived = tmp_path / "fresh", tmp_path / "lived disk"
    (fresh / "lost+found").mkdir(parents=True)
    for name in ("nginxlog-0", "__cluster_metadata-0", "nginxlog-1.0123abcdef-delete", "nginx.log-12", "a copy"):
        (lived / name).mkdir(parents=True)
    (lived / "meta.properties").touch()
    first = run(core, tmp_path / "1", {}, values={"kafka_data_dir": str(fresh)})
    assert [problem for _host, problem, _fix in first.problems] == [
        f"{fresh}/lost+found is no partition: Kafka does not start with such a directory in its data"
    ], first.output
    assert f"kafka_data_dir: {fresh}/data" in first.fix("node1")
    disks = {"kafka_properties": {"log.dirs": f"{tmp_path}/absent, {lived}"}}
    second = run(core, tmp_path / "2", {}, values=disks)
    assert [host for host, _problem, _fix in second.problems] == ["node1, node2, node3"], second.output
    assert f"{lived}/a copy is no partition" in second.of("node1")[0]
    assert "move it" in second.fix("node1")


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("absent", [["node3"], ["node1", "db1"], HOSTS])
def test_each_host_that_cannot_be_reached_is_named(core, absent, tmp_path):
    hosts = {host: away() for host in absent}
    done = run(core, tmp_path, hosts)
    assert (done.code, done.traces) == (2, []), done.output
    assert sorted(host for host, _problem, _fix in done.problems) == sorted(absent), done.output
    for host, variables in hosts.items():
        assert f"ssh: connect to host 127.0.0.1 port {variables['ansible_port']}: Connection refused" in str(
            done.of(host)
        )
    assert "no host was touched" in done.output
    assert re.search(r"failed=1", done.output)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("options", [("--check",), ("--limit", "node1,node2"), ("--limit", "node3", "--tags", "kafka")])
def test_all_that_is_known_without_them_is_named_too(core, options, tmp_path):
    """Broken values, wrong names and a login reference to nothing, on hosts that are down and on others."""
    hosts = {
        "node1": away(ansible_password="{{ vault_ssh }}"),
        "node2": away(ansible_host="node2.example.com", kafka_node_id=3),
        "node3": away(),
        "app1": {"consumer_processes": 16},
    }
    values = {"kafka_heep": "1g", "mysql_reader_password": "vault:vault_reader", "fleet_vip": "192.168.100.255"}
    done = run(core, tmp_path, hosts, *options, values=values)
    assert (done.code, done.traces) == (2, []), done.output
    said = [problem for _host, problem, _fix in done.problems]
    for expected in (
        "'vault_ssh' is undefined",
        "ansible_host is node2.example.com, not an IP address",
        "share kafka_node_id 3",
        "consumer_processes is 16",
        "no role knows the variable kafka_heep",
        "mysql_reader_password cannot be used: vault:vault_reader",
        "the broadcast address",
    ):
        assert any(expected in problem for problem in said), (expected, said)
    asked = {"node1", "node2", "node3"} if "--limit" not in options else set(options[1].split(","))
    named = {host for host, problem, _fix in done.problems if "cannot be reached" in problem}
    assert {host for hosts in named for host in hosts.split(", ")} == asked


@pytest.mark.parametrize("core", CORES)
def test_ssh_says_why(core, tmp_path, server):
    """One host of each kind, and one that answers through the same sshd."""
    login = {
        "ansible_connection": "ssh",
        "ansible_ssh_host": "127.0.0.1",
        "ansible_port": server.port,
        "ansible_user": getpass.getuser(),
        "ansible_ssh_private_key_file": str(server.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={server.known_hosts}",
    }
    known = tmp_path / "known_hosts"
    hosts = {
        "app1": login,
        "node1": login | {"ansible_ssh_common_args": f"-o UserKnownHostsFile={known}"},
        "node2": login | {"ansible_ssh_private_key_file": str(server.other_key)},
        "node3": login | {"ansible_ssh_host": "node3.invalid"},
        "db1": login | {"ansible_ssh_private_key_file": str(tmp_path / "absent")},
    }
    values = {"fleet_admin_sources": ["127.0.0.1"]}
    done = run(core, tmp_path / "first", hosts, values=values)
    assert (done.code, done.traces) == (2, []), done.output
    assert done.of("app1") == []
    where = f"-p {server.port} 127.0.0.1"
    assert "its ssh host key is unknown" in done.of("node1")[0]
    assert "Host key verification failed" in done.of("node1")[0]
    assert f"`ssh-keyscan {where} >> {known}`" in done.fix("node1")
    assert f"accepts none of this control node's keys for {getpass.getuser()}" in done.of("node2")[0]
    assert "Permission denied (publickey" in done.of("node2")[0]
    assert f"`ssh -p {server.port} -i {server.other_key} -F none" in done.fix("node2")
    assert "cannot resolve the name node3.invalid" in done.of("node3")[0]
    assert f"private key {tmp_path}/absent does not exist" in done.of("db1")[0]

    for command in commands(done.fix("node1")):
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    again = run(core, tmp_path / "second", hosts, "--limit", "node1", values=values)
    assert again.of("node1") == [], again.output


@pytest.mark.parametrize("core", CORES)
def test_a_jump_host_is_named_with_its_own_error(core, tmp_path, server):
    """With a shared connection ssh throws the jump host's words away: they are asked for."""
    arguments = f"-o UserKnownHostsFile={server.known_hosts}"
    port = free_port()
    through = f"ssh -F none {arguments} -i {server.key} -p {server.port} -W %h:%p 127.0.0.1"
    login = {"ansible_connection": "ssh", "ansible_ssh_private_key_file": str(server.key)}
    shared = "-F none -o ControlMaster=auto -o ControlPersist=5s"
    changed = tmp_path / "changed"
    changed.write_text(
        f"[127.0.0.1]:{server.port} {server.other_key.with_suffix('.pub').read_text()}", encoding="ascii"
    )
    hosts = {
        "node1": login | {"ansible_ssh_common_args": f"{arguments} -o ProxyJump=127.0.0.1:{port}"},
        "node2": login | {"ansible_ssh_common_args": f"{arguments} -o ProxyJump=bastion.invalid"},
        "node3": login
        | {
            "ansible_ssh_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_ssh_common_args": f"{arguments} -o ProxyCommand='{through}'",
        },
        "db1": login
        | {
            "ansible_ssh_host": "127.0.0.1",
            "ansible_port": server.port,
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={changed}",
        },
    }
    for variables in hosts.values():
        variables["ansible_ssh_args"] = shared
    done = run(core, tmp_path / "run", hosts, "--limit", "node1,node2,node3,db1")
    assert (done.code, done.traces) == (2, []), done.output
    assert f"ssh: connect to host 127.0.0.1 port {port}: Connection refused" in done.of("node1")[0]
    assert "Could not resolve hostname bastion.invalid" in done.of("node2")[0]
    assert "bastion.invalid" in done.fix("node2")
    assert "the jump host accepts the login, but cannot reach 127.0.0.1" in done.of("node3")[0]
    assert all("through the jump host" in done.of(host)[0] for host in ("node1", "node2", "node3"))
    assert "differs from the one stored on this control node" in done.of("db1")[0]
    assert commands(done.fix("db1"))[0] == f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {changed}"


@pytest.mark.parametrize("core", CORES)
def test_a_password_of_the_inventory_is_tried_and_never_shown(core, tmp_path, server):
    login = {
        "ansible_connection": "ssh",
        "ansible_ssh_host": "127.0.0.1",
        "ansible_port": server.port,
        "ansible_user": getpass.getuser(),
        "ansible_password": "wrong-word",
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={server.known_hosts}",
    }
    done = run(core, tmp_path / "run", {"db1": login}, "--limit", "db1")
    assert (done.code, done.traces) == (2, []), done.output
    # ansible-core below 2.19 logs in by password with sshpass alone, which this machine may lack.
    reasons = ("'s password from the inventory", "this control node has no sshpass")
    assert any(reason in done.of("db1")[0] for reason in reasons), done.output
    assert "wrong-word" not in done.output


@pytest.mark.parametrize("core", CORES)
def test_login_ports_that_are_none_are_named(core, tmp_path):
    """Ansible stops at some of them with words of its own before it connects."""
    ports = {"db1": "ssh", "app1": 0, "node1": 70000, "node2": True}
    done = run(core, tmp_path, {host: away() | {"ansible_port": port} for host, port in ports.items()})
    assert (done.code, done.traces) == (2, []), done.output
    for host in ports:
        (named,) = done.of(host)
        assert re.match(r"ansible_port is .*, not ", named), done.output


@pytest.mark.parametrize("core", CORES)
def test_a_tag_that_no_play_has_is_refused(core, tmp_path, monkeypatch):
    """Ansible does nothing for it, and reports success; another's playbook that imports ours may have its own tags."""
    mistyped = ("--tags", "kakfa,nginx")
    assert run(core, tmp_path / "1", {}, *mistyped).problems == []
    for number, playbook in enumerate((ROOT / "playbooks" / "preflight.yml", ROOT / "ansible/playbooks/preflight.yml")):
        monkeypatch.setitem(globals(), "PLAYBOOK", playbook)
        done = run(core, tmp_path / f"of ours {number}", {}, *mistyped)
        assert (done.code, done.problems) == (
            2,
            [("fleet", "no play has the tag kakfa: nothing would be done for it", "did you mean kafka?")],
        ), done.output


def commands(fix: str) -> list[str]:
    """Return the commands that a fix gives people to type."""
    return re.findall(r"`([^`]+)`", fix)
