"""A site that logs in as a person: by password, with sudo's, through a jump host; and a look before an installation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from obsctl.lab.spec import FLEET_LAB
from tests.lab.conftest import INVENTORY, Fleet, wait_for

PERSON, PASSWORD = "obs-person", 'it\'s "one" $secret'
#: One host of each system in the mixed fleet.
HOSTS = ("app1", "node2")
#: The jump host has a login of its own, by the lab's key. It is the host itself: the firewall lets no other one in.
_FOLDER = "/var/lib/obsctl-lab/ssh"
_JUMP = f"ssh -i {_FOLDER}/id_ed25519 -o UserKnownHostsFile={_FOLDER}/known_hosts -W %h:%p root@%h"
_SSHD = "/etc/ssh/sshd_config.d/10-obs-person.conf"
_MAKE = f"""
useradd --create-home --shell /bin/bash {PERSON}
IFS= read -r word; echo "{PERSON}:$word" | chpasswd
echo '{PERSON} ALL=(ALL) ALL' > /etc/sudoers.d/{PERSON}
mkdir -p {_SSHD.rpartition("/")[0]}
grep -q sshd_config.d /etc/ssh/sshd_config || sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config
printf 'Match User {PERSON}\\n  PasswordAuthentication yes\\n' > {_SSHD}
systemctl reload ssh 2>/dev/null || systemctl reload sshd
"""
_REMOVE = f"""
rm -f {_SSHD} /etc/sudoers.d/{PERSON}
systemctl reload ssh 2>/dev/null || systemctl reload sshd
userdel --force --remove {PERSON}
"""


@pytest.fixture
def person(healthy: Fleet, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """The fleet by an inventory in which two hosts have a person's login, with further variables of theirs."""

    def logs_in(**variables: Any) -> Fleet:
        inventory = tmp_path / "inventory"
        shutil.copytree(INVENTORY, inventory, dirs_exist_ok=True)
        own = {
            "ansible_user": PERSON,
            "ansible_password": PASSWORD,
            "ansible_become_password": "{{ ansible_password }}",
            "ansible_ssh_private_key_file": "",
        }
        hosts = {"all": {"hosts": dict.fromkeys(HOSTS, own | variables)}}
        (inventory / "person.yml").write_text(json.dumps(hosts))
        return Fleet(healthy.record, inventory)

    try:
        for host in HOSTS:
            healthy.ssh(host, "sh", "-c", f"{{ {_MAKE} }} <<'EOF'\n{PASSWORD}\nEOF")
        yield logs_in
    finally:
        for host in HOSTS:
            healthy.ssh(host, "sh", "-c", _REMOVE, check=False)
    healthy.wait_healthy()


def asked(fleet: Fleet) -> dict[str, bool]:
    report = fleet.obsctl("health", "-o", "json").json
    return {row["host"]: row["answers"] for row in report["data"]["hosts"]}


@pytest.mark.long
def test_a_site_with_passwords_is_checked_as_one_with_keys(person: Callable[..., Fleet]) -> None:
    fleet = person()
    assert asked(fleet) == dict.fromkeys(FLEET_LAB.names, True)
    # It runs as another user on the consumer's host: sudo gets its password.
    reset = fleet.obsctl("consumer", "replay", "--reason", "parse", "--since", "1h", "--dry-run", "-o", "json")
    assert reset.code == 0, reset.said
    assert PASSWORD not in reset.said

    through = person(ansible_ssh_extra_args=f"-o ProxyCommand='{_JUMP}'")
    assert asked(through) == dict.fromkeys(FLEET_LAB.names, True)

    wrong = person(ansible_password="no")
    report = wrong.obsctl("health", "-o", "json").json
    (finding,) = (found for found in report["findings"] if found["object"] == "host/app1")
    assert "rejects obs-person's password from the inventory" in finding["summary"]


def test_a_fleet_is_looked_at_before_an_installation(person: Callable[..., Fleet], healthy: Fleet) -> None:
    whole = healthy.obsctl("health", "--pre", "-o", "json")
    assert not {code for code in whole.codes if code != "PRE_TIME_NOT_SYNCHRONIZED"}, whole.out
    assert whole.json["errors"] == []
    assert [row["root"] for row in whole.json["data"]["hosts"]] == [True] * len(FLEET_LAB.names)

    # One balancer's way to one back end: nginx there takes the others.
    rule = "ip saddr 198.18.0.12 tcp dport 8080 drop"
    drop = f"table inet obs_drop {{ chain in {{ type filter hook input priority -300; {rule}; }}; }}"
    try:
        healthy.ssh("app1", "systemctl", "stop", "obsctl-alerter")
        healthy.ssh("app1", "systemd-run", "--unit=obs-taken", "python3", "-m", "http.server", "9601")
        healthy.ssh("node1", "nft", drop)
        wait_for("the port", lambda: "9601" in healthy.ssh("app1", "ss", "-Hltn"), seconds=20)
        report = person(ansible_become_password="no").obsctl("health", "--pre", "-o", "json").json
        found = {(finding["code"], finding["object"]) for finding in report["findings"]}
        assert {("PRE_SUDO", f"host/{host}") for host in HOSTS} <= found
        assert {("PRE_PATH_BLOCKED", "host/node1"), ("PRE_PORT_TAKEN", "host/app1")} <= found
    finally:
        healthy.ssh("node1", "nft", "delete", "table", "inet", "obs_drop", check=False)
        healthy.ssh("app1", "systemctl", "stop", "obs-taken", check=False)
        healthy.ssh("app1", "systemctl", "start", "obsctl-alerter")
