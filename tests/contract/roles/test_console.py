"""What the console role writes is what the console reads: configuration, unit, secrets; and its host's fleet entry."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from obsctl.alerter import config as alerter_config
from obsctl.console import config
from obsctl.core.brokers import SecuritySection
from obsctl.fleet.load import FleetSource, load
from obsctl.fleet.model import ConsoleNode, TlsListener
from rig import collection  # noqa: F401  # lets Ansible find obscraft.fleet in this tree
from tests.contract.roles.test_consumer import SECRETS, SWITCHED_ON, WITHOUT_TLS, _play, fleet_document

CONSOLE = {
    "mysql_console_password": "plain-console",
    "mysql_replay_password": "plain-replay",
    "console_names": ["console.example.com"],
}
REDIS = {"console_redis_url": "rediss://:plain-redis@192.0.2.9", "console_redis_ca_file": "/etc/obscraft/tls/ca.pem"}


def written(project: Path, folder: Path, **variables: Any) -> Path:
    """Return a folder with what the role writes on app1 of inventories/prod, and the alerter's configuration there."""
    given = folder / "variables.json"
    given.write_text(json.dumps({**SECRETS, **CONSOLE, **variables}))
    playbook = folder / "render.yml"
    playbook.write_text(f"""
- hosts: consumer
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: {sys.executable}
    ansible_become: false
  tasks:
    - ansible.builtin.import_role: {{name: obscraft.fleet.console, rolespec_validate: false}}
      tags: [never]
    - ansible.builtin.template:
        src: {project}/roles/{{{{ item.role }}}}/templates/{{{{ item.template }}}}
        dest: {folder}/{{{{ item.path | basename }}}}
        mode: "0644"
      loop: "{{{{ (__console_files | map('combine', {{'role': 'console'}}) | list)
        + [{{'role': 'consumer', 'template': 'alerter.yml.j2', 'path': 'alerter.yml'}}] }}}}"
    - ansible.builtin.copy:
        content: "{{{{ {{'secrets': __console_secrets, 'names': __console_names, 'read': __console_read,
          'url': __console_url, 'public': __console_public}} | to_json }}}}"
        dest: {folder}/rest.json
        mode: "0600"
""")
    _play(project, folder, playbook, "-e", f"@{given}")
    return folder


@pytest.fixture(scope="module")
def clear(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(project, tmp_path_factory.mktemp("clear"), **WITHOUT_TLS)


@pytest.fixture(scope="module")
def guarded(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(project, tmp_path_factory.mktemp("guarded"), **SWITCHED_ON, **REDIS)


@pytest.fixture(scope="module")
def without_replay(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(project, tmp_path_factory.mktemp("without"), **WITHOUT_TLS, mysql_replay_password="")


def _rest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "rest.json").read_text()))


def _read(folder: Path) -> config.ConsoleConfig:
    return config.load(folder / "console.yml")


def test_with_tls_it_is_served_with_the_fleets_certificate(guarded: Path) -> None:
    read = _read(guarded)
    assert (read.listen.address, read.listen.port) == ("0.0.0.0", 8443)
    assert read.listen.certificate == "/etc/obscraft/tls/console/cert.pem"
    assert read.listen.key == "/etc/obscraft/tls/console/key.pem"
    rest = _rest(guarded)
    assert rest["names"] == ["192.168.100.161", "app1", "console.example.com"]
    # The role asks it by a name of the certificate.
    assert rest["url"] == "https://192.168.100.161:8443"
    assert {read.listen.certificate, read.listen.key, "/etc/obscraft/tls/ca.pem"} <= set(rest["read"])


def test_without_tls_it_is_for_a_proxy_of_the_same_host(clear: Path) -> None:
    read = _read(clear)
    assert (read.listen.address, read.listen.certificate) == ("127.0.0.1", "")
    assert _rest(clear)["url"] == "http://127.0.0.1:8443"
    assert read.kafka is not None
    assert read.kafka.security == SecuritySection()


def test_it_reads_and_writes_as_its_own_account(guarded: Path) -> None:
    read = _read(guarded)
    database = read.database
    assert (database.host, database.name, database.user) == ("192.168.100.160", "obs", "obs_console")
    assert (database.password, database.ca_file) == (
        "file:/etc/obsctl/secrets/mysql_console",
        "/etc/obscraft/tls/ca.pem",
    )


def test_lines_are_read_from_kafka_as_the_alerter_reads_them(guarded: Path) -> None:
    read, alerter = _read(guarded), alerter_config.load(guarded / "alerter.yml")
    own = {"user": "console", "password": "file:/etc/obsctl/secrets/kafka_console"}
    assert read.kafka is not None
    assert (read.kafka.bootstrap, read.kafka.topics) == (alerter.kafka.bootstrap, alerter.kafka.topics)
    assert read.kafka.security == msgspec.structs.replace(alerter.kafka.security, **own)
    written = yaml.safe_load((guarded / "alerter.yml").read_text())
    assert list(read.trusted_proxies) == written["trusted_proxies"]
    assert read.error_log_timezone == written["error_log_timezone"]


def test_the_overview_is_of_this_host_and_the_fleet_that_the_consumers_role_writes(clear: Path) -> None:
    assert _read(clear).fleet == config.FleetConfig(document="/etc/obsctl/fleet.json", host="app1")


def test_lines_are_moved_by_a_second_account_where_there_is_one(guarded: Path, without_replay: Path) -> None:
    own = config.ReplayConfig(user="obs_console_replay", password="file:/etc/obsctl/secrets/mysql_replay")
    assert _read(guarded).replay == own
    assert _read(without_replay).replay is None
    assert "mysql_replay" not in [Path(one["path"]).name for one in _rest(without_replay)["secrets"]]


def test_the_live_statistics_go_to_redis_where_there_is_one(guarded: Path, clear: Path) -> None:
    url, ca_file = "file:/etc/obsctl/secrets/console_redis", "/etc/obscraft/tls/ca.pem"
    assert _read(guarded).redis == config.RedisConfig(url=url, ca_file=ca_file)
    assert _read(clear).redis is None


OIDC = {
    "console_oidc_issuer": "https://id.example.com/realms/ops",
    "console_oidc_client_id": "obsctl",
    "console_oidc_client_secret": "plain-oidc",
    "console_oidc_name": '单点登录: "ops"',
    "console_oidc_scopes": ["openid", "groups"],
    "console_oidc_roles": {"ops: all": "operator", "/admins": "admin"},
    "console_oidc_required_group": "staff",
    "console_oidc_create_users": True,
    "console_oidc_ca_file": "/srv/id-ca.pem",
}


@pytest.fixture(scope="module")
def with_provider(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(project, tmp_path_factory.mktemp("oidc"), **SWITCHED_ON, **OIDC)


def test_people_may_log_in_at_a_provider_where_one_is_named(with_provider: Path, guarded: Path) -> None:
    assert _read(guarded).people.oidc is None
    assert _read(with_provider).people.oidc == config.OidcConfig(
        issuer="https://id.example.com/realms/ops",
        client_id="obsctl",
        client_secret="file:/etc/obsctl/secrets/console_oidc",
        # The first name of the certificate, which browsers know.
        url="https://console.example.com:8443",
        name='单点登录: "ops"',
        scopes=("openid", "groups"),
        roles={"ops: all": "operator", "/admins": "admin"},
        required_group="staff",
        create_users=True,
        ca_file="/etc/obsctl/console-oidc-ca.pem",
    )
    rest, text = _rest(with_provider), (with_provider / "console.yml").read_text()
    secret = "/etc/obsctl/secrets/console_oidc"
    assert {"path": secret, "source": "plain-oidc"} in rest["secrets"]
    assert "plain-oidc" not in text
    # A change of either restarts it.
    assert {secret, "/etc/obsctl/console-oidc-ca.pem"} <= set(rest["read"])
    assert rest["public"] == [{"path": "/etc/obsctl/console-oidc-ca.pem", "source": "/srv/id-ca.pem"}]


@pytest.fixture(scope="module")
def behind_a_proxy(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    proxies = {"console_trusted_proxies": ["127.0.0.1", "192.168.100.0/28"], "console_trusted_header": "X-Remote-User"}
    return written(project, tmp_path_factory.mktemp("proxy"), **WITHOUT_TLS, **proxies)


def test_a_proxy_may_say_who_comes_from_where(behind_a_proxy: Path, clear: Path) -> None:
    assert _read(clear).people == config.PeopleConfig()
    expected = config.PeopleConfig(trusted_proxies=("127.0.0.1", "192.168.100.0/28"), trusted_header="X-Remote-User")
    assert _read(behind_a_proxy).people == expected


def test_the_role_has_the_programs_defaults_of_a_provider(project: Path) -> None:
    role = yaml.safe_load((project / "roles/console/defaults/main.yml").read_text())
    mine = config.OidcConfig(issuer="x", client_id="x", client_secret="file:/x", url="x")
    for name in msgspec.structs.asdict(mine).keys() - {"issuer", "client_id", "client_secret", "url"}:
        of_program = getattr(mine, name)
        assert role[f"console_oidc_{name}"] == (list(of_program) if name == "scopes" else of_program), name


def test_defaults_follow_the_alerters_and_the_programs(clear: Path) -> None:
    read = _read(clear)
    alerter = yaml.safe_load((clear / "alerter.yml").read_text())
    assert (read.timezone, read.language) == (alerter["timezone"], alerter["language"])
    assert (read.session, read.search, read.live) == (
        config.SessionConfig(),
        config.SearchConfig(),
        config.LiveConfig(),
    )


def test_secrets_are_files_and_nowhere_else(guarded: Path, clear: Path) -> None:
    secrets = {Path(one["path"]).name: one["source"] for one in _rest(guarded)["secrets"]}
    assert secrets == {
        "mysql_console": "plain-console",
        "mysql_replay": "plain-replay",
        "kafka_console": "vault:vault_console",
        "console_redis": "rediss://:plain-redis@192.0.2.9",
    }
    assert [Path(one["path"]).name for one in _rest(clear)["secrets"]] == ["mysql_console", "mysql_replay"]
    assert "plain-" not in (guarded / "console.yml").read_text()
    assert {one["path"] for one in _rest(guarded)["secrets"]} <= set(_rest(guarded)["read"])


def test_the_unit_is_hardened(clear: Path) -> None:
    unit = clear / "obsctl-console.service"
    settings = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")
    assert settings["ExecStart"] == "/opt/obsctl/venv/bin/obsctl-console --config /etc/obsctl/console.yml"
    assert (settings["User"], settings["Type"], settings["MemoryMax"]) == ("obsctl-console", "exec", "1G")
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    # As that of the consumer and the alerter: an exposure of at most 1.5.
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Unknown" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a unit file offline")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("enabled", [True, False])
def test_the_fleet_says_which_host_has_it(project: Path, tmp_path: Path, enabled: bool) -> None:
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps({**SECRETS, **SWITCHED_ON, "console_enabled": enabled, "console_port": 9443}))
    fleet = load(FleetSource(fleet_document(project, variables, tmp_path), "test"))
    found = {host.name: host.console for host in fleet.hosts if host.console is not None}
    assert found == ({"app1": ConsoleNode(port=9443)} if enabled else {})
    listener = TlsListener(use="console", port=9443)
    assert fleet.hosts[-1].certificates == ((listener,) if enabled else ())
