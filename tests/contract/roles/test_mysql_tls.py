"""The database's side of TLS: what the server's configuration says in each stage, and what its clients are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.rendered_role import RenderedNode

_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key", "tls_version", "require_secure_transport")


def node(folder: Path, role: str, host: str, **variables: Any) -> RenderedNode:
    inventory = {
        "all": {
            "vars": {"fleet_artifacts_dir": "/nowhere", "mysql_consumer_password": "env:A", **variables},
            "children": {
                "mysql": {"hosts": {"db1": {"ansible_host": "192.0.2.21"}}},
                "consumer": {"hosts": {"app1": {"ansible_host": "192.0.2.31"}}},
            },
        }
    }
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    return RenderedNode(path, host, role)


def options(text: str) -> dict[str, str]:
    """Return the server's options about TLS."""
    pairs = [line.split(" = ", 1) for line in text.splitlines() if " = " in line]
    return {name: value for name, value in pairs if name in _OPTIONS}


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_without_the_fleets_tls_the_configuration_does_not_mention_it(tmp_path: Path, flavor: str) -> None:
    text = node(tmp_path, "mysql", "db1", mysql_flavor=flavor).file("obscraft.cnf.j2")
    assert options(text) == {}


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize(
    ("variables", "required"),
    [
        ({"fleet_tls": True}, True),
        ({"fleet_tls": True, "mysql_tls": "offer"}, False),
        ({"fleet_tls": False, "mysql_tls": "offer"}, False),
    ],
)
def test_a_stage_of_tls(tmp_path: Path, flavor: str, variables: dict[str, Any], required: bool) -> None:
    text = node(tmp_path, "mysql", "db1", mysql_flavor=flavor, fleet_tls_dir="/etc/tls", **variables)
    expected = {
        "ssl_ca": "/etc/tls/ca.pem",
        "ssl_cert": "/etc/tls/mysql/cert.pem",
        "ssl_key": "/etc/tls/mysql/key.pem",
        "tls_version": "TLSv1.2,TLSv1.3",
    }
    if required:
        expected["require_secure_transport"] = "ON"
    assert options(text.file("obscraft.cnf.j2")) == expected


def test_a_stage_can_be_taken_back_while_the_fleet_has_tls(tmp_path: Path) -> None:
    clear = {"fleet_tls": True, "mysql_tls": "clear"}
    assert options(node(tmp_path, "mysql", "db1", **clear).file("obscraft.cnf.j2")) == {}
    assert node(tmp_path, "consumer", "app1", **clear).value("consumer_database_ca_file") == ""


def test_the_certificate_names_what_clients_call_the_server(tmp_path: Path) -> None:
    here = node(tmp_path, "mysql", "db1", fleet_tls=True)
    assert here.value("mysql_certificate_names") == ["192.0.2.21", "db1"]


@pytest.mark.parametrize(
    ("variables", "ca_file"),
    [
        ({}, ""),
        ({"fleet_tls": True}, "/etc/obscraft/tls/ca.pem"),
        ({"fleet_tls": True, "mysql_tls": "offer"}, "/etc/obscraft/tls/ca.pem"),
        # The server still offers it, and the clients have moved back.
        ({"fleet_tls": False, "mysql_tls": "offer"}, ""),
    ],
)
def test_what_the_clients_verify_by(tmp_path: Path, variables: dict[str, Any], ca_file: str) -> None:
    assert node(tmp_path, "consumer", "app1", **variables).value("consumer_database_ca_file") == ca_file


def test_encryption_on_the_disk_is_an_option(tmp_path: Path) -> None:
    off = node(tmp_path, "mysql", "db1", mysql_flavor="mariadb").file("obscraft.cnf.j2")
    assert "encrypt" not in off
    on = node(tmp_path, "mysql", "db1", mysql_flavor="mariadb", mysql_encryption=True).file("obscraft.cnf.j2")
    assert "file_key_management_filename = /var/lib/mysql-keyring/mariadb.keys\n" in on
    assert "innodb_encrypt_tables = ON\n" in on
    # Its keys are still there, and tables may be encrypted by them.
    back = {"mysql_flavor": "mariadb", "__mysql_keys": {"stat": {"exists": True}}}
    taken_back = node(tmp_path, "mysql", "db1", **back).file("obscraft.cnf.j2")
    assert "plugin_load_add = file_key_management\n" in taken_back
    assert "innodb_encrypt_tables = OFF\n" in taken_back


def test_mysql_encrypts_with_a_keyring_that_is_loaded_before_its_configuration(tmp_path: Path) -> None:
    text = node(tmp_path, "mysql", "db1", mysql_encryption=True).file("obscraft.cnf.j2")
    assert "default_table_encryption = ON\n" in text
    assert "file_key_management" not in text
