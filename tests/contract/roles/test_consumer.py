"""What the consumer role writes is what the programs read: configuration, units, the fleet; and no secret in any."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from obsctl.alerter import config as alerter_config
from obsctl.alerter.rules.flatline import Flatline
from obsctl.alerter.rules.registry import KINDS
from obsctl.consumer import config
from obsctl.consumer.unit import supervisor, worker
from obsctl.core.brokers import IN_CLEAR, Brokers, Security
from obsctl.fleet.load import FleetSource, load
from obsctl.fleet.model import Fleet
from rig import collection  # noqa: F401  # lets Ansible find obscraft.fleet in this tree

BIN = Path(sys.executable).parent
CHANNELS: list[dict[str, Any]] = [
    {"name": "ops robot", "type": "dingtalk", "url": "https://robot.example/send", "token": "vault:vault_token",
     "secret": "env:OBS_TEST_SECRET"},
    {"name": "hook", "type": "webhook", "url": "https://hook.example/", "token": "plain-value"},
    {"name": "pool", "type": "wecom", "robots": [{"token": "vault:vault_token"}, {"token": "plain-pool"}],
     "at_all": ["critical"]},
    {"name": "mail", "type": "smtp", "host": "mail.example", "sender": "o@example", "recipients": ["值班@example"]},
]  # fmt: skip
HEARTBEAT = {"url": "vault:vault_token", "every_s": 30}
SECRETS = {"mysql_reader_password": "plain-reader", "vault_token": "vaulted-token"}
#: The inventory is that of production, which has it on.
WITHOUT_TLS = {"fleet_tls": False}


def _play(project: Path, cwd: Path, playbook: Path, *arguments: str | Path) -> None:
    if not (BIN / "ansible-playbook").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    done = subprocess.run(
        [BIN / "ansible-playbook", playbook, "-i", project / "inventories/prod", *arguments],
        cwd=cwd,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(project / "collections")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("variables") / "variables.json"
    path.write_text(
        json.dumps(
            {**SECRETS, **WITHOUT_TLS, "consumer_alert_channels": CHANNELS, "consumer_alert_heartbeat": HEARTBEAT}
        )
    )
    return path


@pytest.fixture(scope="module")
def fleet_file(project: Path, variables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fleet of inventories/prod, as the control node gets it."""
    return fleet_document(project, variables, tmp_path_factory.mktemp("fleet"))


def fleet_document(project: Path, variables: Path, folder: Path) -> Path:
    out = folder / "fleet.json"
    _play(project, folder, project / "ansible/playbooks/fleet.yml", "-e", f"@{variables}", "-e", f"fleet_out={out}")
    return out


@pytest.fixture(scope="module")
def host_files(project: Path, variables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the role writes on app1 of inventories/prod."""
    return written(project, variables, tmp_path_factory.mktemp("app1"))


def written(project: Path, variables: Path, folder: Path) -> Path:
    playbook = folder / "render.yml"
    playbook.write_text(f"""
- ansible.builtin.import_playbook: {project}/ansible/playbooks/fleet.yml
- hosts: consumer
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: {sys.executable}
    ansible_become: false
  tasks:
    - ansible.builtin.import_role: {{name: obscraft.fleet.consumer, rolespec_validate: false}}
      tags: [never]
    - ansible.builtin.template:
        src: {project}/roles/consumer/templates/{{{{ item.template }}}}
        dest: {folder}/{{{{ item.path | basename }}}}
        mode: "0644"
      loop: "{{{{ __consumer_files }}}}"
    # The role's own task wants to make it root's.
    - ansible.builtin.template:
        src: {project}/roles/fleet_document/templates/fleet.json.j2
        dest: {folder}/fleet.json
        mode: "0644"
      vars:
        fleet_document_changes: "{{{{ __consumer_fleet_changes }}}}"
    - ansible.builtin.copy:
        content: "{{{{ __consumer_secrets | to_json }}}}"
        dest: {folder}/secrets.json
        mode: "0600"
""")
    _play(project, folder, playbook, "-e", f"@{variables}")
    return folder


def _fleet(path: Path) -> Fleet:
    return load(FleetSource(path, "test"))


def test_the_fleet_on_the_control_node(fleet_file: Path) -> None:
    assert stat.S_IMODE(fleet_file.stat().st_mode) == 0o600
    fleet = _fleet(fleet_file)
    assert [host.name for host in fleet.hosts] == ["node1", "node2", "node3", "db1", "app1"]
    node1, app1 = fleet.hosts[0], fleet.hosts[-1]
    assert (node1.address, node1.groups) == ("192.168.100.150", ("lb", "backend", "kafka", "filebeat"))
    assert node1.kafka is not None
    assert (node1.kafka.node_id, node1.kafka.broker_port, node1.kafka.controller_port) == (1, 9092, 9093)
    assert node1.backend is not None
    assert node1.backend.port == 8080
    assert node1.keepalived is not None
    assert (app1.groups, app1.kafka, app1.backend, app1.keepalived) == (("consumer",), None, None, None)
    assert fleet.vip is not None
    assert (fleet.vip.address, fleet.vip.port) == ("192.168.100.100", 80)
    assert json.loads(fleet_file.read_text())["vip"]["balancer_header"] == "X-Balancer"
    assert not fleet.vip.exclusive, "nginx listens on every address"
    assert {topic.name: topic.partitions for topic in fleet.kafka.topics}["nginxlog"] == 6
    assert (fleet.kafka.replication_factor, fleet.kafka.min_insync_replicas) == (3, 2)
    assert (fleet.database.host, fleet.database.service) == ("192.168.100.160", "mysqld")


def test_commands_find_the_topics_of_alerts_and_the_labels_of_the_rules(fleet_file: Path, host_files: Path) -> None:
    """The alerter, the cluster and the commands mean the same topics; the rules are those of the alerter."""
    fleet, read = _fleet(fleet_file), alerter_config.load(host_files / "alerter.yml")
    assert (fleet.alerter.silences_topic, fleet.alerter.history_topic) == (
        read.kafka.topics.silences,
        read.kafka.topics.history,
    )
    topics = read.kafka.topics
    assert (fleet.alerter.access_topic, fleet.alerter.error_topic) == (topics.access, topics.error)
    assert tuple(map(ip_network, fleet.alerter.trusted_proxies)) == read.trusted_proxies
    assert fleet.alerter.error_log_timezone == read.error_log_timezone
    assert {fleet.alerter.silences_topic, fleet.alerter.history_topic} <= {topic.name for topic in fleet.kafka.topics}
    assert fleet.brokers() == read.kafka.brokers
    assert tuple(KINDS.read(fleet.alert_rules, "rules")) == read.rules


def test_secrets_in_the_fleet_are_references_or_nothing(fleet_file: Path, host_files: Path) -> None:
    fleet = _fleet(fleet_file)
    assert fleet.database.reader_password == "", "the inventory of this test holds it as a plain value"
    robot, hook, pool, mail = fleet.alert_channels
    assert [one["token"] for one in pool["robots"]] == ["vault:vault_token", ""]
    assert (robot["token"], robot["secret"], hook["token"]) == ("vault:vault_token", "env:OBS_TEST_SECRET", "")
    assert mail["recipients"] == ["值班@example"]
    for path in (fleet_file, host_files / "fleet.json"):
        text = path.read_text()
        assert not [value for value in (*SECRETS.values(), "plain-value", "plain-pool") if value in text]


def test_the_fleet_on_a_consumer_host_differs_in_what_is_valid_there(fleet_file: Path, host_files: Path) -> None:
    here, there = json.loads((host_files / "fleet.json").read_text()), json.loads(fleet_file.read_text())
    _fleet(host_files / "fleet.json")
    assert here["database"].pop("reader_password") == "file:/etc/obsctl/secrets/mysql_reader"
    there["database"].pop("reader_password")
    assert here.pop("alert_channels")[0]["token"] == "file:/etc/obsctl/secrets/alert_ops_robot_token"
    there.pop("alert_channels")
    for host in there["hosts"]:
        host["ssh"] = {"port": 22}
    assert here == there


def test_each_machine_verifies_the_database_by_its_own_file(project: Path, variables: Path, tmp_path: Path) -> None:
    given = json.loads(variables.read_text())
    given |= {"mysql_client_ca_file": "/pki/ca.pem", "consumer_database_ca_file": "/etc/obscraft/tls/ca.pem"}
    with_tls = tmp_path / "variables.json"
    with_tls.write_text(json.dumps(given))
    folder = written(project, with_tls, tmp_path)
    assert config.load(folder / "consumer.yml").database.ca_file == "/etc/obscraft/tls/ca.pem"
    assert _fleet(folder / "fleet.json").database.ca_file == "/etc/obscraft/tls/ca.pem"
    (tmp_path / "control").mkdir()
    assert _fleet(fleet_document(project, with_tls, tmp_path / "control")).database.ca_file == "/pki/ca.pem"


def test_the_consumer_reads_its_configuration(host_files: Path) -> None:
    read = config.load(host_files / "consumer.yml")
    assert read.kafka.bootstrap == ("192.168.100.150:9092", "192.168.100.151:9092", "192.168.100.152:9092")
    assert (read.database.host, read.database.user) == ("192.168.100.160", "obs_consumer")
    assert read.database.password == "file:/etc/obsctl/secrets/mysql_consumer"
    assert (read.kafka.instance, read.processes, read.native) == ("app1", 0, True)
    assert read.database.ca_file == "", "the fleet has no TLS"


def test_the_alerter_reads_its_configuration(host_files: Path) -> None:
    read = alerter_config.load(host_files / "alerter.yml")
    assert [channel.name for channel in read.channels] == ["ops robot", "hook", "pool", "mail"]
    tokens = [f"file:/etc/obsctl/secrets/alert_pool_robots_{number}_token" for number in (1, 2)]
    assert [robot.token for robot in read.channels[2].each_robot()] == tokens  # type: ignore[attr-defined]
    wanted = yaml.safe_load(
        (Path(__file__).resolve().parents[3] / "roles" / "consumer" / "defaults" / "main.yml").read_text()
    )["consumer_alert_rules"]
    assert [rule.name for rule in read.rules] == [rule["name"] for rule in wanted]
    (own,) = read.metrics.sources
    assert (own.name, own.url) == ("consumer-app1", "http://127.0.0.1:9600/metrics")
    assert read.heartbeat is not None
    assert (read.heartbeat.url, read.heartbeat.every_s) == ("file:/etc/obsctl/secrets/alert_heartbeat_url", 30)
    backends = [f"192.168.100.{number}:8080" for number in (150, 151, 152)]
    assert [rule.expect for rule in read.rules if isinstance(rule, Flatline) and rule.by] == [tuple(backends)]
    assert [route.options.channels for route in read.notifications.routes.values()] == [
        ("ops robot", "hook", "pool", "mail")
    ]


def test_messages_are_in_the_sites_language_and_its_zone(project: Path, tmp_path: Path) -> None:
    site = _site(tmp_path / "site", title="{{ kind }}")
    written = _alerter_file(project, tmp_path, site)
    assert (written["language"], written["timezone"]) == ("zh", "Asia/Shanghai")
    assert written["templates"] == str(tmp_path / "on-host")
    assert "templates" not in _alerter_file(project, tmp_path, None)


@pytest.mark.root
def test_the_host_has_the_sites_templates_and_no_others(project: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the role makes the files root's")
    source, there = tmp_path / "site", tmp_path / "on-host"
    _site(source, title="one", **{"kinds/ratio": "two"})
    _alerter_file(project, tmp_path, source)
    assert _files(there) == {"zh/title.j2": "one", "zh/kinds/ratio.j2": "two"}
    (source / "zh" / "title.j2").unlink()
    _site(source, body="three")
    (there / "en" / "stray.j2").write_text("of a person")
    _alerter_file(project, tmp_path, source)
    assert _files(there) == {"zh/body.j2": "three", "zh/kinds/ratio.j2": "two"}


def _site(folder: Path, **templates: str) -> Path:
    for name, text in templates.items():
        path = folder / "zh" / f"{name}.j2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def _alerter_file(project: Path, folder: Path, site: Path | None) -> dict[str, Any]:
    """Return what the role writes into alerter.yml; with root's rights it copies the site's templates as well."""
    copy = site is not None and os.geteuid() == 0
    playbook = folder / "render.yml"
    playbook.write_text(f"""
- hosts: consumer
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: {sys.executable}
    ansible_become: false
  tasks:
    - ansible.builtin.import_role: {{name: obscraft.fleet.consumer, rolespec_validate: false}}
      tags: [never]
    - ansible.builtin.include_tasks: {project}/roles/consumer/tasks/alert_templates.yml
      when: {str(copy).lower()}
    - ansible.builtin.template:
        src: {project}/roles/consumer/templates/alerter.yml.j2
        dest: {folder}/alerter.yml
        mode: "0644"
""")
    chosen = {
        **SECRETS,
        **WITHOUT_TLS,
        "consumer_alert_language": "zh",
        "consumer_alert_timezone": "Asia/Shanghai",
        "consumer_alert_templates": str(site or ""),
        "__consumer_templates_dir": str(folder / "on-host"),
    }
    (folder / "chosen.json").write_text(json.dumps(chosen))
    _play(project, folder, playbook, "-e", f"@{folder / 'chosen.json'}")
    return dict(yaml.safe_load((folder / "alerter.yml").read_text()))


def test_each_secret_belongs_to_the_one_that_reads_it(host_files: Path) -> None:
    owners = {
        Path(entry["path"]).name: entry["owner"] for entry in json.loads((host_files / "secrets.json").read_text())
    }
    assert owners == {
        "mysql_consumer": "obsctl-consumer",
        "mysql_reader": "root",
        "alert_ops_robot_token": "obsctl-alerter",
        "alert_ops_robot_secret": "obsctl-alerter",
        "alert_hook_token": "obsctl-alerter",
        "alert_pool_robots_1_token": "obsctl-alerter",
        "alert_pool_robots_2_token": "obsctl-alerter",
        "alert_heartbeat_url": "obsctl-alerter",
    }


@pytest.mark.parametrize("unit", ["obsctl-consumer.service", "obsctl-alerter.service"])
def test_the_units_are_hardened(host_files: Path, unit: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    # The threshold is in tenths: an exposure of at most 1.5.
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", host_files / unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Unknown" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a unit file offline")
    assert done.returncode == 0, done.stdout + done.stderr


def _settings(unit: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")


def test_the_consumer_gives_signs_of_life(host_files: Path) -> None:
    consumer = _settings(host_files / "obsctl-consumer.service")
    assert {name: consumer.get(name) for name in ("Type", "NotifyAccess", "KillMode", "OOMPolicy")} == {
        "Type": "notify",
        "NotifyAccess": "main",
        "KillMode": "mixed",
        "OOMPolicy": "continue",
    }
    # A busy machine may swallow several of them.
    assert float(consumer["WatchdogSec"]) >= 10 * supervisor.NOTIFY_S
    # Drain and writer of a worker, then the supervisor's own work.
    drain = config.load(host_files / "consumer.yml").drain_seconds
    assert float(consumer["TimeoutStopSec"]) >= drain + 3 * worker.STOP_S
    alerter = _settings(host_files / "obsctl-alerter.service")
    assert alerter["Type"] == "exec"
    assert "WatchdogSec" not in alerter


@pytest.mark.parametrize(("processes", "memory"), [(1, "512M"), (2, "768M"), (8, "2304M")])
def test_the_memory_is_enough_for_the_workers(project: Path, tmp_path: Path, processes: int, memory: str) -> None:
    out = tmp_path / "memory"
    playbook = tmp_path / "memory.yml"
    playbook.write_text(f"""
- hosts: consumer
  connection: local
  gather_facts: false
  vars_files: ["{project}/roles/consumer/defaults/main.yml"]
  vars: {{ansible_python_interpreter: {sys.executable}, ansible_become: false}}
  tasks:
    - ansible.builtin.copy: {{content: "{{{{ consumer_memory_max }}}}", dest: {out}, mode: "0600"}}
""")
    _play(project, tmp_path, playbook, "-e", f"consumer_processes={processes}")
    assert out.read_text() == memory


def _resolve(reference: str, **variables: str) -> str:
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import lookup_loader
    from ansible.template import Templar, trust_as_template

    trusted = {name: trust_as_template(value) for name, value in variables.items()}
    loader = DataLoader()
    plugin = lookup_loader.get(
        "obscraft.fleet.secret", loader=loader, templar=Templar(loader=loader, variables=trusted)
    )
    (value,) = plugin.run([reference], variables=trusted)
    return str(value)


def test_references_to_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_text("from-file\n")
    monkeypatch.setenv("OBS_TEST_SECRET", "from-environment")
    assert _resolve(f"file:{path}") == "from-file"
    assert _resolve("env:OBS_TEST_SECRET") == "from-environment"
    assert _resolve("vault:one", one="{{ other }}", other="from-vault") == "from-vault"
    assert _resolve("a-plain:value") == "a-plain:value"


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("file:/nonexistent/secret", "file:/nonexistent/secret cannot be read: No such file"),
        ("env:OBS_TEST_ABSENT", "env:OBS_TEST_ABSENT is empty"),
        ("vault:absent", "the inventory has no variable of this name"),
        ("vault:empty", "vault:empty is empty"),
    ],
)
def test_a_secret_that_is_not_there_is_named(reference: str, complaint: str) -> None:
    from ansible.errors import AnsibleError

    with pytest.raises(AnsibleError, match=complaint):
        _resolve(reference, empty="")


# Brokers that are spoken to over TLS, with logins.

GUARDED = {
    "kafka_client_port": 9094,
    "kafka_client_security_protocol": "SASL_SSL",
    "kafka_client_user": "obsctl",
    "kafka_client_password": "vault:vault_token",
    "kafka_client_ca_file": "/control/ca.pem",
    "kafka_client_certificate_file": "/control/own.pem",
    "kafka_client_key_file": "/control/own.key",
    "consumer_alert_kafka_user": "alerter",
    "consumer_alert_kafka_password": "plain-alerter",
}


@pytest.fixture(scope="module")
def guarded(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The fleet document of the control node, and what the role writes on app1."""
    folder = tmp_path_factory.mktemp("guarded")
    path = folder / "variables.json"
    path.write_text(json.dumps({**SECRETS, **WITHOUT_TLS, **GUARDED}))
    return fleet_document(project, path, folder), written(project, path, tmp_path_factory.mktemp("guarded-app1"))


def test_each_service_speaks_to_guarded_brokers_as_its_own_user(guarded: tuple[Path, Path]) -> None:
    control, host = guarded

    def own(name: str, user: str) -> Security:
        secret = f"/etc/obsctl/secrets/kafka_{name}"
        return Security(
            protocol="SASL_SSL",
            user=user,
            password=f"file:{secret}",
            ca_file="/etc/obsctl/kafka-ca.pem",
            certificate_file="/etc/obsctl/kafka-client.pem",
            key_file=f"{secret}.key",
        )

    consumer, alerter = config.load(host / "consumer.yml").kafka, alerter_config.load(host / "alerter.yml").kafka
    assert consumer.brokers.security == own("consumer", "obsctl")
    assert alerter.brokers.security == own("alerter", "alerter")
    assert {address.rpartition(":")[2] for address in consumer.bootstrap} == {"9094"}
    assert _fleet(host / "fleet.json").brokers() == Brokers(consumer.bootstrap, own("obsctl", "obsctl"))
    assert _fleet(control).kafka.client == Security(
        protocol="SASL_SSL",
        user="obsctl",
        password="vault:vault_token",
        ca_file="/control/ca.pem",
        certificate_file="/control/own.pem",
        key_file="/control/own.key",
    )


def test_passwords_and_keys_of_guarded_brokers_are_each_for_one_user(guarded: tuple[Path, Path]) -> None:
    _, host = guarded
    listed = json.loads((host / "secrets.json").read_text())
    secrets = {Path(one["path"]).name: (one["source"], one["owner"]) for one in listed}
    assert {name: secrets[name] for name in secrets if name.startswith("kafka_")} == {
        "kafka_consumer": ("vault:vault_token", "obsctl-consumer"),
        "kafka_alerter": ("plain-alerter", "obsctl-alerter"),
        "kafka_obsctl": ("vault:vault_token", "root"),
        "kafka_consumer.key": ("file:/control/own.key", "obsctl-consumer"),
        "kafka_alerter.key": ("file:/control/own.key", "obsctl-alerter"),
        "kafka_obsctl.key": ("file:/control/own.key", "root"),
    }
    for name in ("consumer.yml", "alerter.yml", "fleet.json"):
        assert "plain-alerter" not in (host / name).read_text()


def test_brokers_in_clear_need_none_of_it(fleet_file: Path, host_files: Path) -> None:
    assert _fleet(fleet_file).kafka.client == IN_CLEAR
    assert "security" not in (host_files / "consumer.yml").read_text()
    assert "kafka_" not in (host_files / "secrets.json").read_text()


# fleet_tls: nothing else is set but the passwords.

SWITCHED_ON = {
    "fleet_tls": True,
    "fleet_tls_ca_file": "/control/pki/ca.pem",
    **{
        f"kafka_{user}_password": f"vault:vault_{user}"
        for user in ("filebeat", "consumer", "alerter", "console", "obsctl", "admin")
    },
}


def test_with_fleet_tls_each_service_logs_in_as_its_own_user(project: Path, tmp_path: Path) -> None:
    (tmp_path / "app1").mkdir()
    path = tmp_path / "variables.json"
    path.write_text(json.dumps({**SECRETS, **SWITCHED_ON}))
    control, host = _fleet(fleet_document(project, path, tmp_path)), written(project, path, tmp_path / "app1")
    here = _fleet(host / "fleet.json")
    daemons = (config.load(host / "consumer.yml"), alerter_config.load(host / "alerter.yml"))
    for read, name in zip(daemons, ("consumer", "alerter"), strict=True):
        wanted = Security(
            protocol="SASL_SSL",
            user=name,
            password=f"file:/etc/obsctl/secrets/kafka_{name}",
            ca_file="/etc/obsctl/kafka-ca.pem",
        )
        addresses = [f"192.168.100.{number}:9094" for number in (150, 151, 152)]
        assert read.kafka.brokers == Brokers(addresses, wanted)
    assert (control.kafka.client.user, control.kafka.client.password) == ("obsctl", "vault:vault_obsctl")
    assert control.kafka.client.ca_file == "/control/pki/ca.pem"
    assert (here.kafka.client.user, here.kafka.client.password) == ("obsctl", "file:/etc/obsctl/secrets/kafka_obsctl")
    nodes = [one.kafka for one in control.hosts if one.kafka]
    assert {(node.broker_port, node.replication_port, node.controller_port) for node in nodes} == {(9094, 9095, 9096)}
    secrets = {Path(one["path"]).name: one["source"] for one in json.loads((host / "secrets.json").read_text())}
    assert [secrets[f"kafka_{name}"] for name in ("consumer", "alerter", "obsctl")] == [
        "vault:vault_consumer",
        "vault:vault_alerter",
        "vault:vault_obsctl",
    ]


@pytest.mark.parametrize(
    ("own", "control", "host"),
    [
        ({}, ("/srv/pki/ca.pem", ""), ("/etc/obscraft/tls/ca.pem", "")),
        # One of the site's own is signed by a CA that the system knows.
        (
            {"nginx_tls_certificate_path": "/srv/shop.pem", "nginx_tls_names": ["shop.example.com"]},
            ("", "shop.example.com"),
            ("", "shop.example.com"),
        ),
    ],
)
def test_each_machine_checks_the_balancers_by_its_own_file(
    project: Path, tmp_path: Path, own: dict[str, Any], control: tuple[str, str], host: tuple[str, str]
) -> None:
    variables = tmp_path / "variables.json"
    tls = {"fleet_tls": True, "fleet_tls_ca_dir": "/srv/pki", "nginx_backend_tls": True, "nginx_http": "redirect"}
    variables.write_text(json.dumps({**SECRETS, "consumer_alert_channels": CHANNELS, **tls, **own}))
    found = []
    folders = [tmp_path / name for name in ("control", "app1")]
    for folder in folders:
        folder.mkdir()
    on_host = written(project, variables, folders[1]) / "fleet.json"
    for path in (fleet_document(project, variables, folders[0]), on_host):
        vip = _fleet(path).vip
        assert vip is not None
        assert vip.https is not None
        assert (vip.port, vip.https.port, vip.https.http, vip.exclusive) == (80, 443, "redirect", False)
        found.append(vip.https)
    assert [(https.ca_file, https.server_name) for https in found] == [control, host]
    assert [https.backend_ca_file for https in found] == ["/srv/pki/ca.pem", "/etc/obscraft/tls/ca.pem"]
