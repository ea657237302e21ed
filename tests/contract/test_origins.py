"""``config show --sources`` on real inventories: the file and line that Ansible has taken each value from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from obsctl.cli import main
from obsctl.fleet.origins import groups_of

ROOT = Path(__file__).resolve().parents[2]
SENTINEL = "Sent1nel-Value"
Shown = dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's own inventory, with values in every place that Ansible knows, and a vault."""
    made = tmp_path_factory.mktemp("inventory")
    shutil.copytree(ROOT / "inventories/prod", made, dirs_exist_ok=True)
    hosts = made / "hosts.yml"
    text = hosts.read_text(encoding="utf-8")
    text = text.replace("    node1:\n", "    node1:\n      kafka_tls_port: 19094\n      backend_port: 18080\n", 1)
    text = text.replace("  vars:\n", '  vars:\n    nginx_listen: ["8000"]\n    nginx_log_format: combined\n', 1)
    # A group within a group counts more than that, whatever the names are.
    text += "    zone:\n      children:\n        aisle:\n          hosts:\n            node2:\n"
    hosts.write_text(text, encoding="utf-8")
    for name, lines in {
        "group_vars/all/zz.yml": "kafka_tls_controller_port: 19096\nnginx_log_format: json\n",
        "group_vars/aisle.yml": "kafka_tls_controller_port: 19196\n",
        "group_vars/zone.yml": "kafka_tls_controller_port: 19296\n",
        "host_vars/node1.yml": "backend_port: 18081\n",
        "group_vars/consumer/more.yml": "---\nconsumer_group: readers\nconsumer_alert_group: '{{ vault_group }}'\n",
    }.items():
        file = made / name
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(before + lines, encoding="utf-8")
    vault = made / "group_vars/all/vault.yml"
    example = (made / "group_vars/all/vault.yml.example").read_text(encoding="utf-8")
    vault.write_text(
        f"{example}\nmysql_port: 13306\nmysql_database: {SENTINEL}\nvault_group: {SENTINEL}\n", encoding="utf-8"
    )
    password = made.parent / "vault-password"
    password.write_text("x\n", encoding="utf-8")
    program = str(Path(sys.executable).parent / "ansible-vault")
    subprocess.run([program, "encrypt", "--vault-password-file", str(password), str(vault)], check=True)
    return made


@pytest.fixture
def shown(inventory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(inventory.parent / "vault-password"))
    assert main.run(["-i", str(inventory), "-o", "json", "config", "show", "--sources"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["data"]["settings"]}


@pytest.mark.parametrize(
    ("name", "value", "variable", "file", "line"),
    [
        ("vip.address", "192.168.100.100", "fleet_vip", "group_vars/all/main.yml", "fleet_vip:"),
        ("hosts.node2.address", "192.168.100.151", "ansible_host", "hosts.yml", "ansible_host: 192.168.100.151"),
        ("hosts.node1.ssh.user", "deploy", "ansible_user", "hosts.yml", "ansible_user: deploy"),
        # A host in the hosts' file, and in host_vars, which counts more.
        ("hosts.node1.kafka.broker_port", 19094, "kafka_tls_port", "hosts.yml", "kafka_tls_port: 19094"),
        ("hosts.node1.backend.port", 18081, "backend_port", "host_vars/node1.yml", "backend_port: 18081"),
        # All, and the deeper one of two groups.
        ("hosts.node1.kafka.controller_port", 19096, "kafka_tls_controller_port", "group_vars/all/zz.yml", "19096"),
        ("hosts.node2.kafka.controller_port", 19196, "kafka_tls_controller_port", "group_vars/aisle.yml", "19196"),
        # The hosts' file counts less than group_vars.
        ("vip.port", 8000, "nginx_listen", "hosts.yml", 'nginx_listen: ["8000"]'),
        ("vip.log_format", "json", "nginx_log_format", "group_vars/all/zz.yml", "nginx_log_format: json"),
        ("consumer.group", "readers", "consumer_group", "group_vars/consumer/more.yml", "consumer_group: readers"),
        (
            "alert_channels.ops-dingtalk.token",
            "vault:vault_dingtalk_token",
            "consumer_alert_channels",
            "group_vars/consumer/main.yml",
            "token: vault:vault_dingtalk_token",
        ),
    ],
)  # fmt: skip
def test_the_line_is_the_one_that_ansible_has_taken(
    shown: Shown,
    inventory: Path,
    *,
    name: str,
    value: object,
    variable: str,
    file: str,
    line: str,
) -> None:
    found = shown[name]
    assert found["value"] == value
    place = re.fullmatch(rf"{variable} in (\S+):(\d+)", str(found["source"]))
    assert place, found
    assert place[1] == str(inventory / file)
    assert line in Path(place[1]).read_text(encoding="utf-8").splitlines()[int(place[2]) - 1]


@pytest.mark.parametrize(
    ("name", "variable", "file", "line"),
    [
        ("consumer.metrics_port", "consumer_metrics_port", "roles/consumer/defaults/main.yml", "consumer_metrics_port"),
        # The default of one role is another one's.
        ("kafka.topics.nginxlog.partitions", "fleet_topics", "roles/fleet_topics/defaults/main.yml", "partitions: 6"),
    ],
)
def test_a_default_is_that_of_its_role(shown: Shown, name: str, variable: str, file: str, line: str) -> None:
    place = re.fullmatch(rf"{variable} in role default (\S+):(\d+)", str(shown[name]["source"]))
    assert place, shown[name]
    assert (Path.cwd() / place[1]) == ROOT / file
    assert line in (ROOT / file).read_text(encoding="utf-8").splitlines()[int(place[2]) - 1]


def test_of_what_the_vault_protects_there_is_the_file_alone(shown: Shown, inventory: Path) -> None:
    vault = f"{inventory / 'group_vars/all/vault.yml'} (encrypted)"
    assert shown["database.port"] == {"name": "database.port", "value": "***", "source": f"mysql_port in {vault}"}
    assert shown["database.name"] == {"name": "database.name", "value": "***", "source": f"mysql_database in {vault}"}
    # In a plain file, by the name of a variable that is in the vault.
    group = shown["alerter.group"]
    assert group["value"] == "***"
    assert re.fullmatch(rf"consumer_alert_group in {inventory}/group_vars/consumer/more.yml:3", str(group["source"]))
    assert SENTINEL not in json.dumps(shown)
    # Nothing else is taken for a secret, such as a name that Ansible itself gives; but these are made of more than one
    # default, so that the vault may have changed one of them.
    masked = {name for name, row in shown.items() if row["value"] == "***"}
    made_of_several = {"vip.exclusive", "vip.https.backend_ca_file"}
    made_of_several |= {f"hosts.node{number}.kafka.replication_port" for number in (1, 2, 3)}
    assert masked == {"database.port", "database.name", "alerter.group"} | made_of_several
    assert {name for name, row in shown.items() if "encrypted" in str(row["source"])} == masked - {"alerter.group"}


def test_without_sources_the_vault_is_as_closed(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(inventory.parent / "vault-password"))
    assert main.run(["-i", str(inventory), "-o", "json", "config", "show"]) == 0
    assert SENTINEL not in capsys.readouterr().out


def test_every_setting_has_a_source(shown: Shown) -> None:
    """Of what the inventory itself says (names, groups) it is the inventory, of the login perhaps ansible.cfg."""
    own = re.compile(
        r"hosts\.[^.]+\.(name|groups|kafka|backend|keepalived|console|certificates(\.\d\.(use|port))?|ssh\.(local|password|become_password))"
    )
    vague = [
        name
        for name, row in shown.items()
        if str(row["source"]).startswith("inventory ") and not own.fullmatch(name) and name != "foreign_groups"
    ]
    assert not vague
    assert not [name for name, row in shown.items() if "environment" in str(row["source"]) and name.startswith("kafka")]


def test_groups_are_ordered_as_ansible_merges_them() -> None:
    graph = """@all:
  |--@ungrouped:
  |  |--lone
  |--@zone:
  |  |--@aisle:
  |  |  |--node2
  |--@kafka:
  |  |--node1
  |  |--node2
"""
    assert groups_of(graph) == {"lone": [], "node2": ["kafka", "zone", "aisle"], "node1": ["kafka"]}


def test_the_working_folder_shortens_paths(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(inventory.parent / "vault-password"))
    monkeypatch.chdir(inventory)
    assert main.run(["-i", ".", "-o", "json", "config", "show", "--sources"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["data"]["settings"]}
    assert str(rows["vip.address"]["source"]).startswith("fleet_vip in group_vars/all/main.yml:")
    assert os.fspath(inventory) not in str(rows["vip.address"]["source"])
