"""Which fleet is chosen, and what a broken one says."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.core.brokers import Security
from obsctl.core.errors import ConfigError
from obsctl.fleet import load
from obsctl.fleet.model import Database, Fleet, Host, Https, Kafka, Tls, Vip


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OBSCTL_INVENTORY", raising=False)
    monkeypatch.setattr(load, "SYSTEM_FLEET", tmp_path / "etc-fleet.json")
    monkeypatch.setattr(load, "lab_of_tree_is_up", lambda _tree: False)
    for name in ("prod", "lab"):
        (tmp_path / "inventories" / name).mkdir(parents=True)
    return tmp_path


def test_the_option_comes_first(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSCTL_INVENTORY", str(tree / "inventories/prod"))
    assert load.find(str(tree / "inventories/lab"), cwd=tree).reason == "--inventory"


def test_the_environment_comes_before_the_tree(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSCTL_INVENTORY", str(tree / "inventories/lab"))
    assert load.find(None, cwd=tree).path.name == "lab"


def test_the_lab_is_chosen_only_while_this_trees_lab_is_up(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load.find(None, cwd=tree / "inventories").path.name == "prod"
    monkeypatch.setattr(load, "lab_of_tree_is_up", lambda found: found == tree)
    assert load.find(None, cwd=tree).path.name == "lab"


def test_outside_a_tree_the_system_file_serves(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(ConfigError, match="no inventory found"):
        load.find(None, cwd=elsewhere)
    load.SYSTEM_FLEET.write_text("{}")
    assert load.find(None, cwd=elsewhere).path == load.SYSTEM_FLEET


def test_a_named_inventory_must_exist(tree: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load.find(str(tree / "nowhere"), cwd=tree)


def test_an_empty_name_is_no_reason_for_the_default(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="--inventory is empty"):
        load.find("", cwd=tree)
    monkeypatch.setenv("OBSCTL_INVENTORY", "")
    with pytest.raises(ConfigError, match="OBSCTL_INVENTORY is empty"):
        load.find(None, cwd=tree)
    assert load.find(str(tree / "inventories/lab"), cwd=tree).reason == "--inventory"


def test_numbers_may_come_as_text(tmp_path: Path) -> None:
    """As ansible-core 2.16 writes them."""
    path = tmp_path / "fleet.json"
    path.write_text('{"schema": "obsctl/fleet/v1", "database": {"port": "3307"}}')
    assert load.load(load.FleetSource(path, "test")).database.port == 3307


def test_a_fleet_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(Fleet(hosts=(Host(name="n", address="192.0.2.1", groups=("lb",)),))))
    fleet = load.load(load.FleetSource(path, "test"))
    assert [host.name for host in fleet.group("lb")] == ["n"]
    assert fleet.host("n") is not None
    assert fleet.host("m") is None


@pytest.mark.parametrize("name", ["prod", "our hosts"])
def test_a_hint_names_the_inventory_that_was_read(tree: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """On another one the command would change other hosts; the second time the fleet comes from the cache."""
    inventory = tree / "inventories" / name
    inventory.mkdir(exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tree / "cache"))
    monkeypatch.setattr(load, "_ask_ansible", lambda _inventory: msgspec.json.encode(Fleet()))
    for _ in range(2):
        fleet = load.load(load.FleetSource(inventory, "test"))
        assert fleet.playbook("kafka") == f"ansible-playbook playbooks/kafka.yml -i {shlex.quote(str(inventory))}"


@pytest.mark.parametrize("hosts", ['[{"name": "n"}]', '"x"', "[1]"])
def test_a_broken_fleet_file_names_the_place(tmp_path: Path, hosts: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text('{"schema": "obsctl/fleet/v1", "hosts": %s}' % hosts)  # noqa: UP031
    with pytest.raises(ConfigError, match=r"fleet\.json: not a valid fleet.*hosts"):
        load.load(load.FleetSource(path, "test"))


def test_the_cache_key_changes_with_any_file(tree: Path) -> None:
    inventory = tree / "inventories/prod"
    (inventory / "hosts.yml").write_text("all: {}\n")
    first = load._cache_key(inventory)
    (inventory / "group_vars").mkdir()
    (inventory / "group_vars/all.yml").write_text("a: 1\n")
    assert load._cache_key(inventory) not in (first, None)


def test_the_ca_beside_the_inventory_is_not_read(tree: Path) -> None:
    """Its key is only for its owner; others would ask Ansible each time."""
    inventory = tree / "inventories/prod"
    (inventory / "hosts.yml").write_text("all: {}\n")
    first = load._cache_key(inventory)
    (inventory / "pki").mkdir()
    (inventory / "pki/ca.key.pem").write_text("closed\n")
    assert load._cache_key(inventory) == first


def test_paths_of_this_machine_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    path = tmp_path / "fleet.json"
    https = Https(ca_file="~/a.pem", backend_ca_file="~/b.pem")
    client = Security(ca_file="~/c.pem", certificate_file="~/d.pem", key_file="~/e.pem")
    given = Fleet(
        vip=Vip(address="192.0.2.100", https=https), kafka=Kafka(client=client),
        database=Database(ca_file="~/f.pem"), tls=Tls(ca_file="~/g.pem"),
    )  # fmt: skip
    path.write_bytes(msgspec.json.encode(given))
    fleet = load.load(load.FleetSource(path, "test"))
    assert fleet.vip is not None
    assert fleet.vip.https is not None
    assert fleet.tls is not None
    read = fleet.kafka.client
    found = [fleet.vip.https.ca_file, fleet.vip.https.backend_ca_file, read.ca_file, read.certificate_file,
             read.key_file, fleet.database.ca_file, fleet.tls.ca_file]  # fmt: skip
    assert found == [f"/home/me/{name}.pem" for name in "abcdefg"]


def test_a_script_inventory_is_never_cached(tree: Path) -> None:
    script = tree / "inventories/prod/hosts.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert load._cache_key(tree / "inventories/prod") is None


def test_a_fleet_file_of_another_version_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text('{"schema": "obsctl/fleet/v2"}')
    with pytest.raises(ConfigError, match="'obsctl/fleet/v2', this obsctl reads 'obsctl/fleet/v1'"):
        load.load(load.find(str(path)))


def test_a_fleet_file_that_may_not_be_read_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fleet.json"
    path.write_text("{}")

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match="Permission denied"):
        load.load(load.find(str(path)))


def test_an_inventory_without_a_host_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible says that no host matches, and succeeds."""
    done = subprocess.CompletedProcess([], 0, "skipping: no hosts matched\n", "")
    monkeypatch.setattr(load.ansible, "run", lambda *_arguments, **_options: done)
    with pytest.raises(ConfigError, match="names no host") as caught:
        load.load(load.FleetSource(tmp_path, "test"))
    assert "ansible-inventory --graph" in caught.value.hint


def _described(path: Path, change: Callable[[dict[str, Any]], None]) -> load.FleetSource:
    fleet: dict[str, Any] = {
        "schema": "obsctl/fleet/v1",
        "vip": {"address": "198.18.0.100"},
        "hosts": [{"name": "node1", "address": "198.18.0.11", "ssh": {}, "kafka": {"node_id": 1}, "backend": {}}],
        "database": {"host": "db.example"},
    }
    change(fleet)
    path.write_text(json.dumps(fleet))
    return load.FleetSource(path, "--inventory")


@pytest.mark.parametrize("address", ["a..b", "", "-oProxyCommand=x", "two words", "x\ny", "x" * 64])
@pytest.mark.parametrize("place", ["vip", "host", "database"])
def test_what_is_no_address_is_named(tmp_path: Path, place: str, address: str) -> None:
    def change(fleet: dict[str, Any]) -> None:
        if place == "host":
            fleet["hosts"][0]["address"] = address
        elif place == "vip":
            fleet["vip"]["address"] = address
        else:
            fleet["database"]["host"] = address

    source = _described(tmp_path / "fleet.json", change)
    if place == "database" and not address:  # a fleet without a database
        load.load(source)
        return
    with pytest.raises(ConfigError, match=f"{place}.*is not an address"):
        load.load(source)


@pytest.mark.parametrize("port", [0, -1, 65536])
@pytest.mark.parametrize("place", ["ssh port", "kafka broker_port", "kafka controller_port", "backend port"])
def test_what_is_no_port_is_named(tmp_path: Path, place: str, port: int) -> None:
    section, key = place.split()
    source = _described(tmp_path / "fleet.json", lambda fleet: fleet["hosts"][0][section].update({key: port}))
    with pytest.raises(ConfigError, match=rf"host node1: {section}\.{key}: {port} is not a port"):
        load.load(source)


def test_arguments_for_ssh_that_cannot_be_taken_apart_are_named(tmp_path: Path) -> None:
    args = {"common_args": "-o ProxyCommand='sshpass -p secret-word ssh -W"}
    source = _described(tmp_path / "fleet.json", lambda fleet: fleet["hosts"][0]["ssh"].update(args))
    with pytest.raises(ConfigError, match=r"host node1: ssh.common_args: no closing quotation") as caught:
        load.load(source)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b'{"schema":"obsctl/fleet/v1","hosts":[{"name":"\xff","address":"a"}]}',
        b'{"schema":"obsctl/fleet/v1","alert_channels":[{"a":' + b"[" * 50_000,
    ],
)
def test_a_description_that_cannot_be_decoded_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fleet.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not a valid fleet description"):
        load.load(load.FleetSource(path, "--inventory"))
